"""What happens in a run and at a server, as it happens: frozen records, told to whoever watches.

Logs, metrics, the live view, traces and the report's own record all read these and nothing else, so the code that does the
work has one thin call for all of them: `events.tell(Something(...))`. An observer is any function of one event. It may be
called from several threads and should return at once. It cannot end a run, and neither can a full disk: an observer that raises
is not called again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from lmos_opt.units import counted, format_time

if TYPE_CHECKING:
    from runner.watching.report import FailedImage, ImageResult

_SHOWN = 8
"""Digits of a digest or a session that are told: enough to tell them apart, and a session's id stays its edge's secret."""
_log = logging.getLogger("lmos.events")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened `at` (`time.perf_counter`, s). Every value is a string, a number, a flag or None.

    `name` is what files and logs call it, `side` who tells it, `level` its weight in a log.
    """

    name: ClassVar[str]
    side: ClassVar[str] = "edge"
    at: float = field(default_factory=time.perf_counter)

    @property
    def level(self) -> int:
        """Of the standard library's levels."""
        return logging.INFO

    @property
    def text(self) -> str:
        """One line for people."""
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """What it says, by name: all but `at`, and without what is None."""
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "at"}
        return {name: value for name, value in found.items() if value is not None}


Observer = Callable[[Event], None]


class Events:
    """Tells every observer, in their order."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def tell(self, event: Event) -> None:
        """It happened."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - whoever watches must not end what is watched
                self._observers = tuple(each for each in self._observers if each is not observer)
                _log.exception("this observer failed, and is told nothing more")


NOBODY = Events()


def shown(secret: str) -> str:
    """The beginning of a digest (without its kind) or of a session's id."""
    return secret.rpartition(":")[2][:_SHOWN]


# at the edge ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RunBegan(Event):
    """The first of `images` is about to start; warming up is over. `peer` is None where everything runs here."""

    name = "run_began"
    network: str
    digest: str
    cut: int
    images: int
    peer: str | None
    pipelined: bool

    @property
    def text(self) -> str:
        """What is run, how often, with whom."""
        return f"{self.network} ({self.digest}): {counted(self.images, 'image')}, {counted(self.cut, 'layer')} here, the rest at "\
               f"{self.peer or 'nobody'}"


@dataclass(frozen=True, kw_only=True)
class LineReady(Event):
    """The server has built the network and takes questions; `again` where it did so before in this run."""

    name = "line_ready"
    peer: str
    again: bool

    @property
    def text(self) -> str:
        """That it is ready."""
        return f"{self.peer}: ready" + (" again" if self.again else "")


@dataclass(frozen=True, kw_only=True)
class LineLost(Event):
    """A connection was given up, for the `reason`; the next is made after `pause_s`, or none where that cannot help.

    `code` is the server's own word for it, where it had one.
    """

    name = "line_lost"
    peer: str
    reason: str
    code: str | None
    pause_s: float | None

    @property
    def level(self) -> int:
        """Something is wrong."""
        return logging.WARNING

    @property
    def text(self) -> str:
        """Why, and what is done about it."""
        return f"{self.reason}; " + ("given up" if self.pause_s is None else f"trying again in {format_time(self.pause_s)}")


@dataclass(frozen=True, kw_only=True)
class ImageBegan(Event):
    """The head begins on an image."""

    name = "image_began"
    number: int
    file: str

    @property
    def level(self) -> int:
        """The end of an image says as much."""
        return logging.DEBUG

    @property
    def text(self) -> str:
        """Which one."""
        return f"image {self.number}: {self.file}"


@dataclass(frozen=True, kw_only=True)
class Asked(Event):
    """A question of `sent_bytes` of tensors begins its way to the server, for the `attempt`th time (from 1)."""

    name = "asked"
    peer: str
    number: int
    attempt: int
    sent_bytes: int

    @property
    def level(self) -> int:
        """Only asking again is worth a line."""
        return logging.DEBUG if self.attempt == 1 else logging.INFO

    @property
    def text(self) -> str:
        """Which one, and how often."""
        return f"{self.peer}: image {self.number} is sent" + (f", attempt {self.attempt}" if self.attempt > 1 else "")


@dataclass(frozen=True, kw_only=True)
class ImageEnded(Event):
    """An image has its class, from the server or from here, or a reason why not."""

    name = "image_ended"
    number: int
    result: ImageResult | FailedImage

    @property
    def outcome(self) -> str:
        """`done`, `done_locally` or `failed`."""
        return {"plan": "done", "edge": "done_locally"}.get(getattr(self.result, "finished_at", ""), "failed")

    @property
    def level(self) -> int:
        """Something is wrong where it did not go as planned."""
        return logging.INFO if self.outcome == "done" else logging.WARNING

    @property
    def text(self) -> str:
        """What became of it."""
        latency_s = getattr(self.result, "latency_s", None)
        after = "" if latency_s is None else f" after {format_time(latency_s)}"
        reason = f" ({self.result.reason})" if self.result.reason else ""
        return f"image {self.number}: {self.outcome.replace('_', ' ')}{after}{reason}"

    def values(self) -> dict[str, Any]:
        """The result's own values beside the number and the outcome."""
        return {"number": self.number, "outcome": self.outcome, **self.result.model_dump(by_alias=True, exclude_none=True)}


@dataclass(frozen=True, kw_only=True)
class BytesMoved(Event):
    """So many bytes went out and came in on a connection since this was last told of it, protocol and all (TLS apart)."""

    name = "bytes_moved"
    peer: str
    sent_bytes: int
    received_bytes: int

    @property
    def level(self) -> int:
        """For counters."""
        return logging.DEBUG

    @property
    def text(self) -> str:
        """How many."""
        return f"{self.peer}: {self.sent_bytes} bytes out, {self.received_bytes} in"


