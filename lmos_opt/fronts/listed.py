"""Problems of splits that are solved by evaluating all splits: shipped objectives without a model, a user's own with a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lmos_opt.algorithms import Algorithm, enumeration, layerwise
from lmos_opt.algorithms.errors import SubproblemError
from lmos_opt.algorithms.narrowing import FINE
from lmos_opt.algorithms.scaling import RELATIVE
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import MemoryModel, shared_weights
from lmos_opt.fronts.limits import AtMost
from lmos_opt.instance import Instance
from lmos_opt.listing.dominance import apart, may_be_best
from lmos_opt.listing.layerwise import MOST_PARTIAL, Asked, Layerwise, Linear, Parts, TooManyError
from lmos_opt.listing.shapes import Shape
from lmos_opt.listing.splits import EPSILON, LARGE, Listed, Splits
from lmos_opt.listing.sums import Sum
from lmos_opt.objectives import Objective
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.split import Split

MOST_ONE_BY_ONE = 20_000
"""More splits than these are not evaluated one after another, because it would take minutes. This is needed for values that are not
known in arrays."""

MANY = 500
"""The number of splits that can be evaluated one after another in almost no time, also if they are equal."""

MOST_UNITS = 2.0**61
"""The largest whole number that a sum of linear costs may reach."""

Costs = Callable[[int], Candidate | None]
"""From the index of a split to its exact costs; None if it breaks a constraint."""


@dataclass(eq=False)
class ListedSplits:
    """All splits, with the costs by which they are compared. All costs are minimised.

    `rough` are the costs of all splits in arrays, one for each objective. `admitted`, shape (splits,), says which splits may
    satisfy all constraints. `exact` gives the exact costs of one split. `resolution`, shape (objectives,), is the least difference
    between different costs.

    If several splits have the same values, the point has the first by the shape's rank. In a network with equal parts thousands
    of splits may have the values of one point. If there are MANY and the arrays are finer than the resolution, only the first of
    those with equal arrays is evaluated.
    """

    algorithm: ClassVar[Algorithm] = enumeration.ALGORITHM
    rough: Sequence[Listed]
    admitted: NDArray[np.bool_]
    exact: Costs
    resolution: Array
    splits: Splits
    made: dict[int, Split] = field(default_factory=dict)
    """The splits that are evaluated already."""
    doubt: str | None = None
    is_added_up: bool = False
    """Whether costs are sums of terms of one sign, so that their relative errors are tiny."""

    def split(self, k: int) -> Split:
        """The split with index k."""
        return self.made.get(k) or self.splits.split(k)

    def __post_init__(self) -> None:
        self._off = np.array([one.off for one in self.rough])

    def __len__(self) -> int:
        """The number of splits."""
        return len(self.admitted)

    def candidates(self, check_time: Callable[[], None]) -> Iterator[Candidate]:
        """All splits that may be non-dominated, with exact costs.

        If one of them breaks a constraint, the comparison is repeated without it, so that splits that it removed come back.
        """
        rank, known = self.splits.shape.rank, dict[int, Candidate]()
        left = np.flatnonzero(self.admitted)
        left = left[np.argsort(rank[left])]
        while len(left):
            costs = np.array([one.values[left] for one in self.rough], dtype=float)
            best = may_be_best(costs, self._off, check_time)
            if self._tells_more_than_asked(len(best)):
                best = best[apart(costs[:, best], 2 * self._off, rank[left[best]])]
            best = np.sort(best)  # by rank, as they were
            best = left[best]
            broken = []
            for k in best.tolist():
                if k not in known:
                    check_time()
                    one = self.exact(k)
                    if one is None:
                        broken.append(k)
                    else:
                        known[k] = one
            if not broken:
                yield from (known[k] for k in best.tolist())
                return
            left = left[~np.isin(left, broken)]

    def first(self, costs: Sequence[float]) -> Candidate | None:
        """The first split, by the shape's rank, with these costs; None if there is none."""
        near = self.admitted.copy()
        for one, off, differ, cost in zip(self.rough, self._off, self.resolution, costs, strict=True):
            near &= np.abs(one.values - cost) <= off + min(differ, RELATIVE * abs(cost))
        alike = np.flatnonzero(near)
        alike = alike[np.argsort(self.splits.shape.rank[alike])]
        if self._tells_more_than_asked(len(alike)):
            alike = alike[:1]
        exact = [found for k in alike.tolist() if (found := self.exact(k)) is not None]
        return min(exact, key=lambda found: found.costs, default=None)

    def _tells_more_than_asked(self, n: int) -> bool:
        """Whether n splits are too many to evaluate all of them, and the arrays are fine enough to choose among them."""
        return n > MANY and bool(np.all(8 * self._off <= self.resolution))


