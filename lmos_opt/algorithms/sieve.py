"""A certified search for programs of whole numbers with few rows, without tolerances, over many partial solutions at once.

Rows, limits and costs are whole multiples of granules, so the program is `G x <= h` in whole numbers. The condition that a solution
must be better than the known one is one more row. Columns are fixed one after another, for all partial solutions of the same depth
together. A partial solution is dropped if whole multipliers y >= 0 prove that it has no completion: `y G x` is at least the part of
its fixed columns plus the least part of the open columns, and this sum is more than `y h`. All these numbers are below 2^53, so
doubles hold them exactly.

Multipliers are the duals of linear relaxations, rounded to whole numbers. Relaxations are solved for the whole program, and for
some partial solutions if many are left. Any multipliers give a valid proof, but good ones drop more, so later searches use
them again. Columns with the largest weight under the multipliers are fixed first: this keeps the search in the core of a knapsack
(Balas and Zemel, Operations Research 28, 1980).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf

import numpy as np
from numpy.typing import NDArray

from lmos_opt.algorithms.branching import UnsettledError
from lmos_opt.algorithms.subproblems import Candidate, Limit
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Relaxation, Solver

MOST_ROWS, MOST_COLUMNS, MOST_VALUES = 24, 200, 32
"""With more rows (with objectives and their sum), open columns, or values of a column, multipliers prove too little, or there are
too many partial solutions."""
FIRST_NODES, NODES_A_SEARCH = 1_000_000, 50_000
"""The number of partial solutions that all searches together may examine: the first number, and the second for each search. Beyond,
solvers are faster."""
PROPOSES = "highs"
"""The solver whose linear programs are fast enough, in this process; if another solver is asked for, that solver answers."""
CHUNK = 1024
"""The number of partial solutions that continue together: few enough that whole solutions are found soon."""
KEPT = 64
"""The most multipliers that are kept for the next search."""
LEARNED = 40
"""The most multipliers that a search may add."""
MANY = 256
"""The least number of partial solutions for which a relaxation is worth its time."""
_EXACT = 2.0**51
_QUARTER = 0.25
_OUT_OF_REACH = 4.0
"""Bounds of the violation in a relaxation, in spreads of a row. No row can be violated by as much."""

Bits = NDArray[np.int8]


@dataclass(frozen=True)
class _Program:
    """The program `rows @ x <= sides` with 0 <= x <= width, in whole numbers. x counts from the lower bounds of the columns.

    `rows` has the shape (rows, open columns). The last rows are the costs, and after them their sum; they have no side until a
    search sets one. `units` and `constants`, shape (costs,), give the user's costs: `cost = unit * row + constant`.
    """

    rows: Array
    sides: Array
    width: Array
    units: Array
    constants: Array

    @property
    def spread(self) -> Array:
        """The range of each row over all x, plus one: shape (rows,)."""
        return np.abs(self.rows) @ self.width + 1.0


class Sieve:
    """Searches of one program, for different costs and limits."""

    def __init__(self, milp: Milp, program: _Program, solver: Solver) -> None:
        self._lower, self._free = milp.lower, np.flatnonzero(milp.lower < milp.upper)
        self._program, self._solver, self._spread = program, solver, program.spread
        self._relaxation: Relaxation | None = None
        self._posed: Array | None = None
        self._pool = np.zeros((0, len(program.rows)))
        self._nodes = self._searches = 0

    @staticmethod
    def of(milp: Milp, forms: Sequence[LinearForm], granules: Sequence[float | None], solver: Solver) -> Sieve | None:
        """The sieve of a program, if it has only whole numbers, and few rows, columns and values; otherwise None."""
        width = milp.upper - milp.lower
        is_open = width > 0
        is_quick = solver.name == PROPOSES and solver.relaxes
        is_whole = milp.integer.all() and np.isfinite(width).all() and all(granules)
        is_small = 0 < is_open.sum() <= MOST_COLUMNS and width.max() < MOST_VALUES and len(milp.rows) + len(forms) < MOST_ROWS
        program = _whole(milp, forms, np.array(granules, dtype=float)) if is_quick and is_whole and is_small else None
        return None if program is None else Sieve(milp, program, solver)

    def search(self, judged: Sequence[int], limits: Mapping[int, Limit], known: Candidate | None,
               costs: Callable[[Array], tuple[float, ...] | None], count: Callable[[int], None]) -> Candidate | None:  # fmt: skip
        """A best solution within the limits if it is better than the known one; otherwise None.

        With one cost in `judged` it has the least value of this cost, otherwise the least sum of all costs in granules. `costs`
        recomputes the costs of a solution x. `count` is called with the number of partial solutions examined, and may raise to end
        the search.

        Raises UnsettledError if the search takes too long, or if `costs` rejects the solution that is found.
        """
        program, p = self._program, len(self._program.units)
        first, goal = len(program.rows) - p - 1, len(program.rows) - 1
        sides = program.sides.copy()
        for k, limit in limits.items():
            value = (limit.value - program.constants[k]) / program.units[k]
            sides[first + k] = ceil(value - _QUARTER) - 1 if limit.strict else floor(value + _QUARTER)
        if len(judged) == 1:
            goal = first + judged[0]
        if known is not None:
            reached = np.rint((np.array(known.costs) - program.constants) / program.units)
            sides[goal] = min(sides[goal], float(reached[list(judged)].sum()) - 1)
        self._searches += 1
        clipped = np.clip(sides, -self._spread, self._spread)
        found = self._least(np.where(np.isinf(sides), inf, clipped), goal, count)
        if found is None:
            return None
        x = self._lower.copy()
        x[self._free] += found
        values = costs(x)
        if values is None:
            raise UnsettledError("a solution of the whole numbers breaks a constraint of the model")
        return Candidate(x, values)

    def _least(self, sides: Array, goal: int, count: Callable[[int], None]) -> Array | None:
        """The x with the least value of the row `goal` that satisfies all sides; None if there is none."""
        pass_ = _Pass(self._program, sides, self._pool)
        pass_.learn(self._multipliers(sides, None, None))
        pass_.order_columns()
        depths = len(self._free)
        stack = [(0, np.zeros((1, len(sides))), np.zeros((1, depths), dtype=np.int8))]
        best: Array | None = None
        while stack:
            depth, sums, decided = stack.pop()
            alive = pass_.passes(depth, sums)
            sums, decided = sums[alive], decided[alive]
            while len(sums) and depth < depths:
                sums, decided = pass_.decided(depth, sums, decided)
                self._nodes += pass_.looked_at
                count(pass_.looked_at)
                if self._nodes > FIRST_NODES + NODES_A_SEARCH * self._searches:
                    raise UnsettledError(f"there was no proof after {self._nodes:g} partial solutions")
                depth += 1
                if len(sums) > MANY and depth < depths and depth % 2 and pass_.learned < LEARNED:
                    sums, decided = self._taught(pass_, depth, sums, decided)
                if len(sums) > CHUNK:
                    stack += [(depth, sums[k : k + CHUNK], decided[k : k + CHUNK]) for k in range(CHUNK, len(sums), CHUNK)]
                    sums, decided = sums[:CHUNK], decided[:CHUNK]
            if len(sums):
                k = int(np.argmin(sums[:, goal]))
                best = pass_.in_place(decided[k])
                pass_.lower_side(goal, sums[k, goal] - 1)
        self._pool = np.concatenate([self._pool, pass_.multipliers[len(pass_.multipliers) - pass_.learned :]])[-KEPT:]
        return best

    def _taught(self, pass_: _Pass, depth: int, sums: Array, decided: Bits) -> tuple[Array, Bits]:
        """The partial solutions that remain after relaxations of two of them: the easiest one, and the middle one of the list."""
        for choose in (pass_.easiest, lambda depth, sums: len(sums) // 2):
            if len(sums) == 0:
                break
            k = choose(depth, sums)
            pass_.learn(self._multipliers(pass_.sides, pass_.order[:depth], decided[k, :depth]))
            alive = pass_.passes(depth, sums, newest=True)
            sums, decided = sums[alive], decided[alive]
        return sums, decided

    def _multipliers(self, sides: Array, columns: NDArray[np.int64] | None, values: Bits | None) -> Array | None:
        """Whole multipliers from the relaxation in which some columns have these values; None if the solver gives no duals.

        The relaxation minimises the largest violation of a row, in spreads of the row. Its duals are the multipliers.
        """
        program, n = self._program, len(self._free)
        spread = self._spread
        if self._relaxation is None:
            rows = [LinearForm(np.append(used := np.flatnonzero(row), n), np.append(row[used] / size, -1.0))
                    for row, size in zip(program.rows, spread, strict=True)]  # fmt: skip
            bounds = np.append(np.zeros(n), -_OUT_OF_REACH), np.append(program.width, _OUT_OF_REACH)
            names = tuple(map(str, range(n + 1)))
            milp = Milp("sieve", names, *bounds, np.zeros(n + 1, dtype=bool), (), np.zeros(0), np.zeros(0))
            self._relaxation = self._solver.relax(milp, rows)
        low, high = np.append(np.zeros(n), -_OUT_OF_REACH), np.append(program.width, _OUT_OF_REACH)
        if columns is not None and values is not None:
            low[columns] = high[columns] = values
        if self._posed is not sides:
            bounded = np.flatnonzero(np.isfinite(sides)).tolist()
            self._relaxation.pose(LinearForm(np.array([n]), np.ones(1)), {k: float(sides[k] / spread[k]) for k in bounded})
            self._posed = sides
        duals = self._relaxation.solve(low, high).duals
        if duals is None:
            return None
        y = np.where(np.isfinite(sides), np.maximum(-duals, 0.0), 0.0)
        return None if y.sum() == 0 else np.floor(y / y.sum() * _EXACT / spread)


class _Pass:
    """One search: its sides, its multipliers, and the tests of partial solutions.

    A partial solution has the values of the first columns in `order`.
    """

    def __init__(self, program: _Program, sides: Array, pool: Array) -> None:
        self._program, self.sides = program, sides
        self.multipliers = np.concatenate([np.eye(len(sides)), pool])
        self.order = np.arange(len(program.width))
        self.learned = self.looked_at = 0
        self._most = self._allowed(self.multipliers)

    def order_columns(self) -> None:
        """Fix those columns first which have the largest weight under the newest multipliers."""
        weight = np.abs(self.multipliers[-1] @ self._program.rows) * self._program.width
        self.order = np.argsort(-weight, kind="stable")
        self._most = self._allowed(self.multipliers)

    def learn(self, multipliers: Array | None) -> None:
        """Add multipliers, shape (rows,), to the tests."""
        if multipliers is not None:
            self.multipliers = np.concatenate([self.multipliers, multipliers[None]])
            self.learned += 1
            self._most = np.concatenate([self._most, self._allowed(self.multipliers[-1:])])

    def lower_side(self, row: int, side: float) -> None:
        """Lower the side of a row."""
        self.sides = self.sides.copy()
        self.sides[row] = side
        self._most = self._allowed(self.multipliers)

    def passes(self, depth: int, sums: Array, newest: bool = False) -> NDArray[np.bool_]:
        """Whether all multipliers (with `newest`, the newest ones) allow each partial solution: shape (solutions,).

        `sums` has their rows' values so far, shape (solutions, rows).
        """
        first = len(self.multipliers) - 1 if newest else 0
        alive: NDArray[np.bool_] = np.all(sums @ self.multipliers[first:].T <= self._most[first:, depth], axis=1)
        return alive

    def easiest(self, depth: int, sums: Array) -> int:
        """The index of the partial solution that is farthest from being ruled out."""
        size = np.abs(self.multipliers) @ self._program.spread
        return int(np.argmax(((self._most[:, depth] - sums @ self.multipliers.T) / size).min(axis=1)))

    def decided(self, depth: int, sums: Array, decided: Bits) -> tuple[Array, Bits]:
        """The partial solutions, continued by each value of the next column, that are not ruled out."""
        column = self.order[depth]
        values = np.arange(self._program.width[column] + 1)
        further = (sums[None] + (values[:, None] * self._program.rows[:, column])[:, None]).reshape(-1, sums.shape[1])
        self.looked_at = len(further)
        alive = np.flatnonzero(self.passes(depth + 1, further))
        chosen = decided[alive % len(sums)]
        chosen[:, depth] = values[alive // len(sums)]
        return further[alive], chosen

    def in_place(self, decided: Bits) -> Array:
        """A complete solution with its columns in the program's order."""
        x = np.empty(len(decided))
        x[self.order] = decided
        return x

    def _allowed(self, multipliers: Array) -> Array:
        """The largest `y G x` of the fixed columns with which a partial solution may go on: shape (multipliers, depths).

        It is `y h` minus the least part of the open columns. It is infinite if the multipliers use a row without a side.
        """
        added = np.minimum(multipliers @ self._program.rows * self._program.width, 0.0)[:, self.order]
        least = np.concatenate([np.cumsum(added[:, ::-1], axis=1)[:, ::-1], np.zeros((len(added), 1))], axis=1)
        is_free = np.isinf(self.sides)
        allowed = multipliers @ np.where(is_free, 0.0, self.sides)
        allowed[multipliers[:, is_free].any(axis=1)] = inf
        return np.asarray(allowed[:, None] - least)


