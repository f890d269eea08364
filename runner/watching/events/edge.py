"""Events at the edge."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmos_opt.units import counted, format_time
from runner.watching.events.base import Event

if TYPE_CHECKING:
    from runner.watching.report import FailedImage, ImageResult


@dataclass(frozen=True, kw_only=True)
class RunBegan(Event):
    """The run begins: the warm-up is over. `images` is their number (None: unknown), `peer` the server's address (None: all layers
    run at the edge)."""

    name = "run_began"
    network: str
    digest: str
    cut: int
    images: int | None
    peer: str | None
    pipelined: bool

    @property
    def text(self) -> str:
        """The network, the number of images, the number of layers here, and the server."""
        return f"{self.network} ({self.digest}): {_images(self.images)}, {counted(self.cut, 'layer')} here, the rest at "\
               f"{self.peer or 'nobody'}"


@dataclass(frozen=True, kw_only=True)
class ServerReady(Event):
    """The server has built its part and takes questions. `again`: it was ready before in this run."""

    name = "server_ready"
    peer: str
    again: bool

    @property
    def text(self) -> str:
        """The server's address, and whether it was ready before."""
        return f"{self.peer}: ready" + (" again" if self.again else "")


@dataclass(frozen=True, kw_only=True)
class ServerLost(Event):
    """A connection was given up, for the `reason`. The next attempt is made after `pause_s` (None: there is no next attempt).

    `code` is the code of the server's error message, if it sent one.
    """

    name = "server_lost"
    peer: str
    reason: str
    code: str | None
    pause_s: float | None

    @property
    def level(self) -> int:
        """WARNING: the run goes on without this connection."""
        return logging.WARNING

    @property
    def text(self) -> str:
        """The reason, and when the next attempt is made."""
        return f"{self.reason}; " + ("given up" if self.pause_s is None else f"trying again in {format_time(self.pause_s)}")


@dataclass(frozen=True, kw_only=True)
class ImageBegan(Event):
    """The edge begins to compute an image's head."""

    name = "image_began"
    number: int
    file: str

    @property
    def level(self) -> int:
        """DEBUG: the event at the image's end repeats all of it."""
        return logging.DEBUG

    @property
    def text(self) -> str:
        """The image's number and its file."""
        return f"image {self.number}: {self.file}"


@dataclass(frozen=True, kw_only=True)
class Asked(Event):
    """A question with `sent_bytes` of tensors is sent to the server. `attempt` counts from 1."""

    name = "asked"
    peer: str
    number: int
    attempt: int
    sent_bytes: int

    @property
    def level(self) -> int:
        """DEBUG at the first attempt, INFO at later ones."""
        return logging.DEBUG if self.attempt == 1 else logging.INFO

    @property
    def text(self) -> str:
        """The server, the image's number, and the attempt's number from the second on."""
        return f"{self.peer}: image {self.number} is sent" + (f", attempt {self.attempt}" if self.attempt > 1 else "")


@dataclass(frozen=True, kw_only=True)
class ImageEnded(Event):
    """An image has a result, from the server or from the edge, or a reason why it has none."""

    name = "image_ended"
    number: int
    result: ImageResult | FailedImage

    @property
    def outcome(self) -> str:
        """`done`, `done_locally` or `failed`."""
        return {"plan": "done", "edge": "done_locally"}.get(getattr(self.result, "finished_at", ""), "failed")

    @property
    def level(self) -> int:
        """INFO where the image went as planned, else WARNING."""
        return logging.INFO if self.outcome == "done" else logging.WARNING

    @property
    def text(self) -> str:
        """The image's number, its outcome, its latency, and the reason if it did not go as planned."""
        latency_s = getattr(self.result, "latency_s", None)
        after = "" if latency_s is None else f" after {format_time(latency_s)}"
        reason = f" ({self.result.reason})" if self.result.reason else ""
        return f"image {self.number}: {self.outcome.replace('_', ' ')}{after}{reason}"

    def values(self) -> dict[str, Any]:
        """The result's own values beside the number and the outcome."""
        return {"number": self.number, "outcome": self.outcome, **self.result.model_dump(by_alias=True, exclude_none=True)}


@dataclass(frozen=True, kw_only=True)
class BytesMoved(Event):
    """Bytes sent and received on a connection since the last such event, including the protocol, without TLS."""

    name = "bytes_moved"
    peer: str
    sent_bytes: int
    received_bytes: int

    @property
    def level(self) -> int:
        """DEBUG: only counters need it."""
        return logging.DEBUG

    @property
    def text(self) -> str:
        """The peer, and the bytes in each direction."""
        return f"{self.peer}: {self.sent_bytes} bytes out, {self.received_bytes} in"


@dataclass(frozen=True, kw_only=True)
class CutChanged(Event):
    """From the image `number` on, `after` layers run at the edge instead of `before`, for the `reason`.

    `bandwidth_bytes_per_s` is the estimated rate of the link.
    """

    name = "cut_changed"
    number: int
    before: int
    after: int
    reason: str
    bandwidth_bytes_per_s: float | None = None

    @property
    def text(self) -> str:
        """The image's number, the numbers of layers before and after, and the reason."""
        return f"from image {self.number} on {counted(self.after, 'layer')} here, not {self.before}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class ProbeFailed(Event):
    """A probe of a link was not answered, for the `reason`. As long as probes fail, the cut cannot follow this link."""

    name = "probe_failed"
    reason: str

    @property
    def level(self) -> int:
        """WARNING: the run keeps its cut."""
        return logging.WARNING

    @property
    def text(self) -> str:
        """The reason."""
        return f"a probe of the link failed: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class RunEnded(Event):
    """All images have ended, or the run was cut short for the `reason`."""

    name = "run_ended"
    images: int
    lost: int
    fallbacks: int
    retries: int
    elapsed_s: float
    reason: str | None

    @property
    def level(self) -> int:
        """INFO, or WARNING where images were lost or the run was cut short."""
        return logging.INFO if self.reason is None and not self.lost else logging.WARNING

    @property
    def text(self) -> str:
        """The number of images, the time, and how many images were sent again, finished at the edge or lost."""
        cut_short = "" if self.reason is None else f", {self.reason}"
        return (f"{counted(self.images, 'image')} in {format_time(self.elapsed_s)}{cut_short}: {self.retries} sent again, "
                f"{self.fallbacks} finished here, {self.lost} lost")  # fmt: skip


def _images(n: int | None) -> str:
    return "images as they come" if n is None else counted(n, "image")
