"""`Split`: where an instance's layers run, and the values that follow from it alone, each computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import MemoryModel, place_memory
from lmos_opt.instance import Instance
from lmos_opt.stages import StageTimes, stage_times


@dataclass(frozen=True)
class Split:
    """Where an instance's layers run; objective values are recomputed from it, never read from a solver.

    `edge` are the layers of the first place. Over more than two places `beyond` has, for each further hop, all layers that run
    before it: each set contains the one before.
    """

    instance: Instance
    edge: frozenset[str]
    memory_model: MemoryModel = "sum"
    beyond: tuple[frozenset[str], ...] = ()

    @classmethod
    def of(cls, instance: Instance, upto: Sequence[frozenset[str]], memory_model: MemoryModel = "sum") -> Split:
        """The split whose layers up to hop h are `upto[h - 1]`."""
        return cls(instance, upto[0], memory_model, tuple(upto[1:]))

    @classmethod
    def at(cls, instance: Instance, places: Sequence[Sequence[str]], memory_model: MemoryModel = "sum",
           codecs: Mapping[str, str] | None = None) -> Split:  # fmt: skip
        """The split with these layers at the places, and these `codecs` of tensors that have several; the last place's layers may
        be left out. InputError if it is not a split of the instance."""
        if len(places) not in (len(instance.hops), len(instance.places)):
            raise InputError(instance.name, f"has {len(instance.places)} places, not {len(places)}")
        before = [instance.edge_set(name for place in places[:h] for name in place) for h in range(1, len(instance.places))]
        return cls.of(instance.coded(codecs) if codecs else instance, before, memory_model)

    @cached_property
    def codecs(self) -> dict[str, str]:
        """For each crossing tensor with several codecs, the chosen one: the instance's first."""
        instance = self.instance
        if not instance.chosen_among:
            return {}
        crossing = {name for before in self.upto for name in instance.crossing(before)}
        return {name: instance.codecs[name][0].name for name in instance.chosen_among if name in crossing}

    @property
    def upto(self) -> tuple[frozenset[str], ...]:
        """For each hop the layers that run before it."""
        return (self.edge, *self.beyond)

    @cached_property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """The layers of each place, in topological order."""
        sets = (frozenset[str](), *self.upto, frozenset(self.instance.names))
        return tuple(tuple(name for name in self.instance.names if name in here)
                     for here in (to - before for before, to in pairwise(sets)))

    @cached_property
    def times(self) -> StageTimes:
        """The stages' times (s) and the bytes that cross."""
        return stage_times(self.instance, *self.upto)

    @cached_property
    def memory_bytes(self) -> int:
        """The first place's memory (B) under the memory model."""
        return self.memory_at(1)

    def memory_at(self, p: int) -> int:
        """The memory (B) that place p needs under the memory model."""
        return place_memory(self.instance, self.upto, p, self.memory_model)

    @property
    def exceeds(self) -> int | None:
        """The first place whose memory limit the split exceeds, counted from 1; None if it exceeds none."""
        for p, place in enumerate(self.instance.places, 1):
            if place.memory_limit_bytes is not None and self.memory_at(p) > place.memory_limit_bytes:
                return p
        return None

    @property
    def edge_layers(self) -> tuple[str, ...]:
        """The edge layers in topological order."""
        return self.places[0]

    @cached_property
    def is_ordered(self) -> bool:
        """Whether data only flows forward, each hop's set contains the one before, and no group of `together` is divided."""
        instance, upto = self.instance, self.upto  # asked at every node of a search
        forward = all(u in before or v not in before or u in instance.inputs for before in upto for u, v in instance.arcs)
        return forward and all(before <= wider for before, wider in pairwise(upto)) and all(map(instance.keeps_together, upto))

    @property
    def is_proper(self) -> bool:
        """Whether the first place has a layer, and a later one."""
        return 0 < len(self.edge) < len(self.instance.layers)


def down_closed_sets(instance: Instance) -> Iterator[frozenset[str]]:
    """Every edge set that precedence (and `together`) admits, each once: L+1 prefixes of a chain, up to 2**L of a graph."""
    inputs = [[u for u in layer.inputs if u not in instance.inputs] for layer in instance.layers]
    names = instance.names
    chosen: list[int] = []
    held: set[str] = set()
    yield frozenset()
    k = 0
    while True:  # depth first without recursion: chains are longer than Python's stack
        v = next((v for v in range(k, len(names)) if all(u in held for u in inputs[v])), None)
        if v is not None:
            chosen.append(v)
            held.add(names[v])
            if instance.keeps_together(edge := frozenset(held)):
                yield edge
        elif chosen:
            v = chosen.pop()
            held.discard(names[v])
        else:
            return
        k = v + 1


def all_splits(instance: Instance, memory_model: MemoryModel = "sum") -> Iterator[Split]:
    """Every way to run an instance's layers at its places and to send the crossing tensors, each once."""
    for split in nested(instance, list(down_closed_sets(instance)), memory_model):
        yield from coded_splits(split)


def coded_splits(split: Split) -> Iterator[Split]:
    """The split with every choice of codecs for the crossing tensors that have several, each once."""
    instance, names = split.instance, [*split.codecs]
    if not names:
        yield split
        return
    for choices in product(*(instance.codecs[name] for name in names)):
        codecs = {name: choice.name for name, choice in zip(names, choices, strict=True)}
        yield Split.of(instance.coded(codecs), split.upto, split.memory_model)


def nested(instance: Instance, sets: Sequence[frozenset[str]], memory_model: MemoryModel = "sum") -> Iterator[Split]:
    """Every split whose layers up to each hop are one of these sets, each once: a set for each hop, which contains the one before.
    """
    stack: list[tuple[frozenset[str], ...]] = [(edge,) for edge in reversed(sets)]
    while stack:
        upto = stack.pop()
        if len(upto) == len(instance.hops):
            yield Split.of(instance, upto, memory_model)
        else:
            stack += [(*upto, wider) for wider in sets if upto[-1] <= wider]