@dataclass(eq=False)
class LayerwiseSplits:
    """The splits that the search layer by layer finds (`lmos_opt.listing.layerwise`), when `candidates` is called."""

    algorithm: ClassVar[Algorithm] = layerwise.ALGORITHM
    layerwise: Layerwise
    chosen: Sequence[Objective]
    resolution: Array
    steps: Array
    """For each objective its least coefficient that is not 0, and 0 if it has none."""
    doubt: str | None = None
    """Why the front may have more points; None if it has no more."""
    is_added_up: bool = False
    _found: list[Split] = field(default_factory=list)

    @classmethod
    def of(cls, instance: Instance, memory_model: MemoryModel, chosen: Sequence[Objective], proper_split: bool,
           resolution: Sequence[float] | None = None) -> LayerwiseSplits | None:  # fmt: skip
        """The search of an instance; None if it cannot be searched layer by layer.

        That is the case with more than two places, with groups, limits at the server or open codecs, with weights that parallel
        layers share, with objectives other than linear ones and the memory of the first place, and if costs cannot be added as
        finely as the resolution needs. `resolution` has one entry for each objective.
        """
        is_limited = instance.places[-1].memory_limit_bytes is not None
        if len(instance.places) > 2 or instance.groups or is_limited or instance.has_open_codecs or shared_weights(instance, 1):
            return None
        nothing = Shape((), instance.names, np.zeros((1, 0), dtype=np.uint64), (np.zeros(0, dtype=np.int64),))
        parts = Parts(instance, memory_model, nothing)
        linear, memory, resolutions, steps = [], list[int](), list[float](), list[float]()
        for objective in chosen:
            one = None if objective.each is None else objective.each(parts)
            asked = parts.asked.pop() if one is not None and len(parts.asked) == 1 else None
            if one is None or asked is None or (isinstance(asked, int) and asked > 1):
                return None
            sign = 1 if objective.sense == "min" else -1
            resolutions.append(_resolution(objective, one, parts) if resolution is None else resolution[len(resolutions)])
            steps.append(0.0 if isinstance(asked, int) else _least_step(asked))
            if isinstance(asked, int):
                memory.append(sign)
                continue
            unit = resolutions[-1] / (4 * (len(instance.layers) + len(instance.tensors) + 1)) or 1.0
            if asked.size / unit > MOST_UNITS:
                return None
            linear.append(Linear.of(asked, sign, unit, len(instance.layers), len(instance.tensors)))
        question = Asked(tuple(linear), tuple(dict.fromkeys(memory)), instance.memory_limit_bytes, memory_model, proper_split)
        return cls(Layerwise(instance, question), chosen, np.array(resolutions), np.array(steps))

    def __len__(self) -> int:
        """The number of partial splits that were examined so far."""
        return self.layerwise.seen

    def split(self, k: int) -> Split:
        """The k-th split that was found."""
        return self._found[k]

    def candidates(self, check_time: Callable[[], None]) -> Iterator[Candidate]:
        """All splits that may be non-dominated, with exact costs. InputError if there are too many partial splits."""
        try:
            left = self.layerwise.best(check_time)
        except TooManyError:
            raise InputError("algorithm", f"layerwise has more than {MOST_PARTIAL} partial splits of "
                                          f"{self.layerwise.instance.name} to go on with; leave it out, or name another") from None
        splits = [Split(self.layerwise.instance, edge, self.layerwise.asked.memory_model) for edge in left]
        costs = np.array([[_value(o, split) * (1 if o.sense == "min" else -1) for o in self.chosen] for split in splits])
        if splits and self._is_blurred(costs):
            asked = self.layerwise.asked
            finer = LayerwiseSplits.of(self.layerwise.instance, asked.memory_model, self.chosen, asked.proper_split,
                                       self.resolution.tolist())  # fmt: skip
            if finer is not None:
                self.layerwise = finer.layerwise
                yield from self.candidates(check_time)
                return
            self.doubt = "values on the front are nearer to each other than layers' values are added up: there may be more points"
        self._found += splits
        yield from (Candidate(np.array([float(k)]), tuple(vector)) for k, vector in enumerate(costs.tolist()))

    def _is_blurred(self, costs: Array) -> bool:
        """Whether the unit of sums was coarser than FINE of the largest value on the front. If so, sets a finer resolution.

        If all values are 0, the unit is compared with an eighth of the least coefficient.
        """
        largest = np.abs(costs).max(axis=0)
        asked = np.where(largest > 0, FINE * largest, self.steps / 8)
        wide = np.array([o.granule is None for o in self.chosen]) & (self.resolution > asked)
        self.resolution = np.where(wide, asked, self.resolution)
        return bool(wide.any())


