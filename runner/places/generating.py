"""Text from a decoder that is split: one token after another, with one exchange for each. Each place keeps the state of its own
blocks.

The edge keeps what it sent, pass by pass. If a place has lost its state (it was started again, or had too many texts), the edge
sends the same passes again. So the text goes on with the same bits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmos_opt.errors import InputError
from measurement.decoders import State
from measurement.decoders.state import Pick
from measurement.tracing.calls import call
from runner.client.exchange import ServerAnswer
from runner.client.pipeline import Route
from runner.errors import RunnerError
from runner.parts.part import Crossing
from runner.wire.protocol import TextStep
from runner.wire.protocol.messages import MOST_PIECES

MOST_SENT_BYTES = 2**24
"""The most bytes of one question, when a text is sent again."""
MOST_LOSSES = 20
"""If a place loses a text so often in a row, the text fails."""
_STEP_S, _FAREWELL_S = 0.5, 2.0


@dataclass(frozen=True)
class Asked:
    """What a text is asked for.

    - `ids`: the prompt.
    - `most`: how many tokens are to follow it, at most.
    - `stops`: the ids after which the text ends.
    - `pick`: how each token is chosen.
    """

    ids: tuple[int, ...]
    most: int
    stops: frozenset[int] = frozenset()
    pick: Pick = field(default_factory=Pick)

    def check(self, vocabulary: int | None, longest: int | None) -> Asked:
        """Returns itself. Raises InputError for ids outside the `vocabulary`, and for a text of more than `longest` tokens (None:
        not known)."""
        if not self.ids:
            raise InputError("ids", "are none; a prompt has at least one")
        wrong = next((one for one in self.ids if one < 0 or (vocabulary is not None and one >= vocabulary)), None)
        if wrong is not None:
            raise InputError("ids", f"{wrong} is none; expected 0 to {'any' if vocabulary is None else vocabulary - 1}")
        if self.most < 1:
            raise InputError("max_new_tokens", f"got {self.most}, expected 1 or more")
        if longest is not None and len(self.ids) + self.most - 1 > longest:
            raise InputError("max_new_tokens", f"a prompt of {len(self.ids)} and {self.most} more are more than the decoder's "
                                               f"{longest} positions")  # fmt: skip
        if self.pick.temperature is not None and not self.pick.temperature > 0:
            raise InputError("temperature", f"got {self.pick.temperature}, expected more than 0")
        if not 0 <= self.pick.seed < 2**53:
            raise InputError("seed", f"got {self.pick.seed}, expected 0 to {2**53 - 1}")
        return self


@dataclass
class Times:
    """The times (s) of a text: to its first token, and for each further one. `told_again`: how often a place had lost the text."""

    first_s: float = 0.0
    further_s: list[float] = field(default_factory=list)
    told_again: int = 0


@dataclass(frozen=True)
class Way:
    """What a text needs of a connected split.

    - `route`: the head, and the connection behind it.
    - `numbers`: ids for questions, each used once in the session.
    - `give_up_s`: how long (s) to wait for an answer.
    - `heads`: the lock of whoever computes a head.
    """

    route: Route
    numbers: Iterator[int]
    give_up_s: float
    heads: threading.Lock


class Text:
    """One text: an iterator over its new ids. It can be read once. `times` grows meanwhile."""

    def __init__(self, asked: Asked, way: Way) -> None:
        self._asked, self._way, self._number = asked, way, next(way.numbers)
        self._state = State(asked.pick)
        self._passes: list[Tensor] = []
        self._name = ""
        self._held = 0
        self.times = Times()

    def __iter__(self) -> Iterator[int]:
        new = torch.tensor([self._asked.ids])
        try:
            for k in range(self._asked.most):
                begin = time.perf_counter()
                found = self._next(new)
                took = time.perf_counter() - begin
                if k:
                    self.times.further_s.append(took)
                else:
                    self.times.first_s = took
                yield found
                if found in self._asked.stops:
                    break
                new = torch.tensor([[found]])
        finally:
            self._end()

    def _next(self, new: Tensor) -> int:
        """The id that follows these."""
        route = self._way.route
        with self._way.heads, torch.inference_mode(), self._state.call(new.shape[1]):
            made = call(route.head, new)
        if route.connection is None:
            return int(made)
        ((self._name, tensor),) = made.items()
        self._passes.append(tensor)
        return self._answered()

    def _answered(self) -> int:
        """What the places beyond say to the text so far, as much of which goes to them as they do not hold."""
        losses = 0
        while True:
            begin, position = self._first_to_send()
            passes = self._fitting(begin)
            text = TextStep(number=self._number, position=position, pieces=tuple(one.shape[1] for one in passes),
                            temperature=self._asked.pick.temperature, seed=self._asked.pick.seed)  # fmt: skip
            tensor = passes[0] if len(passes) == 1 else torch.cat(passes, 1)
            answer = self._ask(Crossing({self._name: tensor}), text)
            self._held = answer.held or 0
            if self._held != text.length:
                losses += 1
                self.times.told_again += 1
                if losses > MOST_LOSSES:
                    raise RunnerError("text", f"was forgotten {losses} times by a place after this one before it could go on")
            elif self._held == self._state.length:
                (found,) = answer.outputs.values()
                return int(found)

    def _first_to_send(self) -> tuple[int, int]:
        """The first pass that the places beyond do not hold, and where it begins; all where they hold a part of one."""
        position = 0
        for k, one in enumerate(self._passes):
            if position == self._held:
                return k, position
            position += one.shape[1]
        return 0, 0

    def _fitting(self, begin: int) -> list[Tensor]:
        """From this pass on, as many as one question may have."""
        found, n_bytes = [self._passes[begin]], self._passes[begin].nbytes
        for one in self._passes[begin + 1 :]:
            n_bytes += one.nbytes
            if n_bytes > MOST_SENT_BYTES or len(found) == MOST_PIECES:
                break
            found.append(one)
        return found

    def _ask(self, crossing: Crossing, text: TextStep) -> ServerAnswer:
        connection = self._way.route.connection
        assert connection is not None
        exchange = connection.ask(next(self._way.numbers), crossing, text)
        until = time.monotonic() + self._way.give_up_s
        try:
            while not connection.wait(exchange, min(time.monotonic() + _STEP_S, until)):
                if connection.refused is not None:
                    raise RunnerError(connection.name, str(connection.refused))
                if time.monotonic() >= until:
                    raise RunnerError(connection.name, connection.reason or "no answer")
        finally:
            if not exchange.is_over:
                connection.withdraw(exchange, "given up")
        if exchange.answer is None:
            raise RunnerError(connection.name, exchange.failure or "no answer")
        return exchange.answer

    def _end(self) -> None:
        """The places beyond need not remember the text any more; where they cannot be told at once, they find out themselves."""
        connection, self._passes = self._way.route.connection, []
        self._state.clear()
        if connection is None or not self._held or not connection.is_open:
            return
        over = TextStep(number=self._number, position=self._held, ends=True)
        exchange = connection.ask(next(self._way.numbers), Crossing(), over)
        if not connection.wait(exchange, time.monotonic() + _FAREWELL_S):
            connection.withdraw(exchange, "given up")


def asked(ids: Sequence[int], most: int, temperature: float | None, seed: int | None, stops: Sequence[int]) -> Asked:
    """The arguments of `generate` as an `Asked`. InputError if an id, a number or a seed is not whole."""
    try:
        found = tuple(map(int, ids))
    except (TypeError, ValueError):
        raise InputError("ids", f"got {ids!r:.60}, expected token ids, a list of whole numbers") from None
    return Asked(found, most, frozenset(stops), Pick(temperature, seed or 0))