def _whole(milp: Milp, forms: Sequence[LinearForm], units: Array) -> _Program | None:
    """The program in whole numbers; None if doubles cannot hold them exactly."""
    free = np.flatnonzero(milp.lower < milp.upper)

    def row(form: LinearForm, unit: float) -> Array:
        dense = np.zeros(len(milp.lower))
        np.add.at(dense, form.columns, form.coefficients)
        return np.asarray(dense / unit)

    rows, sides = [], []
    for k, form in enumerate(milp.rows):
        dense = row(form, 1.0)
        unit = milp.row_granules[k]
        base, slack = float(dense @ milp.lower), float(milp.loosest[k])
        if np.isnan(unit):
            if dense[free].any():
                return None
            unit = slack = 1.0  # no open column, so the row was checked by presolve
        for sign, side in ((1.0, milp.row_upper[k]), (-1.0, -milp.row_lower[k])):
            if np.isfinite(side):
                rows.append(sign * dense / unit)
                sides.append(floor((side - sign * base + min(slack, unit / 2)) / unit))
    costs = [row(form, unit) for form, unit in zip(forms, units, strict=True)]
    matrix = np.array([*rows, *costs, np.sum(costs, axis=0)])
    whole = np.rint(matrix[:, free])
    found = _Program(whole, np.array([*sides, *[inf] * (len(costs) + 1)]), (milp.upper - milp.lower)[free], units,
                     np.array([form.constant for form in forms]) + units * (np.array(costs) @ milp.lower))  # fmt: skip
    is_exact = np.all(np.abs(matrix[:, free] - whole) < 1e-6) and np.all(found.spread < 2.0**32) and len(matrix) < MOST_ROWS
    return found if is_exact else None
