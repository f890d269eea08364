"""Images through head, connection and tail: each ends with a class, from the server or from here, or with a reason.

One image after another, or with `depth` of them under way at once: then the edge computes image k + 1 while k travels and
k - 1 is at the server. Results come in the images' order, and no more than `depth` images (or, where the server does not
answer and the tail must not run here, QUEUED_IMAGES) are held at any time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypedDict

import torch
from torch import Tensor, nn

from lmos_opt.units import counted
from measurement.tracing.calls import ByParameter, call
from runner.client.exchange import Exchange
from runner.client.remote import Timeouts
from runner.client.server_connection import ServerConnection
from runner.faults.fallback import Fallback
from runner.images import Images
from runner.parts.network import class_of, flat_outputs, in_words, logits_of
from runner.parts.split import Crossing
from runner.watching.events import NOBODY, Events, ImageBegan, ImageEnded
from runner.watching.report import FailedImage, ImageResult

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many images are done, and of how many."""
MOST_WORDS = 500
"""Of what a result is: a network may return hundreds of tensors."""
PIPELINE_DEPTH = 4
QUEUED_IMAGES = 16


class Seen(TypedDict):
    """What the network made of an image: its class, or else what it returned."""

    class_: int | None
    class_name: str | None
    returns: str | None


@dataclass
class Route:
    """One cut's way: its head, the connection to the server's tail (None: the head is the whole network), the tail here;
    where there are several, its number of edge layers."""

    head: nn.Module
    connection: ServerConnection | None
    fallback: Fallback | None
    cut: int | None = None


@dataclass
class _Image:
    """One image under way."""

    route: Route
    number: int
    name: str
    begin: float
    t_edge_s: float
    crossing: Crossing
    exchange: Exchange
    asked_at: float = field(default_factory=time.monotonic)
    was_late: bool = False

    @property
    def connection(self) -> ServerConnection:
        """The connection that it was sent over."""
        assert self.route.connection is not None
        return self.route.connection


