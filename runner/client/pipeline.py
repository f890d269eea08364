"""Images through head, connection and tail. Each image ends with a result or with a reason why it has none.

One image runs after another, or `depth` images are under way at once. With several under way, the edge computes image k + 1 while
image k is on the link and image k - 1 is at the server. Results come in the order of the images. At most `depth` images are held at
any time; QUEUED_IMAGES if the server does not answer and the tail must not run here. Several threads may each begin and finish
their own images; one head is computed at a time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import TypedDict

import torch
from torch import Tensor, nn

from lmos_opt.errors import THEIR_ERRORS, first_line
from lmos_opt.processes.signals import in_one_piece
from lmos_opt.units import counted
from measurement.tracing.calls import ByParameter, call
from runner.client.exchange import Exchange
from runner.client.server_connection import ServerConnection
from runner.faults.fallback import Fallback
from runner.images import Images
from runner.parts.network import class_in, flat_outputs, in_words, logits_of
from runner.parts.part import Crossing
from runner.watching.events import NOBODY, Events, ImageBegan, ImageEnded
from runner.watching.report import FailedImage, ImageResult
from runner.wire.timeouts import Timeouts

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the number of images done, and the number of all images."""
MOST_WORDS = 500
"""Characters of a result in words: a network may return hundreds of tensors."""
PIPELINE_DEPTH = 4
"""Images under way at once, over two places: two for each place."""
QUEUED_IMAGES = 16


def depth_for(n_places: int) -> int:
    """How many images are under way at once, over so many places."""
    return PIPELINE_DEPTH // 2 * n_places


class Seen(TypedDict):
    """What an image's result says: the class, or the returned tensors in words."""

    class_: int | None
    class_name: str | None
    returns: str | None


@dataclass
class Route:
    """What the runs of one cut need.

    - `head`: the edge's part.
    - `connection`: the connection to the server; None if the head is the whole network.
    - `fallback`: the tail at the edge, for images that the server does not answer.
    - `cut`: the number of edge layers, if there are several cuts; None otherwise.
    """

    head: nn.Module
    connection: ServerConnection | None
    fallback: Fallback | None
    cut: int | None = None


@dataclass(frozen=True)
class Ended:
    """An image that has ended: its `result` for the report, and the network's `outputs` by path (`flat_outputs`); None if it
    failed."""

    number: int
    result: ImageResult | FailedImage
    outputs: Mapping[str, Tensor] | None = None


@dataclass
class Underway:
    """An image that is under way."""

    route: Route
    number: int
    name: str
    begin: float
    t_edge_s: float
    crossing: Crossing
    exchange: Exchange
    asked_at: float = field(default_factory=time.monotonic)
    was_late: bool = False
    dropped: str | None = None
    is_over: bool = False

    @property
    def connection(self) -> ServerConnection:
        """The connection that the image was sent over."""
        assert self.route.connection is not None
        return self.route.connection

    def drop(self, reason: str) -> None:
        """Give the image up, for this reason. Any thread may call it."""
        self.dropped = reason
        self.connection.withdraw(self.exchange, reason)


