"""Certified branch and bound: an integer program solved by linear relaxations whose answers are proved.

Integer solvers decide within tolerances, and on split problems with gigabytes beside bytes they call wrong optima optimal in about
one run of a hundred. Here a node of the search tree is closed only by one of three proofs:
- weak duality: any row multipliers y give `c x >= sum_j min over box (c - A'y)_j x_j + sum_i y_i * (row bound)`, for any tolerances
  of the relaxation (Neumaier and Shcherbina, "Safe bounds in linear and mixed-integer linear programming", Math. Programming 99,
  2004), with a margin for rounding;
- a Farkas ray checked in the same way;
- all integers are fixed: the solution is then evaluated exactly.

The relaxation only proposes: a wrong answer from it costs nodes, never a point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, log2

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from lmos_opt.algorithms.refinement import Refinement
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Relaxation, Status

UNDECIDED = 1e-5
"""A relaxation leaves a decider open if it is farther from every whole number than this."""


Box = tuple[Array, Array]
"""The lower and the upper bounds of all columns: a node of the search tree."""


class UnsettledError(Exception):
    """The search ended without a proof, because its tree exceeded the limit, or a leaf has no proof. The message says which."""


@dataclass(frozen=True)
class Found:
    """A solution with rounded integers and its exact scaled cost."""

    x: Array
    cost: float


@dataclass(frozen=True)
class _Subproblem:
    """The arguments of `search`, the costs as a vector, shape (columns,), and the upper bounds of all rows, shape (rows,)."""

    objective: LinearForm
    row_upper: dict[int, float]
    cost: Array
    upper: Array
    evaluate: Callable[[Array], float | None]
    gap: float


class BranchAndBound:
    """A MILP over bounded variables in a relaxation; `search` solves it for one objective under some row bounds.

    `deciders` are the columns of integer variables to branch on. They are `decisive` if nothing else is open once they are fixed:
    then the evaluation of a vector is the answer, otherwise the relaxation must prove the best values for the rest, and
    `refinement` gives these values their last digits. `follow(low, high)` narrows a box whose deciders are fixed to what follows.
    """

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm], relaxation: Relaxation,
                 deciders: NDArray[np.int64], decisive: bool, refinement: Refinement | None = None,
                 follow: Callable[[Array, Array], Box] | None = None) -> None:  # fmt: skip
        self._milp, self._relaxation, self.deciders, self.decisive, self._follow = milp, relaxation, deciders, decisive, follow
        rows = [*milp.rows, *extra_rows]
        self._row = np.repeat(np.arange(len(rows)), [len(row.columns) for row in rows])
        self._column = np.concatenate([row.columns for row in rows]) if rows else np.zeros(0, dtype=np.int64)
        self._value = np.concatenate([row.coefficients for row in rows]) if rows else np.zeros(0)
        entries = int(np.bincount(self._column).max(initial=1))
        self._rounding = float(np.finfo(float).eps) * (entries + log2(len(milp.variables) + len(rows) + 1) + 4)
        self._implied = _implications(milp, deciders)
        self._row_lower = np.concatenate([milp.row_lower, np.full(len(extra_rows), -inf)])
        self._row_upper = np.concatenate([milp.row_upper, np.full(len(extra_rows), inf)])
        self._refinement = refinement
        self._left: list[tuple[float, Box]] = []

    def search(
        self,
        objective: LinearForm,
        row_upper: dict[int, float],
        evaluate: Callable[[Array], float | None],
        gap: float,
        known: Found | None,
        node_limit: float,
        each_node: Callable[[], None] = lambda: None,
        box: Box | None = None,
    ) -> Found | None:
        """The solution of least cost, if its cost is lower than the known one's by more than `gap`; otherwise the known one.

        `evaluate(x)` gives the exact scaled cost of a vector with rounded integers, None if it breaks a constraint. `each_node` is
        called at every node and may raise to end the search; `box` is the region of the search, if not everything. Raises
        UnsettledError at the limit and if a leaf has no proof.
        """
        subproblem = _Subproblem(objective, row_upper, *self._posed(objective, row_upper), evaluate, gap)
        best = known
        stack = self._left = [(-inf, (self._milp.lower, self._milp.upper) if box is None else box)]
        nodes = 0
        while stack:
            each_node()
            above, (low, high) = stack.pop()
            nodes += 1
            if nodes > node_limit:
                raise UnsettledError(f"the search had no proof after {node_limit:g} nodes")
            if np.all(low <= high):
                best, bound, boxes = self._settle(subproblem, low, high, best)
                stack += [(max(above, bound), further) for further in boxes]
        return best

    @property
    def bound_left(self) -> float:
        """A lower bound of the costs in the boxes that an interrupted search has not examined; infinite if it has examined all."""
        return min((bound for bound, _ in self._left), default=inf)

    def _settle(self, subproblem: _Subproblem, low: Array, high: Array,
                best: Found | None) -> tuple[Found | None, float, list[Box]]:  # fmt: skip
        """The best solution after one box, the bound of the box, and the boxes that remain of it; the last one is searched next."""
        is_leaf = not len(self._free(low, high))
        if is_leaf and self._follow is not None:
            low, high = self._follow(low, high)
        best, bound, box, x = self._narrowed(subproblem, low, high, best)
        if box is not None and is_leaf and not self.decisive:
            self._relaxation.forget()  # its basis, from other boxes, may be the cause
            best, bound, box, x = self._narrowed(subproblem, low, high, best)
            if box is not None:
                open_columns = np.flatnonzero(low < high)
                raise UnsettledError(f"nothing proved what {self._milp.variables[open_columns[0]]} can be at best"
                                     if len(open_columns) else "nothing settled a solution within tolerances")
        if box is None:
            return best, bound, []
        low, high = box
        free = self._free(low, high)
        if len(free):
            return best, bound, self._children(free, x, low, high, best)
        if self.decisive:
            return self._round(low, subproblem, best, x), bound, []
        return best, bound, [(low, high)]  # it has become a leaf, whose relaxation is not solved yet

    def _narrowed(self, subproblem: _Subproblem, low: Array, high: Array,
                  best: Found | None) -> tuple[Found | None, float, Box | None, Array | None]:  # fmt: skip
        """The best solution after a relaxation of the box, its bound, the box that remains (None: none), and its solution."""
        bound = -inf
        relaxed = self._relaxation.solve(low, high)
        if relaxed.status is Status.INFEASIBLE and self._is_empty(relaxed.duals, low, high, subproblem.upper):
            return best, inf, None, None
        if relaxed.x is not None and relaxed.duals is not None:
            bound, reduced = self._bound(subproblem.cost, relaxed.duals, low, high, subproblem.upper)
            best = self._round(relaxed.x, subproblem, best)
            if best is not None:
                if bound >= best.cost - subproblem.gap:
                    return best, bound, None, None
                low, high = self._propagated(*self._tighten(low, high, reduced, best.cost - subproblem.gap - bound))
        return best, bound, (low, high), relaxed.x

    def _free(self, low: Array, high: Array) -> NDArray[np.int64]:
        """The deciders that a box leaves open."""
        return self.deciders[low[self.deciders] < high[self.deciders]]

    def completed(self, x: Array, is_allowed: Callable[[Array], bool], node_limit: float) -> Array | None:
        """A solution that has those entries of x that are not NaN; None if it is proved that there is none.

        Raises UnsettledError as `search` does.
        """
        is_open = np.isnan(x)
        box = np.where(is_open, self._milp.lower, x), np.where(is_open, self._milp.upper, x)
        nothing = LinearForm(np.zeros(0, dtype=np.int64), np.zeros(0))
        found = self.search(nothing, {}, lambda x: 0.0 if is_allowed(x) else None, 1.0, None, node_limit, box=box)
        return None if found is None else found.x

    def _posed(self, objective: LinearForm, row_upper: dict[int, float]) -> tuple[Array, Array]:
        """Set the relaxation's objective and bounds. Returns the costs and the upper bounds of all rows, as arrays."""
        self._relaxation.pose(objective, row_upper)
        upper = self._row_upper.copy()
        upper[list(row_upper)] = list(row_upper.values())
        cost = np.zeros(len(self._milp.variables))
        cost[objective.columns] = objective.coefficients
        return cost, upper

    def _tighten(self, low: Array, high: Array, reduced: Array, room: float) -> Box:
        """The box without values of integers whose reduced cost alone exceeds `room` (reduced-cost fixing)."""
        columns = self._milp.integer_columns
        cost = np.abs(reduced[columns])
        with np.errstate(divide="ignore"):
            steps = np.ceil(room / cost * (1 + 1e-9)) - 1  # the most whole steps whose cost is below the room
        up, down = columns[reduced[columns] > 0], columns[reduced[columns] < 0]
        low, high = low.copy(), high.copy()
        high[up] = np.minimum(high[up], low[up] + steps[reduced[columns] > 0])
        low[down] = np.maximum(low[down], high[down] - steps[reduced[columns] < 0])
        return low, high

    def _round(self, x: Array, subproblem: _Subproblem, best: Found | None, continuous: Array | None = None) -> Found | None:
        """The better of the best known and the vector with its deciders rounded."""
        rounded = (x if continuous is None else continuous).copy()
        rounded[self.deciders] = np.rint(x[self.deciders])
        if self._refinement is not None:
            if np.abs(x[self.deciders] - rounded[self.deciders]).max(initial=0.0) > UNDECIDED:
                return best
            rounded = self._refinement.refined(rounded, subproblem.objective, subproblem.row_upper)
        cost = subproblem.evaluate(rounded)
        if cost is None or (best is not None and cost >= best.cost):
            return best
        return Found(rounded, cost)

    def _children(self, free: NDArray[np.int64], x: Array | None, low: Array, high: Array,
                  best: Found | None) -> list[Box]:  # fmt: skip
        """Two halves of the box, the one nearer to the relaxation's solution last (it is searched first)."""
        at = np.clip(x[free], low[free], high[free]) if x is not None else (low[free] + high[free]) / 2
        k = self._parting(free, at, best)
        column, value = int(free[k]), float(at[k])
        below = min(np.floor(value), high[column] - 1)
        down, up = high.copy(), low.copy()
        down[column], up[column] = below, below + 1
        halves = [self._propagated(low, down), self._propagated(up, high)]
        return halves if value - below > 0.5 else halves[::-1]

    def _propagated(self, low: Array, high: Array) -> Box:
        """The box after implications: a decider at 1 sets all that it implies to 1, a decider at 0 sets all that imply it to 0."""
        if self._implied is None:
            return low, high
        columns = self.deciders
        pulled = self._implied[low[columns] > 0.5].any(axis=0)
        barred = self._implied[:, high[columns] < 0.5].any(axis=1)
        low, high = low.copy(), high.copy()
        low[columns[pulled]] = np.maximum(low[columns[pulled]], 1.0)  # each implies itself, and general integers go beyond 1
        high[columns[barred]] = np.minimum(high[columns[barred]], 0.0)
        return low, high

    def _parting(self, free: NDArray[np.int64], at: Array, best: Found | None) -> int:
        """The index, in `free`, of the decider to branch on. `at` are the relaxation's values; deciders are in topological order.

        A fractional relaxation is a mean of solutions. Some of them may run more layers before a hop than the best known solution
        does. The first decider that is 0 in the best known one and not 0 in the relaxation separates them from the others, and
        usually both halves are closed at once. If no decider is like this, a fractional one that is 1 in the best known solution
        is chosen, or the most fractional one. A whole relaxation is a solution just outside a bound; its first 0 is chosen.
        """
        part = np.abs(at - np.rint(at))
        if part.max() <= UNDECIDED:
            zero = np.flatnonzero(at < 0.5)
            return int(zero[0]) if len(zero) else len(free) - 1
        if best is not None:
            beyond = np.flatnonzero((best.x[free] < 0.5) & (at > UNDECIDED))
            if len(beyond):
                return int(beyond[0])
            short = np.flatnonzero((best.x[free] > 0.5) & (part >= part.max() / 2))
            if len(short):
                return int(short[-1])
        return int(np.argmax(part))

    def _bound(self, cost: Array, duals: Array, low: Array, high: Array, row_upper: Array) -> tuple[float, Array]:
        """A proved lower bound of `cost x` over the box and the rows, from any row multipliers; and the reduced costs.

        Sums go wrong by at most one unit in the last place for each addition that a term takes part in: its column's
        entries one after another, then pairwise. That, times all that is added up in absolute value, is taken off.
        """
        duals, sides = self._sided(duals, row_upper)
        products = self._value * duals[self._row]
        reduced = cost - np.bincount(self._column, products, len(cost))
        terms = np.where(reduced > 0, reduced * low, reduced * high)
        terms[reduced == 0] = 0.0
        added = np.abs(cost) + np.bincount(self._column, np.abs(products), len(cost))
        size = float((added * np.maximum(np.abs(low), np.abs(high)))[added > 0].sum() + np.abs(sides).sum())
        return float(terms.sum() + sides.sum()) - self._rounding * size, reduced

    def _is_empty(self, ray: Array | None, low: Array, high: Array, row_upper: Array) -> bool:
        """Whether the ray proves that no point of the box satisfies the rows: then 0 x would have a positive bound."""
        return ray is not None and self._bound(np.zeros(len(low)), ray, low, high, row_upper)[0] > 0

    def _sided(self, duals: Array, row_upper: Array) -> tuple[Array, Array]:
        """The multipliers, 0 for a row without the bound that the multiplier uses, and the products y_i * bound_i."""
        bounds = np.where(duals > 0, self._row_lower, row_upper)
        duals = np.where(np.isfinite(bounds), duals, 0.0)
        return duals, np.where(duals == 0, 0.0, duals * np.where(np.isfinite(bounds), bounds, 0.0))


