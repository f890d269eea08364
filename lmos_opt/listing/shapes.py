"""`Shape`: the list of all splits of an instance. It depends on the graph only, so instances with other numbers share it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.listing.layers import Layers
from lmos_opt.placement.down_sets import WORD, Words, down_sets, n_words, words

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]
MOST_SPLITS = 1_000_000
"""The most splits that are listed. More would take minutes and gigabytes."""

Graph = tuple[object, ...]
"""The parts of an instance that decide which splits it has. Two instances with equal parts have the same splits."""


def graph_of(instance: Instance) -> Graph:
    """The instance's names, arcs, groups and number of places."""
    return instance.tensors, instance.arcs, instance.groups, len(instance.places)


@dataclass(frozen=True, eq=False)
class Shape:
    """All splits of a graph.

    `sets` are the sets of layers that may run before a hop, as bits in the order of `names`, shape (words, sets). They are ordered
    by their last layer. `chosen` has for each hop an array of shape (splits,): the index, in `sets`, of the layers that run before
    the hop.
    """

    graph: Graph
    names: tuple[str, ...]
    sets: Words
    chosen: tuple[Indices, ...]

    @classmethod
    def of(cls, instance: Instance) -> Shape:
        """The splits of an instance. InputError if there are more than MOST_SPLITS."""
        found = cls.of_few(instance, MOST_SPLITS)
        if found is None:
            raise InputError("algorithm", f"enumeration looks at every split, and {instance.name} has more than {MOST_SPLITS}; "
                                          "leave it out, or name another algorithm")
        return found

    @classmethod
    def of_few(cls, instance: Instance, most: int) -> Shape | None:
        """The splits of an instance; None if there are more than `most`."""
        layers = Layers(instance)
        found = down_sets(layers.needs, most)
        if found is None:
            return None
        if instance.groups:
            found = _spread(found, layers, instance.names)
        chosen: tuple[Indices, ...] = (np.arange(found.shape[1]),)
        for _ in instance.hops[1:]:
            further = _continued(found, chosen, most)
            if further is None:
                return None
            chosen = further
        return cls(graph_of(instance), instance.names, found, chosen)

    def __len__(self) -> int:
        """How many splits there are."""
        return len(self.chosen[0])

    @cached_property
    def position(self) -> dict[str, int]:
        """The position of each layer in the order."""
        return {name: k for k, name in enumerate(self.names)}

    @cached_property
    def rank(self) -> Indices:
        """The rank of each split, which decides between splits with equal values: shape (splits,), the least first.

        The split with fewer layers before the first hop comes first. With as many, the one that holds the earliest layer (in
        the network's order) which the other lacks comes first. If both have the same layers there, the next hop decides in the
        same way.
        """
        as_bytes = np.ascontiguousarray(self.sets.T).view(np.uint8).reshape(self.sets.shape[1], -1)
        flags = np.unpackbits(as_bytes, axis=1, bitorder="little")
        keys: list[NDArray[Any]] = []
        for chosen in self.chosen:
            keys += [flags.sum(axis=1)[chosen], *(~np.packbits(flags, axis=1)).T[:, chosen]]
        found = np.empty(len(self), dtype=np.int64)
        found[np.lexsort(keys[::-1])] = np.arange(len(self))
        return found

    def bits(self, names: object) -> Words:
        """A set of layers as bits, shape (words,). Names that are not layers are ignored."""
        assert isinstance(names, tuple | list | set | frozenset)
        return words([sum(1 << self.position[name] for name in names if name in self.position)], len(self.names))[:, 0]

    def upto(self, split: int) -> tuple[frozenset[str], ...]:
        """For each hop the layers that run before it, in the split with this index."""
        return tuple(self._named(self.sets[:, chosen[split]]) for chosen in self.chosen)

    def _named(self, found: Words) -> frozenset[str]:
        bits = np.unpackbits(np.ascontiguousarray(found).view(np.uint8), bitorder="little")
        return frozenset(self.names[k] for k in np.flatnonzero(bits).tolist())


def holds(sets: Words, k: int) -> Flags:
    """For each of the sets whether it holds layer k: shape (sets,)."""
    found: Flags = (sets[k // WORD] >> np.uint64(k % WORD) & np.uint64(1)).astype(bool)
    return found


def holds_all(sets: Words, asked: Words) -> Flags:
    """For each of the sets whether it holds all layers of the set `asked`, shape (words,)."""
    found = np.ones(sets.shape[1], dtype=bool)
    for word in np.flatnonzero(asked).tolist():
        found &= (sets[word] & asked[word]) == asked[word]
    return found


def holds_any(sets: Words, asked: Words) -> Flags:
    """For each of the sets whether it holds any layer of the set `asked`, shape (words,)."""
    found = np.zeros(sets.shape[1], dtype=bool)
    for word in np.flatnonzero(asked).tolist():
        found |= (sets[word] & asked[word]) != 0
    return found


def _spread(found: Words, layers: Layers, names: tuple[str, ...]) -> Words:
    """Sets of blocks as sets of layers."""
    spread = np.zeros((n_words(len(names)), found.shape[1]), dtype=np.uint64)
    for block, members in enumerate(layers.names):
        has = holds(found, block).astype(np.uint64)
        for k in (names.index(name) for name in members):
            spread[k // WORD] |= has << np.uint64(k % WORD)
    return spread


def _continued(sets: Words, chosen: tuple[Indices, ...], most: int) -> tuple[Indices, ...] | None:
    """Each split so far, continued over one more hop by every set that holds its last one; None if there are more than `most`."""
    wider: dict[int, Indices] = {}
    total, found = 0, []
    for k in chosen[-1].tolist():
        if k not in wider:
            wider[k] = np.flatnonzero(holds_all(sets, sets[:, k]))
        total += len(wider[k])
        if total > most:
            return None
        found.append(wider[k])
    sizes = [len(one) for one in found]
    return (*(np.repeat(one, sizes) for one in chosen), np.concatenate(found))