def looked_at(instance: Instance, memory_model: MemoryModel, chosen: Sequence[Objective], proper_split: bool,
              check_time: Callable[[], None], limits: Sequence[AtMost] = ()) -> ListedSplits | LayerwiseSplits | None:  # fmt: skip
    """An enumeration that takes less work than to build and search the program; None if there is none.

    It evaluates all splits if they are few. A large graph is searched layer by layer, if few partial splits remain.
    """
    splits = Splits.of_few(instance, memory_model)
    if splits is not None:
        return without_model(splits, chosen, proper_split, limits)
    is_large = len(instance.layers) >= LARGE and not limits
    found = LayerwiseSplits.of(instance, memory_model, chosen, proper_split) if is_large else None
    if found is None:
        return None
    try:
        found.layerwise.find(check_time)
    except TooManyError:
        return None
    except SubproblemError:
        pass  # the time limit; `candidates` reports it
    return found


def _admitted(splits: Splits, proper_split: bool, limits: Sequence[AtMost]) -> NDArray[np.bool_]:
    """Which splits may keep all limits, and are proper if `proper_split` asks for it: shape (splits,)."""
    found = np.ones(len(splits), dtype=bool)
    for p, place in enumerate(splits.instance.places, 1):
        if place.memory_limit_bytes is not None:
            found &= splits.memory(p).values <= place.memory_limit_bytes
    if proper_split:
        found &= splits.offloads(1) & splits.uses(1)
    for limit in limits:
        found &= limit.may_admit(splits)
    return found


def _in_arrays(objective: Objective, splits: Splits) -> Listed:
    """The costs of all splits for one of lmos's own objectives, to be minimised."""
    assert objective.each is not None
    return _turned(objective, objective.each(splits))


def _resolution(objective: Objective, one: Listed, splits: Splits) -> float:
    """The least difference between two different values of the objective, the same as in a search: both find the same points."""
    granule = None if objective.granule is None else objective.granule(splits.instance)
    return RELATIVE * one.spread if granule is None else granule / 4


def _least_step(one: Sum) -> float:
    """The least coefficient of a sum that is not 0; 0 if it has none."""
    sizes = np.abs(np.concatenate([np.zeros(0), *(term.factor * np.ravel(term.weights) for term in one.terms)]))
    return float(sizes.min(initial=np.inf, where=sizes > 0)) if sizes.any() else 0.0


def without_model(splits: Splits, chosen: Sequence[Objective], proper_split: bool,
                  limits: Sequence[AtMost] = ()) -> ListedSplits:  # fmt: skip
    """The problem with lmos's own objectives only. A candidate's vector has one number: the index of its split."""
    rough, made = [_in_arrays(o, splits) for o in chosen], dict[int, Split]()

    def exact(k: int) -> Candidate | None:
        split = made[k] = splits.split(k)
        if not all(limit.admits(split) for limit in limits):
            return None
        costs = tuple(_value(o, split) * (1 if o.sense == "min" else -1) for o in chosen)
        return Candidate(np.array([float(k)]), costs)

    differ = np.array([_resolution(o, one, splits) for o, one in zip(chosen, rough, strict=True)])
    return ListedSplits(rough, _admitted(splits, proper_split, limits), exact, differ, splits, made, is_added_up=True)