def _implications(milp: Milp, deciders: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """For each binary decider the deciders that must be 1 if it is 1, by chains of rows x_v <= x_u or x_v = x_u.

    A matrix of shape (deciders, deciders); None if there is no such row.
    """
    position = {int(column): k for k, column in enumerate(deciders)}
    graph = nx.DiGraph()
    for row, lower, upper in zip(milp.rows, milp.row_lower, milp.row_upper, strict=True):
        if len(row.columns) == 2 and row.coefficients.sum() == 0:
            u, v = row.columns if row.coefficients[0] > 0 else row.columns[::-1]
            if u in position and v in position and {milp.lower[u], milp.lower[v], milp.upper[u] - 1, milp.upper[v] - 1} == {0.0}:
                if lower == 0:
                    graph.add_edge(position[int(v)], position[int(u)])
                if upper == 0:
                    graph.add_edge(position[int(u)], position[int(v)])
    if not graph:
        return None
    implied = np.eye(len(deciders), dtype=bool)
    parts = nx.condensation(graph)  # one node for columns that imply each other, such as those of a group of layers
    for part in reversed(list(nx.topological_sort(parts))):
        members = sorted(parts.nodes[part]["members"])
        found = implied[members].any(axis=0)
        for other in parts.successors(part):
            found |= implied[next(iter(parts.nodes[other]["members"]))]
        implied[members] = found
    return implied