@dataclass
class Pipeline:
    """Runs images; `results` and `failed` grow in their order.

    `events` are told of every image but the one that warms up. `before` is called with the number of the next image, and may
    change the `route`: images that are under way stay on theirs.
    """

    route: Route
    class_names: Sequence[str]
    timeouts: Timeouts
    events: Events = NOBODY
    before: Callable[[int], None] | None = None
    results: list[ImageResult] = field(default_factory=list)
    failed: list[FailedImage] = field(default_factory=list)
    _late: int = 0
    _start: float = 0.0

    def warm_up(self, pictures: Images) -> None:
        """Run the first picture once, on both sides, and forget it."""
        kept = self.events, self.before
        self.events, self.before = NOBODY, None
        self.run(pictures, range(1))
        self.results.clear()
        self.failed.clear()
        self.events, self.before = kept

    @torch.inference_mode()
    def run(self, pictures: Images, numbers: range, depth: int = 1, tell: Progress | None = None) -> None:
        """Run the pictures, over and over, under these numbers; each ends in `results` or in `failed`."""
        self._tell = tell or (lambda what, done, total: None)
        self._start = time.perf_counter()
        waiting: deque[_Image] = deque()
        connection = self.route.connection
        with connection.driving() if connection and depth > 1 else nullcontext(), self._interruptible(numbers, waiting):
            for number, (name, image) in zip(numbers, pictures.in_turn(len(numbers), ahead=depth > 1), strict=True):
                if self.before is not None:
                    self.before(number)
                self.events.tell(ImageBegan(number=number, file=name))
                if self.route.connection is None:
                    self._end(number, self._whole(name, image))
                else:
                    waiting.append(self._begin(self.route.connection, number, name, image))
                    self._settle(waiting, depth - 1, len(numbers))
                self._tell("running", self._ended, len(numbers))
            if waiting:
                self._settle(waiting, 0, len(numbers), last=True)
                self._tell("running", self._ended, len(numbers))

    @contextmanager
    def _interruptible(self, numbers: range, waiting: deque[_Image]) -> Iterator[None]:
        """Where the run is interrupted, images under way fail for that reason: none vanish."""
        try:
            yield
        except KeyboardInterrupt:
            for image in waiting:
                if image.number >= numbers.start + self._ended:  # the oldest may have ended a moment ago
                    self._end(image.number, FailedImage(file=image.name, reason="interrupted", retries=image.exchange.retries))
            raise

    @property
    def _ended(self) -> int:
        return len(self.results) + len(self.failed)

    def _end(self, number: int, result: ImageResult | FailedImage) -> None:
        if isinstance(result, FailedImage):
            self.failed.append(result)
        else:
            self.results.append(result)
        self.events.tell(ImageEnded(number=number, result=result))

    def _whole(self, name: str, image: Tensor | ByParameter) -> ImageResult:
        begin = time.perf_counter()
        outputs = flat_outputs(call(self.route.head, image))
        t_edge_s = time.perf_counter() - begin
        return ImageResult(file=name, **self._class(outputs), t_edge_s=t_edge_s, t_tx_s=0.0, t_server_s=0.0,
                           latency_s=time.perf_counter() - begin, began_s=begin - self._start, cut=self.route.cut)  # fmt: skip

    def _begin(self, connection: ServerConnection, number: int, name: str, image: Tensor | ByParameter) -> _Image:
        begin = time.perf_counter()
        crossing = call(self.route.head, image)
        t_edge_s = time.perf_counter() - begin
        return _Image(self.route, number, name, begin, t_edge_s, crossing, connection.ask(number, crossing))

    def _settle(self, waiting: deque[_Image], most: int, total: int, last: bool = False) -> None:
        """End the oldest images until at most `most` are left, or until they may wait for the server in the queue."""
        while waiting and (len(waiting) > most or waiting[0].exchange.is_over):
            image = waiting[0]
            connection = image.connection
            if not image.was_late and not connection.wait(image.exchange, image.asked_at + self._patience_s(connection)):
                image.was_late = True
                self._late += 1
            if image.exchange.answer is not None:
                self._late = 0
                self._end(image.number, self._answered(image))
            elif image.route.fallback is not None and image.route.fallback.refusal is None:
                self._end(image.number, self._here(connection, image.route.fallback, image))
            elif self._is_hopeless(connection, image):
                self._end(image.number, self._given_up(connection, image))
            elif len(waiting) < QUEUED_IMAGES and not last:
                self._tell(f"no server, {counted(len(waiting), 'image')} to be sent to it", self._ended, total)
                return
            else:
                self._tell(f"waiting for the server with {counted(len(waiting), 'image')}", self._ended, total)
                connection.wait(image.exchange, image.asked_at + self.timeouts.give_up_s)
                continue
            waiting.popleft()

    def _patience_s(self, connection: ServerConnection) -> float:
        """How long an image may wait for its answer. The time gets shorter with each image in a row that got none."""
        if not self._late:
            return self.timeouts.result_s
        if not connection.is_open:
            return 0.0
        usual = [result.latency_s for result in self.results if result.finished_at == "plan"][-9:]
        return max(self.timeouts.result_s * 0.5**self._late, 4 * max(usual, default=0.0))

    def _is_hopeless(self, connection: ServerConnection, image: _Image) -> bool:
        late = time.monotonic() >= image.asked_at + self.timeouts.give_up_s
        return late or image.exchange.failure is not None or connection.refused is not None

    def _answered(self, image: _Image) -> ImageResult:
        answer = image.exchange.answer
        assert answer is not None
        classifying = time.perf_counter()
        seen = self._class(answer.outputs)
        return ImageResult(
            file=image.name,
            **seen,
            t_edge_s=image.t_edge_s + image.exchange.t_encode_s,
            t_tx_s=answer.exchange_s - answer.t_server_s - answer.t_queue_s,
            t_server_s=answer.t_server_s,
            latency_s=image.exchange.ended_at - image.begin + time.perf_counter() - classifying,
            t_queue_s=image.exchange.t_queue_s,
            t_server_queue_s=answer.t_queue_s,
            t_encode_s=image.exchange.t_encode_s,
            t_decode_s=answer.t_decode_s,
            sent_bytes=image.exchange.sent_bytes,
            received_bytes=answer.received_bytes,
            began_s=image.begin - self._start,
            cut=image.route.cut,
            retries=image.exchange.retries,
        )

    def _here(self, connection: ServerConnection, fallback: Fallback, image: _Image) -> ImageResult:
        waited_s = time.perf_counter() - image.exchange.began_at
        reason = self._reason(connection, image)
        connection.withdraw(image.exchange, reason)
        loading = time.perf_counter()
        outputs, tail_s = fallback.run(image.crossing)
        seen = self._class(outputs)
        end = time.perf_counter()
        return ImageResult(
            file=image.name,
            **seen,
            t_edge_s=image.t_edge_s + image.exchange.t_encode_s + tail_s,
            t_tail_s=tail_s,
            t_tx_s=waited_s,
            t_server_s=0.0,
            latency_s=end - image.begin,
            t_queue_s=max(end - loading - tail_s, 0.0),
            began_s=image.begin - self._start,
            cut=image.route.cut,
            retries=image.exchange.retries,
            finished_at="edge",
            reason=reason,
        )

    def _given_up(self, connection: ServerConnection, image: _Image) -> FailedImage:
        reason = self._reason(connection, image)
        connection.withdraw(image.exchange, reason)
        refusal = image.route.fallback.refusal if image.route.fallback else None
        return FailedImage(file=image.name, reason=f"{reason}; {refusal}" if refusal else reason,
                           retries=image.exchange.retries)  # fmt: skip

    def _reason(self, connection: ServerConnection, image: _Image) -> str:
        if image.exchange.failure is not None:
            return image.exchange.failure
        if connection.refused is not None:
            return str(connection.refused)
        if connection.failures and connection.reason:
            return connection.reason
        return f"{connection.name}: no answer within {time.monotonic() - image.asked_at:.1f} s"

    def _class(self, outputs: dict[str, Tensor]) -> Seen:
        found, logits = class_of(outputs), logits_of(outputs)
        if found is None or logits is None:
            return {"class_": None, "class_name": None, "returns": in_words(outputs)[:MOST_WORDS]}
        known = len(self.class_names) == logits.numel()
        return {"class_": found, "class_name": self.class_names[found] if known else None, "returns": None}
