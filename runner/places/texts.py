"""The texts that a place works on. A decoder's blocks keep a state for each text; here the states are kept, within limits.

A token enters a text once, and in order.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from measurement.codec_choice import Choice
from measurement.decoders import State
from measurement.decoders.state import Pick
from runner.faults.refusal import Refusal, refusing
from runner.parts.part import Crossing
from runner.places.answers import Asker, Took
from runner.places.batching import Batches, Computed, made_of
from runner.places.onward import Onward
from runner.places.served import OwnPart, ServedPlan, TailAnswer
from runner.wire.protocol import Infer, Tensors, TextStep
from runner.wire.protocol.headers import LARGEST_PAYLOAD_BYTES
from runner.wire.tensors import unpack

MOST_TEXTS, MOST_TEXT_BYTES = 64, 2**30
"""The most texts that a server keeps, and their most bytes together."""
STALE_S = 600.0
"""After so many seconds without a question a text is old. If room is needed, old texts go first."""

Key = tuple[Hashable, int]
"""Who asks (an `Asker`), and the number of one of its texts."""


@dataclass
class _Text:
    """One text of an edge at an address (`host`); `busy` is held by whoever works with it."""

    host: str = ""
    state: State = field(default_factory=State)
    busy: threading.Lock = field(default_factory=threading.Lock)
    n_bytes: int = 0
    used_at: float = field(default_factory=time.monotonic)


class Texts:
    """The texts that a server keeps for its edges: at most `most`, which take at most `most_bytes` together.

    If there are more, one text is forgotten. If the text that was used the longest time ago is older than STALE_S, it is that one.
    Otherwise the server looks for the address with the most, then for that address's session with the most, and forgets the oldest
    text of that session. So one edge cannot push out the texts of all others. An edge whose text was forgotten sends it again. Only
    the edge knows the id of its session, so nobody else can reach its texts.
    """

    def __init__(self, most: int = MOST_TEXTS, most_bytes: int = MOST_TEXT_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._texts: OrderedDict[Key, _Text] = OrderedDict()
        self._changing = threading.Lock()

    @property
    def n_bytes(self) -> int:
        """The bytes of all texts together."""
        with self._changing:
            return sum(text.n_bytes for text in self._texts.values())

    def __len__(self) -> int:
        return len(self._texts)

    @contextmanager
    def taken(self, key: Key, host: str = "") -> Iterator[State]:
        """The state of a text, for the `with` block alone: other threads wait. A new text has an empty state.

        `host` is the edge's address. Raises Refusal at the end of the block if this text alone takes more than is kept.
        """
        with self._changing:
            text = self._texts.setdefault(key, _Text(host))
        with text.busy:
            try:
                yield text.state
            finally:
                self._note(key, text)
        if text.n_bytes > self._most_bytes:
            raise Refusal("refused", f"the text takes {text.n_bytes} bytes here; at most {self._most_bytes} are kept")

    def forget(self, key: Key) -> None:
        """Forget a text that is over."""
        with self._changing:
            self._texts.pop(key, None)

    def _note(self, key: Key, text: _Text) -> None:
        text.n_bytes, text.used_at = text.state.n_bytes, time.monotonic()
        with self._changing:
            self._texts[key] = text
            self._texts.move_to_end(key)
            total = sum(one.n_bytes for one in self._texts.values())
            while self._texts and (len(self._texts) > self._most or total > self._most_bytes):
                total -= self._texts.pop(self._first_to_go(total > self._most_bytes)).n_bytes

    def _first_to_go(self, by_bytes: bool) -> Key:
        oldest = next(iter(self._texts))
        if time.monotonic() - self._texts[oldest].used_at > STALE_S:
            return oldest
        hosts, sessions = Counter[str](), Counter[tuple[str, Hashable]]()
        for key, text in self._texts.items():
            hosts[text.host] += text.n_bytes if by_bytes else 1
            sessions[text.host, key[0]] += text.n_bytes if by_bytes else 1
        host = max(hosts, key=lambda one: hosts[one])
        whose = max((one for one in sessions if one[0] == host), key=lambda one: sessions[one])
        return next(key for key, text in self._texts.items() if (text.host, key[0]) == whose)


class ServedTexts(ServedPlan):
    """A part of a decoder. It takes whole prompts, which leave nothing behind, and texts, some tokens at a time."""

    def __init__(self, part: OwnPart, computing: threading.Lock, codec: Choice | None, batches: Batches | None,
                 onward: Onward | None, kept: tuple[Texts, str, Asker]) -> None:  # fmt: skip
        super().__init__(part, computing, codec, batches, onward)
        self._computing = computing
        self._texts, self._host, self._asker = kept
        self._longest = part.longest or 0
        (header,) = part.expected
        a_token = header.bytes // header.shape[1]
        self.request_bytes = max(self.request_bytes, min(a_token * self._longest, LARGEST_PAYLOAD_BYTES))

    def begin(self, request: Infer, payload: memoryview) -> Callable[[], TailAnswer]:
        """Compute the part for a prompt, as the base class does, or the next tokens of a text.

        Tokens of a text say at which position they begin. If more of the text is kept than that, the rest is cut off, because it
        comes again. If less is kept, nothing is computed, and the answer says how much is kept.
        """
        text = request.text
        if text is None:
            return super().begin(request, payload)
        key = self._asker, text.number
        if text.ends:
            self._texts.forget(key)
            return self._over(request)
        self._check_text(request, text)
        with self._texts.taken(key, self._host) as state:
            if not _is_at(state, text.position):
                held = TailAnswer(Tensors(), [], Took(0.0), 0.0, held=state.length)
                return lambda: held
            state.pick = Pick(text.temperature, text.seed)
            done = self._advanced(state, request, payload, text.pieces)
        with refusing("failed", "the part failed"), torch.inference_mode():
            return self._answering(request, *done)

    def _over(self, request: Infer) -> Callable[[], TailAnswer]:
        onward = self.onward
        exchange = None if onward is None else onward.ask(request.id, Crossing(), request.text)

        def answer() -> TailAnswer:
            if onward is not None and exchange is not None:
                onward.answer(exchange)
            return TailAnswer(Tensors(), [], Took(0.0), 0.0, held=0)

        return answer

    def _advanced(self, state: State, request: Infer, payload: memoryview,
                  pieces: tuple[int, ...]) -> tuple[Crossing, Computed, Took]:  # fmt: skip
        """What came, what the part makes of it (of the last pass, or, to be sent on, of all), and what that took."""
        arrived = time.perf_counter()
        with refusing("failed", "the part failed"), torch.inference_mode(), self._computing:
            begin = time.perf_counter()
            ((name, tensor),) = unpack(request.tensors, payload).items()
            found = []
            for piece in torch.split(tensor, list(pieces), 1):
                with state.call(piece.shape[1]):  # a copy: in memory that is aligned as it was where it was made
                    found.append(made_of(self._part.module, Crossing({name: piece.clone()}, self._part.scalars)))
            made = found[-1] if self.onward is None else _joined(found)
            t_s = time.perf_counter() - begin
        return Crossing({name: tensor}, self._part.scalars), Computed(made, t_s, begin - arrived), Took(t_s)

    def _check_text(self, request: Infer, text: TextStep) -> None:
        (wanted,) = self._part.expected
        shape = (wanted.shape[0], sum(text.pieces), *wanted.shape[2:])
        found = [(tensor.name, tensor.dtype, tensor.shape, tensor.encoded_bytes) for tensor in request.tensors]
        if found != [(wanted.name, wanted.dtype, shape, None)]:
            raise Refusal("tensors", f"{sum(text.pieces)} tokens of a text: expected {wanted.name} {wanted.dtype}{list(shape)}")
        if not text.pieces or text.length > self._longest:
            raise Refusal("tensors", f"{sum(text.pieces)} tokens behind {text.position}: expected one or more, together at "
                                     f"most {self._longest}")  # fmt: skip


def _joined(found: list[Crossing]) -> Crossing:
    """What several passes made, one after another."""
    return Crossing({key: torch.cat([one[key] for one in found], 1) for key in found[0]}, found[-1].scalars, found[-1].kept)


def _is_at(state: State, position: int) -> bool:
    """Whether the text goes on at this position, once what came after it is forgotten: it is asked for again."""
    if position < state.length and not state.cut_to(position):
        return position == 0
    return position == state.length
