"""Fronts of two places by dynamic programming over layers: of partial splits in the same state only the better ones are continued.

Layers are placed in topological order, each at the edge (if all that it reads is there) or at the server. A partial split places
the first layers. Its state is all that matters for the other layers: where each tensor is that a later layer reads, whether it
crosses already, and whether any layer runs at the edge, and at the server.

Two partial splits in one state can be continued in the same ways. Each way adds the same amount to the linear objectives of both,
and to their memory under the model `sum`. Under `peak` it adds the same to two quantities: the weights plus the most bytes alive so
far, and the weights plus the bytes that stay to the end. A later step takes the larger of the two. So if one partial split is
nowhere worse than another one, each continuation of it is nowhere worse, and the other one is dropped. With a memory limit the
memory of the two must be equal, because the one with less memory may still fit later.

The number of states depends on how many tensors are alive at once. In nearly all networks there are few states, however many splits
there are.

Linear costs are added as whole multiples of a unit. The unit is so small that the rounding errors of a sum stay below an eighth of
the least difference between two costs. So equal parts have equal costs, and sums are exact. The values of the remaining splits are
computed from the splits themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.listing.dominance import best_whole
from lmos_opt.listing.splits import Listed, Splits
from lmos_opt.listing.sums import Sum

MOST_PARTIAL = 1_000_000
"""The most partial splits. With more, the listing stops, because a search may take less time."""
AT_EDGE, CROSSES, HELD = 1, 2, 4
"""What is known of a tensor that a later layer reads: it is at the edge; it crosses; it is an input whose bytes are counted."""

Rows = NDArray[np.int64]
State = tuple[tuple[int, ...], bool, bool]
"""What is known of each tensor that a later layer reads; whether any layer runs at the edge; whether any runs at the server."""


class TooManyError(Exception):
    """There are more partial splits than MOST_PARTIAL."""


@dataclass(eq=False)
class Parts(Splits):
    """Takes the place of `Splits` to find out what an objective asks for: a sum (`Sum`), or the memory of a place (its number).

    `asked` has one entry for each question, None for any other quantity. The arrays that it returns are empty.
    """

    asked: list[Sum | int | None] = field(default_factory=list)

    def of_another(self, instance: Instance) -> Parts:
        """The same list of questions, for an instance with other numbers."""
        return Parts(instance, self.memory_model, self.shape, asked=self.asked)

    def listed(self, one: Sum) -> Listed:
        """Note a sum."""
        self.asked.append(one)
        return Listed(np.zeros(0), 0.0, one.spread)

    def largest(self, parts: Sequence[Sum], spread: float) -> Listed:
        """Note a quantity that is not a sum."""
        self.asked.append(None)
        return Listed(np.zeros(0), 0.0, spread)

    def memory(self, p: int) -> Listed:
        """Note the memory of place p."""
        self.asked.append(p)
        return Listed(np.zeros(0), 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear cost in whole units: `upto` for each layer at the edge, shape (layers,), `sent` for each crossing tensor, shape
    (tensors,), `offload` for the exchange.
    """

    upto: Rows
    sent: Rows
    offload: int

    @classmethod
    def of(cls, one: Sum, sign: float, unit: float, n_layers: int, n_tensors: int) -> Linear:
        """The cost of a sum, in units. Encoding and decoding times belong to the crossing tensor. `sign` is -1 to maximise."""
        upto, sent, offload = np.zeros(n_layers), np.zeros(n_tensors), 0.0
        for term in one.terms:
            if term.kind == "upto":
                upto += term.factor * term.weights
            elif term.kind == "offload":
                offload += term.factor * float(term.weights[0])
            else:
                sent += term.factor * term.weights
        return cls(_whole(sign * upto / unit), _whole(sign * sent / unit), round(sign * offload / unit))


def _whole(values: NDArray[np.float64]) -> Rows:
    return np.rint(values).astype(np.int64)


@dataclass(frozen=True)
class Asked:
    """The question: linear costs, memory as a cost (1: to be small, -1: large, or both), its limit (B), the memory model."""

    linear: tuple[Linear, ...]
    memory: tuple[int, ...]
    limit: int | None
    memory_model: MemoryModel
    proper_split: bool