def beside_model(columns: Columns, chosen: Sequence[Objective], forms: Sequence[LinearForm], exact: Costs, resolution: Array,
                 proper_split: bool, limits: Sequence[AtMost] = ()) -> ListedSplits:  # fmt: skip
    """The problem with a user's objectives or constraints: linear forms over columns that follow from the split."""
    splits = columns.splits
    rough = [_turned(o, o.each(splits) if o.each is not None else columns.listed(form))
             for o, form in zip(chosen, forms, strict=True)]
    return ListedSplits(rough, _admitted(splits, proper_split, limits) & columns.satisfying(), exact, resolution, splits)


def _value(objective: Objective, split: Split) -> float:
    assert objective.value is not None  # it is a shipped one
    return objective.value(split)


def _turned(objective: Objective, one: Listed) -> Listed:
    """The quantity as a cost to minimise."""
    return one if objective.sense == "min" else Listed(-one.values, one.off, one.spread)


@dataclass(eq=False)
class Columns:
    """The values of a model's columns in all splits."""

    model: Any
    milp: Milp
    by_id: dict[int, int]
    splits: Splits
    _known: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        m, splits = self.model, self.splits
        instance = splits.instance
        self._arrays: dict[int, Callable[[], NDArray[np.bool_]]] = {}
        for h in range(1, len(instance.hops) + 1):
            self._add(m.offload[h], splits.offloads, h)
            for v in instance.names:
                self._add(m.upto[h, v], splits.runs_before, h, v)
            for u in instance.tensors:
                self._add(m.sent[h, u], splits.crosses, h, u)

    def listed(self, form: LinearForm) -> Listed:
        """The values of a form in all splits."""
        values, size = np.full(len(self.splits), form.constant), abs(form.constant)
        for column, coefficient in zip(form.columns.tolist(), form.coefficients.tolist(), strict=True):
            x = self._column(column)
            values += coefficient * x
            size += abs(coefficient) * float(np.abs(x).max(initial=0.0))
        return Listed(values, EPSILON * (len(form.columns) + 8) * size, self.milp.spread(form))

    def satisfying(self) -> NDArray[np.bool_]:
        """Which splits may satisfy all rows of the user's, shape (splits,)."""
        found = np.ones(len(self.splits), dtype=bool)
        for row, low, high, name, slack in zip(self.milp.rows, self.milp.row_lower, self.milp.row_upper, self.milp.row_names,
                                               self.milp.loosest, strict=True):  # fmt: skip
            component = re.split(r"[.\[]", name, maxsplit=1)[0]
            if component == "user" or component not in self.model.formulated:
                one = self.listed(row)
                found &= (one.values >= low - slack - one.off) & (one.values <= high + slack + one.off)
        return found

    def _add(self, variable: Any, array: Callable[..., NDArray[np.bool_]], *which: object) -> None:
        self._arrays[self.by_id[id(variable)]] = lambda: array(*which)

    def _column(self, column: int) -> Array:
        """The values of a column in all splits, shape (splits,)."""
        if column in self._arrays:
            return self._arrays[column]().astype(float)
        if column not in self._known:
            self._derive(column)
        return self._known[column]

    def _derive(self, column: int) -> None:
        """Compute the columns of the block to which this column belongs, split by split. InputError if there is no such block."""
        for block in self.model.derived:
            of_block = [self.by_id[id(variable)] for variable in block.variables]
            if column in of_block:
                check_few(self.splits, f"variable {self.milp.variables[column]}")
                values = np.array([block.values(self.splits.split(k)) for k in range(len(self.splits))], dtype=float)
                self._known |= dict(zip(of_block, values.T, strict=True))
                return
        raise InputError("algorithm", f"enumeration looks at where layers run, and variable {self.milp.variables[column]} does not "
                                      "follow from that")  # fmt: skip


def check_few(splits: Splits, what: str) -> None:
    """InputError if there are too many splits to evaluate one by one (MOST_ONE_BY_ONE), which would take minutes."""
    if len(splits) > MOST_ONE_BY_ONE:
        raise InputError("algorithm", f"enumeration evaluates {what} split by split, and {splits.instance.name} has {len(splits)} "
                                      f"of them; expected {MOST_ONE_BY_ONE} at most")  # fmt: skip
