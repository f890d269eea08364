"""What happens in a run and at a server, as it happens: frozen records, told to whoever watches.

Logs, metrics, the live view, traces and the report's own record all read these and nothing else, so the code that does the
work has one thin call for all of them: `events.tell(Something(...))`. An observer is any function of one event. It may be
called from several threads and should return at once. It cannot end a run, and neither can a full disk: an observer that raises
is not called again.
"""

from __future__ import annotations

import warnings
from typing import Any

from runner.watching.events.base import NOBODY, Event, Events, Observer, shown
from runner.watching.events.command import CommandFailed, MetricsShown
from runner.watching.events.edge import (
    Asked,
    BytesMoved,
    CutChanged,
    ImageBegan,
    ImageEnded,
    RunBegan,
    RunEnded,
    ServerLost,
    ServerReady,
)
from runner.watching.events.server import (
    AnswerSent,
    Listening,
    PeerBytesMoved,
    PeerGreeted,
    PeerLeft,
    PeerOpened,
    PeerRefused,
    Stopped,
)

__all__ = [
    "NOBODY",
    "AnswerSent",
    "Asked",
    "BytesMoved",
    "CommandFailed",
    "CutChanged",
    "Event",
    "Events",
    "ImageBegan",
    "ImageEnded",
    "Listening",
    "MetricsShown",
    "Observer",
    "PeerBytesMoved",
    "PeerGreeted",
    "PeerLeft",
    "PeerOpened",
    "PeerRefused",
    "RunBegan",
    "RunEnded",
    "ServerLost",
    "ServerReady",
    "Stopped",
    "shown",
]


def __getattr__(name: str) -> Any:
    if name != "Answered":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{__name__}.Answered is AnswerSent now; the old name goes with the next minor version", DeprecationWarning,
                  stacklevel=2)  # fmt: skip
    return AnswerSent
