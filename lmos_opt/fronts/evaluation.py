"""From a solver's vector to its split, and from the split to exact costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, islice, product
from math import comb
from typing import Any

import numpy as np

from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Point
from lmos_opt.fronts.agreement import attainable
from lmos_opt.instance import Instance
from lmos_opt.listing.layers import Layers
from lmos_opt.listing.shapes import Shape
from lmos_opt.objectives import Objective
from lmos_opt.placement.blocks import Placing
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.split import Split

MOST_CUTS = 400
"""The most solutions to start from, if there are several hops."""
NEARLY = 1e-12
"""What follows from a split may be off by this share in a relaxation, so that no rounding makes a row impossible."""
KEPT_SPLITS = 4096
"""The most splits that are kept, a few kilobytes each."""


class Evaluation:
    """The split of a solver's vector, and what follows from the split alone: exact costs, and the values of all other columns."""

    def __init__(self, instance: Instance, memory_model: MemoryModel, proper_split: bool, chosen: Sequence[Objective],
                 forms: Sequence[LinearForm], model: Any, milp: Milp, columns: dict[int, int]) -> None:  # fmt: skip
        self._instance, self._memory_model, self._proper_split = instance, memory_model, proper_split
        self._chosen, self._forms, self._milp, self._within = chosen, forms, milp, model.within

        from lmos_opt.fronts.own_objectives import value_of
        from lmos_opt.own_code import columns_of_user

        self._value_of = value_of  # kept here, because costs are computed at every node
        self._splits: dict[tuple[object, ...], Split] = {}

        def column(variable: Any) -> int:
            return columns[id(variable)]

        self._hops = range(1, len(instance.hops) + 1)
        self._upto = np.array([[column(model.upto[h, v]) for v in instance.names] for h in self._hops], dtype=np.int64)
        assigned = self._upto[::-1].T.ravel()  # layers in topological order; of each the last hop first, which the others imply
        self._derived = [(np.array([column(variable) for variable in block.variables], dtype=np.int64), block.values)
                         for block in model.derived]  # fmt: skip
        self._codecs = {u: {choice.name: column(model.codec[u, choice.name]) for choice in instance.codecs[u]}
                        for u in instance.chosen_among} if "chosen_codecs" in model.blocks else {}  # fmt: skip
        codecs = [k for columns_of in self._codecs.values() for k in columns_of.values()]
        ours = {*assigned.tolist(), *codecs, *(k for found, _ in self._derived for k in found.tolist())}
        least = [column(variable) for block in model.derived if block.is_least for variable in block.variables]
        self._users = np.array([k for k in columns_of_user(model, columns) if k in least or k not in ours], dtype=np.int64)
        self._has_own_rows = bool(len(self._users) or len(model.user) or set(model.component_map()) - model.formulated)
        own = [k for k in np.flatnonzero(milp.lower < milp.upper) if k not in ours]
        self._undecided = np.array(own, dtype=np.int64)
        whole = [k for k in own if milp.integer[k]]
        self.deciders, self.decisive = np.array([*assigned, *codecs, *whole], dtype=np.int64), whole == own
        follows = milp.lower < milp.upper
        follows[[*ours, *whole]] = False
        follows[least] = True
        self._open = np.flatnonzero(follows)
        self._least = least
        self._follows = np.concatenate([np.zeros(0, dtype=np.int64), *(found for found, _ in self._derived)])

    def split(self, x: Array) -> Split:
        """The split of a vector. It is kept, because a search meets the same split many times."""
        chosen = x[self._upto] > 0.5
        codecs = {u: next((c for c, k in columns.items() if x[k] > 0.5), None) for u, columns in self._codecs.items()}
        key = chosen.tobytes(), *codecs.values()
        found = self._splits.get(key)
        if found is None:
            names = self._instance.names
            upto = [frozenset(v for v, is_before in zip(names, row, strict=True) if is_before) for row in chosen.tolist()]
            if len(self._splits) == KEPT_SPLITS:
                self._splits.clear()
            found = self._splits[key] = self._sent(Split.of(self._instance, upto, self._memory_model), codecs)
        return found

    def _sent(self, split: Split, codecs: Mapping[str, str | None]) -> Split:
        """The split with the chosen codecs of its crossing tensors. A tensor without a choice keeps its first codec."""
        crossing = {u: codec for u in split.codecs if (codec := codecs.get(u)) is not None}
        return Split.of(self._instance.coded(crossing), split.upto, self._memory_model) if crossing else split

    def costs(self, x: Array) -> tuple[float, ...] | None:
        """The costs of the vector's split, all to be minimised; None if it breaks a constraint."""
        split = self.split(x)
        if not split.is_ordered or split.exceeds is not None or (self._proper_split and not split.is_proper):
            return None
        if not all(is_within(split) for is_within in self._within):
            return None
        full = None
        if self._has_own_rows:  # the user's rows are checked on the arrays; the others follow from the split
            full = self._completed(x, split)
            if not self._milp.satisfied(full):
                return None
        costs = []
        for objective, form in zip(self._chosen, self._forms, strict=True):
            if objective.value is not None:
                value = self._value_of(objective, split)
            else:
                full = self._completed(x, split) if full is None else full
                value = form.at(full)
            costs.append(value if objective.sense == "min" else -value)
        return tuple(costs)

    def followed(self, milp: Milp, costs: Sequence[LinearForm]) -> Milp:
        """The program, knowing which columns some cost wants large that are here the least that rows allow."""
        wanted = {int(k) for cost in costs for k in cost.columns[cost.coefficients < 0]}
        return replace(milp, followers=frozenset(wanted.intersection(self._least)))

    def follow(self, low: Array, high: Array) -> tuple[Array, Array]:
        """The box of a split, with the columns that follow from the split at their values, or nearly."""
        split = self.split(low)
        if not split.is_ordered:
            return low, high
        low, high, columns = low.copy(), high.copy(), self._follows
        values = self._completed(low, split)[columns]
        room = NEARLY * np.abs(values)
        below, above = np.maximum(low[columns], values - room), np.minimum(high[columns], values + room)
        is_within = below <= above
        low[columns[is_within]], high[columns[is_within]] = below[is_within], above[is_within]
        return low, high

    def solution(self, x: Array) -> dict[str, float] | None:
        """The user's own variables by name and value, integers as whole numbers; None if there are none."""
        if not len(self._users):
            return None
        whole, full = self._milp.integer, self._completed(x, self.split(x))
        return {self._milp.variables[k]: float(np.rint(full[k]) if whole[k] else full[k]) for k in self._users}

    def check(self, x: Array) -> None:
        """InputError if an objective's `value` and `expression` give different numbers at the vector's split."""
        split, full = self.split(x), None
        for objective, form in zip(self._chosen, self._forms, strict=True):
            if objective.value is None:
                continue
            full = self._completed(x, split) if full is None else full
            value, found = self._value_of(objective, split), attainable(self._milp, form, full, self._open)
            if not found.admits(value, objective.sense):
                raise InputError(f"objective {objective.name}", f"value gives {value!r}, and expression "
                                 f"{found.best(objective.sense)!r}, with {_named(split)}; expected one number")

    def vector(self, point: Point) -> Array:
        """A vector with the split and the solution of a point; other columns are NaN. InputError if the point does not fit."""
        try:
            split = Split.at(self._instance, point.named_places, codecs=point.codecs)
        except InputError as error:
            raise InputError("resume", f"the front is of another problem: {error}") from None
        x = np.full(len(self._milp.variables), np.nan)
        x[self._upto] = [[v in before for v in self._instance.names] for before in split.upto]
        self._choose(x, split)
        if point.solution is not None:
            names = [self._milp.variables[k] for k in self._users]
            if set(names) != set(point.solution):
                raise InputError("resume", f"the front's solutions are over {', '.join(sorted(point.solution)):.80}, not over "
                                           f"{', '.join(sorted(names)) or 'nothing':.80}")
            x[self._users] = [point.solution[name] for name in names]
        return x

    def _choose(self, x: Array, split: Split) -> None:
        """Set the columns of codecs."""
        for u, columns in self._codecs.items():
            for codec, k in columns.items():
                x[k] = split.codecs.get(u) == codec

    def prefixes(self) -> list[Array]:
        """Vectors to start from: cuts between layers in topological order. For a chain over two places these are all splits."""
        cuts = _cuts(len(self._instance.layers), len(self._hops))
        found = np.zeros((len(cuts), len(self._milp.variables)))
        for h, columns in enumerate(self._upto):
            found[:, columns] = np.arange(len(columns)) < np.array([cut[h] for cut in cuts])[:, None]
        return list(found)

    def placing(self) -> Placing | None:
        """The instance as a placement problem; None if it has memory limits, codecs, or must have a proper split."""
        instance = self._instance
        if self._proper_split or instance.takes_coding or any(p.memory_limit_bytes is not None for p in instance.places):
            return None
        layers = Layers(instance)
        return Placing(layers.blocks, lambda upto: self.at([layers.of(before) for before in upto]))

    def at(self, upto: Sequence[frozenset[str]]) -> Array:
        """The vector with these layers before each hop. Columns that do not follow from them are NaN."""
        x = np.zeros(len(self._milp.variables))
        x[self._undecided] = np.nan
        x[self._upto] = [[v in before for v in self._instance.names] for before in upto]
        return x

    def every(self, most: int) -> Iterator[Array] | None:
        """All vectors: each split, with each choice of codecs for its crossing tensors.

        None if there are more than `most` splits, or if other variables must be decided too. If choices of codecs make more than
        `most` vectors, the iterator ends after `most` + 1.
        """
        shape = None if len(self._undecided) else Shape.of_few(self._instance, most)
        return None if shape is None else islice(self._all(shape), most + 1)

    def _all(self, shape: Shape) -> Iterator[Array]:
        for k in range(len(shape)):
            before = shape.upto(k)
            crossing = Split.of(self._instance, before, self._memory_model).codecs
            among = [columns.values() for u, columns in self._codecs.items() if u in crossing]
            for chosen in product(*among):
                x = self.at(before)
                x[list(chosen)] = 1.0
                yield x

    @property
    def users(self) -> list[str]:
        """The user's own variables."""
        return [self._milp.variables[k] for k in self._users]

    def _completed(self, x: Array, split: Split) -> Array:
        """The vector with all columns that follow from the split, computed from it."""
        full = x.copy()
        full[self._upto] = [[v in before for v in split.instance.names] for before in split.upto]
        self._choose(full, split)
        for columns, values in self._derived:
            full[columns] = values(split)
        return full


def _cuts(n_layers: int, n_hops: int) -> list[tuple[int, ...]]:
    """Numbers of layers before each hop, in ascending order: all for one hop, otherwise at most MOST_CUTS, evenly spread."""
    if n_hops == 1:
        return [(n,) for n in range(n_layers + 1)]
    ends = n_layers + 1
    while comb(ends + n_hops - 1, n_hops) > MOST_CUTS and ends > 2:
        ends -= 1
    places = sorted({round(n_layers * k / (ends - 1)) for k in range(ends)}) if ends > 1 else [0]
    return list(combinations_with_replacement(places, n_hops))


def _named(split: Split) -> str:
    """A split in a few words."""
    if len(split.places) > 2:
        return f"{', '.join(str(len(place)) for place in split.places)} layers at the places"
    layers = split.edge_layers
    if not layers:
        return "no layer at the edge"
    shown = ", ".join(layers) if len(layers) <= 6 else f"{', '.join(layers[:3])}, ..., {layers[-1]}"
    return f"{len(layers)} of {len(split.instance.layers)} layers at the edge: {shown}"
