"""The events of a run and of a server, as frozen records that are passed to observers when they happen.

Logs, metrics, the live view, traces and the report's list of events all use these records alone. So the code that does the
work makes one call for all of them: `events.tell(Something(...))`. An observer is any function that takes one event. Several
threads may call it, and it should return at once. An observer that raises an exception is not called again; it does not end the
run.
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
    ProbeFailed,
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
    "ProbeFailed",
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