@dataclass(eq=False)
class Layerwise:
    """The search over an instance of two places. `best` gives the edge sets that remain."""

    instance: Instance
    asked: Asked
    seen: int = 0
    """The number of partial splits so far."""

    def __post_init__(self) -> None:
        instance = self.instance
        self._names = instance.tensors
        self._index = {name: k for k, name in enumerate(self._names)}
        self._bytes = [instance.tensor_bytes(name) for name in self._names]
        n_inputs = len(instance.inputs)
        position = {name: k for k, name in enumerate(instance.names)}
        self._last = [max((position[v] for v in instance.consumers[name]), default=-1) for name in self._names]
        self._inputs = [[self._index[u] for u in dict.fromkeys(layer.inputs)] for layer in instance.layers]
        self._n_inputs = n_inputs
        self._signs = (*self.asked.memory, *((1, -1) if self.asked.limit is not None else ()))
        self._n_linear = len(self.asked.linear)
        self._is_peak = self.asked.memory_model == "peak"
        self._found: tuple[Rows, list[tuple[Rows, NDArray[np.bool_]]]] | None = None

    def best(self, check_time: Callable[[], None]) -> Iterator[frozenset[str]]:
        """The edge sets of non-dominated costs, one for each cost vector.

        Raises TooManyError if there are more than MOST_PARTIAL partial splits. `check_time` is called for each layer and may raise.
        """
        if self._found is None:
            self.find(check_time)
        assert self._found is not None
        return self._sets(*self._found)

    def find(self, check_time: Callable[[], None]) -> None:
        """Place all layers. TooManyError if there are more than MOST_PARTIAL partial splits."""
        self.seen = 0
        live = [k for k in range(self._n_inputs) if self._last[k] >= 0]
        n_rows = self._n_linear + (2 if self._is_peak else 1)
        groups: dict[State, tuple[Rows, Rows]] = {
            (tuple(AT_EDGE for _ in live), False, False): (np.zeros((n_rows, 1), dtype=np.int64), np.zeros(1, dtype=np.int64))
        }
        steps: list[tuple[Rows, NDArray[np.bool_]]] = []
        for k in range(len(self.instance.layers)):
            check_time()
            groups, live, step = self._placed(k, groups, live)
            steps.append(step)
            self.seen += len(step[0])
            if self.seen > MOST_PARTIAL:
                raise TooManyError
        self._found = self._left(groups), steps

    def _placed(self, k: int, groups: dict[State, tuple[Rows, Rows]], live: list[int]) -> Any:
        """The partial splits after layer k, grouped by state; the tensors that later layers read; and the step.

        The step has for each partial split the index of the one that it continues, and whether layer k is at the edge.
        """
        own = self._n_inputs + k
        after = [u for u in (*live, own) if self._last[u] > k]
        found: dict[State, list[tuple[Rows, Rows, bool]]] = {}
        for state, (rows, ids) in groups.items():
            known = dict(zip(live, state[0], strict=True))
            for at_edge in (True, False):
                if at_edge and not all(known[u] & AT_EDGE for u in self._inputs[k]):
                    continue
                placed = self._at_edge(k, state, known, rows) if at_edge else self._at_server(k, known, rows)
                then, moved = placed
                moved = self._gone(then, moved, [u for u in (*live, own) if self._last[u] <= k])
                if self.asked.limit is not None:
                    fits = moved[self._n_linear] <= self.asked.limit
                    moved, chosen = moved[:, fits], ids[fits]
                else:
                    chosen = ids
                if moved.shape[1]:
                    key = tuple(then[u] for u in after), state[1] or at_edge, state[2] or not at_edge
                    found.setdefault(key, []).append((moved, chosen, at_edge))
        parents, bits, groups = [], [], {}
        start = 0
        for key, several in found.items():
            rows = np.concatenate([moved for moved, _, _ in several], axis=1)
            ids = np.concatenate([chosen for _, chosen, _ in several])
            edge = np.concatenate([np.full(len(chosen), at_edge) for _, chosen, at_edge in several])
            kept = best_whole(self._compared(rows))
            parents.append(ids[kept])
            bits.append(edge[kept])
            groups[key] = rows[:, kept], np.arange(start, start + len(kept))
            start += len(kept)
        nothing = np.zeros(0, dtype=np.int64)
        return groups, after, (np.concatenate(parents or [nothing]), np.concatenate(bits or [nothing.astype(bool)]))

    def _at_edge(self, k: int, state: State, known: dict[int, int], rows: Rows) -> tuple[dict[int, int], Rows]:
        """What is known of tensors, and the costs `rows` (costs, partial splits), after layer k is placed at the edge."""
        layer, own, rows, then = self.instance.layers[k], self._n_inputs + k, rows.copy(), dict(known)
        for row, cost in enumerate(self.asked.linear):
            rows[row] += cost.upto[k]
        first = self._n_linear
        if self._is_peak:
            alive = sum(self._bytes[u] for u, what in known.items() if what & AT_EDGE) + layer.output_bytes + layer.workspace_bytes
            rows[first:] += layer.held_bytes
            np.maximum(rows[first], rows[first + 1] + alive, out=rows[first])
        else:
            rows[first] += layer.held_bytes + layer.output_bytes
            if self._n_inputs == 1:
                rows[first] += 0 if state[1] else self._bytes[0]
            for u in self._inputs[k] if self._n_inputs > 1 else ():
                if u < self._n_inputs and not then[u] & HELD:
                    rows[first] += self._bytes[u]
                    then[u] |= HELD
        then[own] = AT_EDGE
        return then, rows

    def _at_server(self, k: int, known: dict[int, int], rows: Rows) -> tuple[dict[int, int], Rows]:
        """The same after layer k is placed at the server: each tensor that it reads from the edge crosses."""
        rows, then = rows.copy(), dict(known)
        for u in self._inputs[k]:
            if then[u] & AT_EDGE and not then[u] & CROSSES:
                then[u] |= CROSSES
                for row, cost in enumerate(self.asked.linear):
                    rows[row] += cost.sent[u]
        then[self._n_inputs + k] = 0
        return then, rows

    def _gone(self, then: dict[int, int], rows: Rows, dead: list[int]) -> Rows:
        """The costs after the last reader of the tensors `dead`. Those that cross or are returned stay in memory to the end."""
        if self._is_peak:
            for u in dead:
                stays = then[u] & CROSSES or (u >= self._n_inputs and self.instance.layers[u - self._n_inputs].returned)
                if then[u] & AT_EDGE and stays:
                    rows[self._n_linear + 1] += self._bytes[u]
        return rows

    def _compared(self, rows: Rows) -> Rows:
        """The costs by which partial splits of one state are compared; all are minimised."""
        linear, memory = rows[: self._n_linear], rows[self._n_linear :]
        return np.concatenate([linear, *(sign * memory for sign in dict.fromkeys(self._signs))])

    def _left(self, groups: dict[State, tuple[Rows, Rows]]) -> Rows:
        """The indices of the complete splits with non-dominated costs, one for each cost vector."""
        rows, ids = [], []
        for (_, at_edge, at_server), (found, numbers) in groups.items():
            if self.asked.proper_split and not (at_edge and at_server):
                continue
            costs = found[: self._n_linear + 1].copy()
            for row, cost in enumerate(self.asked.linear):
                costs[row] += cost.offload if at_server else 0
            rows.append(costs)
            ids.append(numbers)
        if not rows:
            return np.zeros(0, dtype=np.int64)
        costs, numbers = np.concatenate(rows, axis=1), np.concatenate(ids)
        final = np.concatenate([costs[: self._n_linear], *(sign * costs[self._n_linear :] for sign in self.asked.memory)])
        return numbers[best_whole(final)]

    def _sets(self, ids: Rows, steps: list[tuple[Rows, NDArray[np.bool_]]]) -> Iterator[frozenset[str]]:
        for one in ids.tolist():
            edge, at = [], one
            for name, (parents, bits) in zip(reversed(self.instance.names), reversed(steps), strict=True):
                if bits[at]:
                    edge.append(name)
                at = int(parents[at])
            yield frozenset(edge)
