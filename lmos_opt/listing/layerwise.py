"""Fronts of two places layer by layer: of splits that are alike for all layers to come, the better ones alone are gone on with.

Layers are placed in topological order, each at the edge (where all that it reads is) or at the server. For what is still to be
placed it only matters where the tensors are that later layers read, whether each of them crosses already, and whether anything runs
at either side yet: that is a state. Two splits of the layers so far that are in one state can be continued in the same ways, and
each way adds the same to both: to linear objectives, to the memory under `sum`, and, under `peak`, to the weights plus the most
bytes alive so far and to the weights plus the bytes that stay to the end, of which the larger decides at each later step. So what
is nowhere worse in all of these stays nowhere worse, and the other one is left out. Under a memory limit, where less memory may be
what is wanted, it has to be equal. As many states are met as the widest place of the graph makes, and these are few in nearly all
networks, however many splits they have.

Linear costs are added up as whole numbers of a unit so small that all their rounding together stays below an eighth of what costs
must differ by to be different; so equal parts are equal, and no sum goes wrong. What is left at the end is evaluated by itself.
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
"""With more partial splits than these the listing stops: a search may be quicker."""
AT_EDGE, CROSSES, HELD = 1, 2, 4
"""What is known of a tensor that later layers read."""

Rows = NDArray[np.int64]
State = tuple[tuple[int, ...], bool, bool]
"""What is known of each live tensor, and whether anything runs at the edge, and at the server."""


class TooManyError(Exception):
    """There are more partial splits than MOST_PARTIAL."""


@dataclass(eq=False)
class Parts(Splits):
    """Stands in for the splits, and tells what an objective asks of them: a sum, or the first place's memory."""

    asked: list[Sum | int | None] = field(default_factory=list)

    def of_another(self, instance: Instance) -> Parts:
        """Takes note for an instance with other numbers."""
        return Parts(instance, self.memory_model, self.shape, asked=self.asked)

    def listed(self, one: Sum) -> Listed:
        """Take note of a sum."""
        self.asked.append(one)
        return Listed(np.zeros(0), 0.0, one.spread)

    def largest(self, parts: Sequence[Sum], spread: float) -> Listed:
        """Take note of what is not a sum."""
        self.asked.append(None)
        return Listed(np.zeros(0), 0.0, spread)

    def memory(self, p: int) -> Listed:
        """Take note of a place's memory."""
        self.asked.append(p)
        return Listed(np.zeros(0), 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear cost in whole units: of each layer at the edge, of each tensor that crosses, and of the exchange."""

    upto: Rows
    sent: Rows
    offload: int

    @classmethod
    def of(cls, one: Sum, sign: float, unit: float, n_layers: int, n_tensors: int) -> Linear:
        """A sum's, in units; what a codec takes at both sides belongs to the tensor that crosses."""
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
    """What is asked: linear costs; whether memory is to be large (-1) or small (1), or both; its limit (B); the memory model."""

    linear: tuple[Linear, ...]
    memory: tuple[int, ...]
    limit: int | None
    memory_model: MemoryModel
    proper_split: bool


@dataclass(eq=False)
class Layerwise:
    """The layers of an instance of two places, placed one after another; `best` gives the edge sets that are left."""

    instance: Instance
    asked: Asked
    seen: int = 0
    """Partial splits so far."""

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
        """The edge sets of which no other is better in everything, each cost once. TooManyError if there are too many."""
        if self._found is None:
            self.find(check_time)
        assert self._found is not None
        return self._sets(*self._found)

    def find(self, check_time: Callable[[], None]) -> None:
        """Place all layers, once. TooManyError if there are too many partial splits."""
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
        """The groups after layer k, the tensors that are live then, and how each partial split came to be."""
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
        """What is known, and the rows, with layer k at the edge."""
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
        """The same with layer k at the server: what it reads and is at the edge crosses."""
        rows, then = rows.copy(), dict(known)
        for u in self._inputs[k]:
            if then[u] & AT_EDGE and not then[u] & CROSSES:
                then[u] |= CROSSES
                for row, cost in enumerate(self.asked.linear):
                    rows[row] += cost.sent[u]
        then[self._n_inputs + k] = 0
        return then, rows

    def _gone(self, then: dict[int, int], rows: Rows, dead: list[int]) -> Rows:
        """The rows once nothing reads these tensors any more: those that cross or are returned stay to the end."""
        if self._is_peak:
            for u in dead:
                stays = then[u] & CROSSES or (u >= self._n_inputs and self.instance.layers[u - self._n_inputs].returned)
                if then[u] & AT_EDGE and stays:
                    rows[self._n_linear + 1] += self._bytes[u]
        return rows

    def _compared(self, rows: Rows) -> Rows:
        """The rows by which partial splits of one state are compared, all to be small."""
        linear, memory = rows[: self._n_linear], rows[self._n_linear :]
        return np.concatenate([linear, *(sign * memory for sign in dict.fromkeys(self._signs))])

    def _left(self, groups: dict[State, tuple[Rows, Rows]]) -> Rows:
        """Those that are best of all at the end."""
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