@dataclass(frozen=True, kw_only=True)
class CutChanged(Event):
    """From the image `number` on, `after` layers run here in place of `before`, for the `reason`.

    `bandwidth_bytes_per_s` is what the link was taken to give.
    """

    name = "cut_changed"
    number: int
    before: int
    after: int
    reason: str
    bandwidth_bytes_per_s: float | None = None

    @property
    def text(self) -> str:
        """From where to where, and why."""
        return f"from image {self.number} on {counted(self.after, 'layer')} here, not {self.before}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class RunEnded(Event):
    """Every image has an end, or the run was cut short for the `reason`."""

    name = "run_ended"
    images: int
    lost: int
    fallbacks: int
    retries: int
    elapsed_s: float
    reason: str | None

    @property
    def level(self) -> int:
        """Something is wrong where images are lost or missing."""
        return logging.INFO if self.reason is None and not self.lost else logging.WARNING

    @property
    def text(self) -> str:
        """The run in numbers."""
        cut_short = "" if self.reason is None else f", {self.reason}"
        return (f"{counted(self.images, 'image')} in {format_time(self.elapsed_s)}{cut_short}: {self.retries} sent again, "
                f"{self.fallbacks} finished here, {self.lost} lost")  # fmt: skip


# at the server -------------------------------------------------------------------------------------------------------


class _AtServer(Event):
    side = "server"


@dataclass(frozen=True, kw_only=True)
class Listening(_AtServer):
    """The server takes connections at an address."""

    name = "listening"
    address: str
    tls: bool
    token: bool
    threads: int

    @property
    def text(self) -> str:
        """Where, and for whom."""
        return (f"listening on {self.address}{' with TLS' if self.tls else ''}{' and a token' if self.token else ''}, "
                f"{counted(self.threads, 'thread')} of torch")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PeerGreeted(_AtServer):
    """A peer has said hello, and was let in."""

    name = "peer_greeted"
    peer: str
    software: str

    @property
    def text(self) -> str:
        """Who."""
        return f"{self.peer}: {self.software}"


@dataclass(frozen=True, kw_only=True)
class PeerOpened(_AtServer):
    """A peer's tail is built, checked and warm, `t_open_s` after it was asked for."""

    name = "peer_opened"
    peer: str
    session: str
    network: str
    weights: str
    digest: str
    cut: int
    t_open_s: float

    @property
    def text(self) -> str:
        """What was opened."""
        return f"{self.peer}: {self.network}, {self.weights}, {counted(self.cut, 'layer')} at the edge"


@dataclass(frozen=True, kw_only=True)
class Answered(_AtServer):
    """A question was answered: computed in `t_server_s` (undoing a codec took `t_decode_s` of it) and held up `t_queue_s` here
    beside that; or `again`, from memory."""

    name = "answered"
    peer: str
    session: str
    number: int
    again: bool
    t_queue_s: float
    t_server_s: float
    t_decode_s: float
    received_bytes: int
    sent_bytes: int

    @property
    def level(self) -> int:
        """A first question is normal and logged at DEBUG; a question that is asked again is logged at INFO."""
        return logging.INFO if self.again else logging.DEBUG

    @property
    def text(self) -> str:
        """Which one, and how long it took."""
        return f"{self.peer}: image {self.number} " + ("asked again" if self.again else f"in {format_time(self.t_server_s)}")


@dataclass(frozen=True, kw_only=True)
class PeerBytesMoved(BytesMoved):
    """The same at the server."""

    side = "server"


@dataclass(frozen=True, kw_only=True)
class PeerRefused(_AtServer):
    """The server goes no further with a peer, for the `reason`; `number` is the question's that it is about."""

    name = "peer_refused"
    peer: str
    code: str
    reason: str
    number: int | None = None

    @property
    def level(self) -> int:
        """Something is wrong, at one of the ends."""
        return logging.WARNING

    @property
    def text(self) -> str:
        """Whom, and why."""
        return f"{self.peer}: {self.code}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class PeerLeft(_AtServer):
    """A peer is gone: `done` (with a word), `gone` (without one), `came back` (on another connection), `lost` (the connection
    broke), `untrusted` (TLS did not come about), `unfinished` (the server ended before it); the `reason` where there is one."""

    name = "peer_left"
    peer: str
    how: str
    had_asked: bool
    reason: str | None = None

    @property
    def level(self) -> int:
        """Those that come, want nothing and go are no news."""
        if self.how in {"untrusted", "unfinished"}:
            return logging.WARNING
        return logging.DEBUG if self.how == "gone" and not self.had_asked else logging.INFO

    @property
    def text(self) -> str:
        """Who, and how."""
        if self.how == "came back":
            return f"{self.peer}: its edge came back on another connection"
        return f"{self.peer}: {self.how}" if self.reason is None else self.reason


@dataclass(frozen=True, kw_only=True)
class Stopped(_AtServer):
    """Every conversation is over."""

    name = "stopped"

    @property
    def text(self) -> str:
        """That it is over."""
        return "stopped"


# of commands ---------------------------------------------------------------------------------------------------------


class _OfCommand(Event):
    side = "command"


@dataclass(frozen=True, kw_only=True)
class MetricsShown(_OfCommand):
    """Metrics can be read at a URL."""

    name = "metrics_shown"
    url: str

    @property
    def text(self) -> str:
        """Where."""
        return f"metrics at {self.url}"


@dataclass(frozen=True, kw_only=True)
class CommandFailed(_OfCommand):
    """A command ends with an error: the last word of its log, and its exit code."""

    name = "command_failed"
    reason: str
    exit_code: int

    @property
    def level(self) -> int:
        """Nothing is done after it."""
        return logging.ERROR

    @property
    def text(self) -> str:
        """Why."""
        return self.reason