@dataclass
class Pipeline:
    """Runs images. `results` and `failed` grow as images end; each keeps the last `most_kept`.

    `events` are told of every image except the warm-up. `before` is called with the number of the next image, and may
    change the `route`; images that are under way keep theirs. `begin`, `finish` and `stream` may be called from several threads.
    `look` may add to a result what the outputs say; this does not count in any time.
    """

    route: Route
    class_names: Sequence[str]
    timeouts: Timeouts
    events: Events = NOBODY
    before: Callable[[int], None] | None = None
    most_kept: int | None = None
    look: Callable[[ImageResult, Mapping[str, Tensor]], ImageResult] | None = None
    results: list[ImageResult] = field(default_factory=list)
    failed: list[FailedImage] = field(default_factory=list)
    was_pipelined: bool = False
    _late: int = 0
    _start: float = 0.0
    _end_at: float = 0.0

    def __post_init__(self) -> None:
        self.numbers = count(1)
        self.heads, self._ending = threading.Lock(), threading.Lock()

    @property
    def elapsed_s(self) -> float:
        """The time (s) from `start` to the end of the last image that has ended."""
        return max(self._end_at - self._start, 0.0)

    def start(self) -> None:
        """Begin to count times."""
        self._start = self._end_at = time.perf_counter()

    def warm_up(self, pictures: Images) -> None:
        """Run the first picture once at both sides. It does not count."""
        kept = self.events, self.before, self.numbers
        self.events, self.before, self.numbers = NOBODY, None, count(0)
        try:
            self.run(pictures, 1)
        finally:
            self.events, self.before, self.numbers = kept
            self.results.clear()
            self.failed.clear()

    def run(self, pictures: Images, n: int, depth: int = 1, tell: Progress | None = None) -> None:
        """Run n pictures; after the last one the first comes again. Each ends in `results` or in `failed`."""
        if not self._start:
            self.start()
        done = 0
        said = tell or (lambda what, done, total: None)
        with (closing(pictures.in_turn(n, ahead=depth > 1)) as items,
              closing(self.stream(items, depth, lambda what: said(what, done, n))) as ended):
            for _ in ended:
                done += 1
                said("running", done, n)

    # one image -------------------------------------------------------------------------------------------------------

    def begin(self, name: str, image: Tensor | ByParameter) -> Underway | Ended:
        """Compute the head and ask the server. Without a server the image has then ended. Raises what the head raises."""
        with self.heads, torch.inference_mode():
            number = next(self.numbers)
            if self.before is not None:
                self.before(number)
            self.events.tell(ImageBegan(number=number, file=name))
            route, begin = self.route, time.perf_counter()
            made = call(route.head, image)
            t_edge_s = time.perf_counter() - begin
            if route.connection is not None:
                try:
                    exchange = route.connection.ask(number, made)
                except KeyboardInterrupt:  # it may be under way
                    self._interrupted(number, name)
                    raise
                return Underway(route, number, name, begin, t_edge_s, made, exchange)
            outputs = flat_outputs(made)
            result = ImageResult(file=name, **self._class(outputs), t_edge_s=t_edge_s, t_tx_s=0.0, t_server_s=0.0,
                                 latency_s=time.perf_counter() - begin, began_s=self._began_s(begin), cut=route.cut)  # fmt: skip
        with in_one_piece():
            return self._end(number, result, outputs)

    def finish(self, image: Underway) -> Ended:
        """Wait for the image's answer. If there is none, the edge finishes the image, or the image fails."""
        waiting = deque([image])
        try:
            return next(self._settle(waiting, 0, last=True))
        finally:
            self._drop(waiting)

    # many ------------------------------------------------------------------------------------------------------------

    def stream(self, items: Iterable[tuple[str, Tensor | ByParameter]], depth: int = 1,
               tell: Callable[[str], None] = lambda what: None) -> Generator[Ended]:  # fmt: skip
        """Run images, given with their names, as they come. Up to `depth` are under way; they end in their order.

        An error of `items` or of a head is raised after the images before it have ended. If the iterator is closed or interrupted,
        the images under way have failed.
        """
        waiting: deque[Underway] = deque()
        connection = self.route.connection
        self.was_pipelined = self.was_pipelined or depth > 1
        try:
            with connection.driving() if connection and depth > 1 else nullcontext():
                fault: Exception | None = None
                source = iter(items)
                while fault is None:
                    try:
                        name, image = next(source)
                        begun = self.begin(name, image)
                    except StopIteration:
                        break
                    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised in its turn
                        fault = error
                        break
                    if isinstance(begun, Ended):
                        yield begun
                    else:
                        waiting.append(begun)
                        yield from self._settle(waiting, depth - 1, tell=tell)
                yield from self._settle(waiting, 0, last=True, tell=tell)
                if fault is not None:
                    raise fault
        finally:
            self._drop(waiting)

    def _drop(self, waiting: deque[Underway]) -> None:
        """Whoever waited was interrupted, or does not wait any more: no image under way vanishes."""
        while waiting:
            image = waiting.popleft()
            if not image.is_over:  # the oldest may have ended a moment ago
                image.drop("interrupted")
                self._interrupted(image.number, image.name, image.exchange.retries)

    def _interrupted(self, number: int, name: str, retries: int = 0) -> None:
        self._end(number, FailedImage(file=name, reason="interrupted", retries=retries))

    def _end(self, number: int, result: ImageResult | FailedImage, outputs: Mapping[str, Tensor] | None = None) -> Ended:
        with self._ending:
            kept: list[ImageResult] | list[FailedImage]
            if isinstance(result, FailedImage):
                self.failed.append(result)
                kept = self.failed
            else:
                if self.look is not None and outputs is not None:
                    result = self.look(result, outputs)
                self.results.append(result)
                kept = self.results
            if self.most_kept is not None and len(kept) > self.most_kept:
                del kept[: len(kept) - self.most_kept]
            self._end_at = time.perf_counter()
            self.events.tell(ImageEnded(number=number, result=result))
        return Ended(number, result, outputs)

    def _began_s(self, begin: float) -> float:
        return max(begin - self._start, 0.0)

    def _settle(self, waiting: deque[Underway], most: int, *, last: bool = False,
                tell: Callable[[str], None] = lambda what: None) -> Iterator[Ended]:  # fmt: skip
        """End the oldest images until at most `most` are left, or until they may wait for the server in the queue."""
        while waiting and (len(waiting) > most or waiting[0].exchange.is_over):
            image = waiting[0]
            connection = image.connection
            if not image.was_late and not connection.wait(image.exchange, image.asked_at + self._patience_s(connection)):
                image.was_late = True
                self._late += 1
            if image.exchange.answer is not None:
                self._late = 0
                outputs: Mapping[str, Tensor] | None = image.exchange.answer.outputs
                result: ImageResult | FailedImage = self._answered(image)
            elif image.dropped is not None:
                result, outputs = FailedImage(file=image.name, reason=image.dropped, retries=image.exchange.retries), None
            elif image.route.fallback is not None and image.route.fallback.refusal is None:
                result, outputs = self._here(connection, image.route.fallback, image)
            elif self._is_hopeless(connection, image):
                result, outputs = self._given_up(connection, image), None
            elif len(waiting) < QUEUED_IMAGES and not last:
                tell(f"no server, {counted(len(waiting), 'image')} to be sent to it")
                return
            else:
                tell(f"waiting for the server with {counted(len(waiting), 'image')}")
                connection.wait(image.exchange, image.asked_at + self.timeouts.give_up_s)
                continue
            with in_one_piece():
                ended = self._end(image.number, result, outputs)
                image.is_over = True
            waiting.popleft()
            yield ended

    def _patience_s(self, connection: ServerConnection) -> float:
        """How long an image may wait for its answer. The time gets shorter with each image in a row that got none."""
        if not self._late:
            return self.timeouts.result_s
        if not connection.is_open:
            return 0.0
        usual = [result.latency_s for result in self.results if result.finished_at == "plan"][-9:]
        return max(self.timeouts.result_s * 0.5**self._late, 4 * max(usual, default=0.0))

    def _is_hopeless(self, connection: ServerConnection, image: Underway) -> bool:
        late = time.monotonic() >= image.asked_at + self.timeouts.give_up_s
        return late or image.exchange.failure is not None or connection.refused is not None

    def _answered(self, image: Underway) -> ImageResult:
        answer = image.exchange.answer
        assert answer is not None
        classifying = time.perf_counter()
        seen = self._class(answer.outputs)
        return ImageResult(
            file=image.name,
            **seen,
            t_edge_s=image.t_edge_s + image.exchange.t_encode_s,
            t_tx_s=answer.t_tx_s,
            t_server_s=answer.t_server_s,
            latency_s=image.exchange.ended_at - image.begin + time.perf_counter() - classifying,
            t_queue_s=image.exchange.t_queue_s,
            t_server_queue_s=answer.t_queue_s,
            beyond=answer.beyond,
            t_encode_s=image.exchange.t_encode_s,
            t_decode_s=answer.t_decode_s,
            t_server_encode_s=answer.t_encode_s,
            sent_bytes=image.exchange.sent_bytes,
            received_bytes=answer.received_bytes,
            began_s=self._began_s(image.begin),
            cut=image.route.cut,
            retries=image.exchange.retries,
        )

    def _here(self, connection: ServerConnection, fallback: Fallback,
              image: Underway) -> tuple[ImageResult | FailedImage, Mapping[str, Tensor] | None]:  # fmt: skip
        waited_s = time.perf_counter() - image.exchange.began_at
        reason = self._reason(connection, image)
        connection.withdraw(image.exchange, reason)
        loading = time.perf_counter()
        try:
            with self.heads, torch.inference_mode():
                outputs, tail_s = fallback.run(image.crossing)
        except THEIR_ERRORS as error:  # what the server could not do either, as a rule
            failure = f"{reason}; and at the edge: {first_line(error)}"
            return FailedImage(file=image.name, reason=failure, retries=image.exchange.retries), None
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
            began_s=self._began_s(image.begin),
            cut=image.route.cut,
            retries=image.exchange.retries,
            finished_at="edge",
            reason=reason,
        ), outputs

    def _given_up(self, connection: ServerConnection, image: Underway) -> FailedImage:
        reason = self._reason(connection, image)
        connection.withdraw(image.exchange, reason)
        refusal = image.route.fallback.refusal if image.route.fallback else None
        return FailedImage(file=image.name, reason=f"{reason}; {refusal}" if refusal else reason,
                           retries=image.exchange.retries)  # fmt: skip

    def _reason(self, connection: ServerConnection, image: Underway) -> str:
        if image.exchange.failure is not None:
            return image.exchange.failure
        if connection.refused is not None:
            return str(connection.refused)
        if connection.failures and connection.reason:
            return connection.reason
        return f"{connection.name}: no answer within {time.monotonic() - image.asked_at:.1f} s"

    def _class(self, outputs: Mapping[str, Tensor]) -> Seen:
        logits = logits_of(outputs)
        if logits is None:
            return {"class_": None, "class_name": None, "returns": in_words(outputs)[:MOST_WORDS]}
        found = class_in(logits)
        known = 0 < len(self.class_names) == logits.numel()
        return {"class_": found, "class_name": self.class_names[found] if known else None, "returns": None}
