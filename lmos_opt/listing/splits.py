"""`Splits`: all splits of an instance, and quantities of all of them in arrays of shape (splits,).

The quantities are sums of doubles, so each comes with its largest rounding error. Sizes in bytes are exact. The arrays only say
which splits may be on a front. The values of those splits are then computed from the places of their layers, as for every front.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.listing.place_memory import most_alive, stays_at, summed
from lmos_opt.listing.shapes import Flags, Shape, graph_of, holds, holds_all, holds_any
from lmos_opt.listing.sums import Array, Sum, Term, total
from lmos_opt.split import Split

T = TypeVar("T")
MOST_ENTRIES, LARGE = 50_000_000, 100
"""The most numbers, one for each layer and arc of each split, for which splits are listed although nobody chose enumeration.
A graph with n < LARGE layers may have only (n / LARGE)**2 of them, because its search takes less time."""
MOST_KEPT = 100
"""The most arrays that are kept for the next instance."""
EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Listed:
    """A quantity of all splits: its `values`, shape (splits,), their largest error `off`, and the `spread` of its form."""

    values: NDArray[np.floating[Any]] | NDArray[np.int64]
    off: float
    spread: float


@dataclass(eq=False)
class Splits:
    """The splits of `shape` with the numbers of `instance`. Sums are kept, and used again for instances with the same numbers."""

    instance: Instance
    memory_model: MemoryModel
    shape: Shape
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, instance: Instance, memory_model: MemoryModel = "sum") -> Splits:
        """All splits of an instance. InputError if there are too many, or if codecs must be chosen too."""
        _check_closed(instance)
        return cls(instance, memory_model, Shape.of(instance))

    @classmethod
    def of_few(cls, instance: Instance, memory_model: MemoryModel = "sum") -> Splits | None:
        """All splits of an instance if they are so few that to evaluate them is less work than a search (MOST_ENTRIES).

        None if they are more, or if codecs must be chosen too.
        """
        if instance.has_open_codecs:
            return None
        n = len(instance.layers)
        shape = Shape.of_few(instance, MOST_ENTRIES * min(n, LARGE) ** 2 // (LARGE**2 * (n + len(instance.arcs))))
        return None if shape is None else cls(instance, memory_model, shape)

    def of_another(self, instance: Instance) -> Splits:
        """The splits of another instance. They are listed again only if its graph is a different one."""
        if instance is not self.instance and graph_of(instance) != self.shape.graph:
            return Splits.of(instance, self.memory_model)
        _check_closed(instance)
        return Splits(instance, self.memory_model, self.shape, self._kept)

    def __len__(self) -> int:
        """The number of splits."""
        return len(self.shape)

    def split(self, k: int) -> Split:
        """The split with index k."""
        return Split.of(self.instance, self.shape.upto(k), self.memory_model)

    def listed(self, one: Sum) -> Listed:
        """A linear quantity of all splits."""
        values = np.full(len(self), one.constant)
        for term in one.terms:
            values += term.factor * self._term(term)
        entries = sum(len(term.weights) for term in one.terms)
        return Listed(values, EPSILON * (entries + 8) * one.size, one.spread)

    def largest(self, parts: Sequence[Sum], spread: float) -> Listed:
        """The largest of several quantities in each split."""
        found = [self.listed(part) for part in parts]
        return Listed(np.max([one.values for one in found], axis=0), max(one.off for one in found), spread)

    def memory(self, p: int) -> Listed:
        """The bytes that place p needs under the memory model."""
        layers, instance = self.instance.layers, self.instance
        key = (tuple((one.held_bytes, one.output_bytes, one.workspace_bytes, one.returned, *one.shared) for one in layers),
               tuple(instance.inputs.values()))  # fmt: skip

        needed = summed if self.memory_model == "sum" else most_alive
        found = self._remembered(("memory", self.memory_model, p), key, lambda: needed(instance, self.shape, p))
        return Listed(found, 0.0, 0.0)

    def layers_time(self, p: int) -> Sum:
        """The time (s) of the layers of place p (from 1)."""
        times = np.array([layer.t_s[p - 1] for layer in self.instance.layers])
        all_of_them = Sum((), float(times.sum()))
        upto = Sum((Term("upto", p, times),)) if p < len(self.instance.places) else all_of_them
        return upto if p == 1 else upto + Sum((Term("upto", p - 1, times, -1.0),))

    def place_time(self, p: int) -> Sum:
        """The time (s) of place p: its layers, encoding of tensors that it makes and sends, decoding of those that it reads."""
        instance = self.instance
        if not instance.takes_coding:
            return self.layers_time(p)
        found = self.layers_time(p)
        if p < len(instance.places):
            found += Sum((Term("encoded", p, self._of_tensors(lambda name: instance.encode_s(name, p))),))
        if p > 1:
            found += Sum((Term("decoded", p, self._of_tensors(lambda name: instance.decode_s(name, p))),))
        return found

    def sent_bytes(self, h: int) -> Sum:
        """The bytes that cross hop h."""
        return Sum((Term("sent", h, self._of_tensors(self.instance.sent_bytes)),))

    def bytes_time(self, h: int) -> Sum:
        """The time (s) of the bytes that cross hop h."""
        return 1 / self.instance.hops[h - 1].bandwidth_bytes_per_s * self.sent_bytes(h)

    def exchange_time(self, h: int) -> Sum:
        """The fixed cost of hop h's exchange (s)."""
        return Sum((Term("offload", h, np.ones(1), self.instance.hops[h - 1].rtt_s),))

    def back_time(self, h: int) -> Sum:
        """The time (s) on hop h of the way back of those parts of the result that are made beyond it; 0 if the way back is free."""
        rate = self.instance.hops[h - 1].back_bytes_per_s
        if rate is None:
            return Sum()
        returned = np.array([float(layer.output_bytes if layer.returned else 0) for layer in self.instance.layers])
        return Sum((Term("upto", h, returned, -1 / rate),), float(returned.sum()) / rate)

    def hop_time(self, h: int) -> Sum:
        """The time (s) of hop h: bytes, exchange and way back."""
        return total([self.bytes_time(h), self.exchange_time(h), self.back_time(h)])

    @property
    def stages(self) -> list[Sum]:
        """The times (s) of all stages in the order of the data: place 1, hop 1, place 2, and so on."""
        found = [self.place_time(1)]
        for h in range(1, len(self.instance.places)):
            found += [self.hop_time(h), self.place_time(h + 1)]
        return found

    def _of_tensors(self, share: Callable[[str], float]) -> Array:
        """The share of each tensor, shape (tensors,); 0 for a tensor that no layer reads, because it never crosses."""
        readers = self.instance.consumers
        return np.array([share(name) if readers[name] else 0.0 for name in self.instance.tensors], dtype=float)

    def runs_before(self, h: int, name: str) -> Flags:
        """In which splits this layer runs before hop h."""
        return holds(self.shape.sets, self.shape.position[name])[self.shape.chosen[h - 1]]

    def crosses(self, h: int, name: str) -> Flags:
        """In which splits an input or a layer's output crosses hop h."""
        return self._crosses(name)[self.shape.chosen[h - 1]]

    def moves(self, p: int, name: str) -> Flags:
        """In which splits place p sends a layer's output (it makes it, and another place reads it), or receives and reads it."""
        stays, k, readers = stays_at(self.instance, self.shape, p), self.shape.position[name], self.instance.consumers[name]
        bits = self.shape.bits(readers)
        sends = holds(stays.here, k) & ~holds_all(stays.upto, bits)
        found: Flags = sends | (holds(stays.before, k) & holds_any(stays.here, bits))
        return found

    def offloads(self, h: int) -> Flags:
        """In which splits any layer runs beyond hop h."""
        return ~holds_all(self.shape.sets, self.shape.bits(self.shape.names))[self.shape.chosen[h - 1]]

    def uses(self, h: int) -> Flags:
        """In which splits any layer runs before hop h."""
        return holds_any(self.shape.sets, self.shape.bits(self.shape.names))[self.shape.chosen[h - 1]]

    def _crosses(self, name: str) -> Flags:
        """For each set of `shape.sets` whether the tensor crosses its border: shape (sets,)."""
        sets, readers = self.shape.sets, self.instance.consumers[name]
        found = ~holds_all(sets, self.shape.bits(readers))
        return found if name in self.instance.inputs else found & holds(sets, self.shape.position[name])

    def _term(self, term: Term) -> Array:
        """A term of all splits without its factor: shape (splits,)."""
        found: Array = self._remembered((term.kind, term.at), term.weights.tobytes(), lambda: self._added(term))
        is_of_splits = term.kind in ("encoded", "decoded") or len(self.shape.chosen) == 1
        return found if is_of_splits else found[self.shape.chosen[term.at - 1]]

    def _added(self, term: Term) -> Array:
        """A term for each set, shape (sets,); a term of a place for each split, shape (splits,)."""
        shape, tensors, used = self.shape, self.instance.tensors, np.flatnonzero(term.weights).tolist()
        if term.kind == "upto":
            parts: Iterator[Flags] = (holds(shape.sets, k) for k in used)
        elif term.kind == "sent":
            parts = (self._crosses(tensors[k]) for k in used)
        elif term.kind == "offload":
            parts = iter([~holds_all(shape.sets, shape.bits(shape.names))])
        elif term.kind == "encoded":
            parts = (self._encoded(term.at, tensors[k]) for k in used)
        else:
            here = stays_at(self.instance, shape, term.at).here
            parts = (self.crosses(term.at - 1, u) & holds_any(here, shape.bits(self.instance.consumers[u]))
                     for u in (tensors[k] for k in used))
        n = len(shape) if term.kind in ("encoded", "decoded") else shape.sets.shape[1]
        found = np.zeros(n)
        for k, part in zip(used if term.kind != "offload" else [0], parts, strict=True):
            found += term.weights[k] * part
        return found

    def _encoded(self, p: int, name: str) -> Flags:
        """In which splits place p makes a tensor (or has it as an input) and sends it."""
        sent_on = self.crosses(p, name)
        return sent_on if p == 1 else sent_on & ~self.crosses(p - 1, name)

    def _remembered(self, what: Hashable, key: Hashable, find: Callable[[], T]) -> T:
        """The value of `find()`, kept under `what` and the numbers `key` from which it was computed."""
        if (what, key) not in self._kept:
            if len(self._kept) == MOST_KEPT:
                self._kept.clear()
            self._kept[what, key] = find()
        found: T = self._kept[what, key]
        return found


def _check_closed(instance: Instance) -> None:
    """InputError if codecs must be chosen too."""
    if instance.has_open_codecs:
        raise InputError("algorithm", f"enumeration looks at where layers run, and codecs of {instance.name} are chosen beside "
                                      "that; leave it out, or name another algorithm")  # fmt: skip
