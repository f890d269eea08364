"""The named peer: the ε-constraint method with two solves a point, written straight onto highspy by hand.

As a competent hand would write it: no modelling layer, one model kept, only two row bounds and the costs change. Options
and tolerances are those of `lmos_opt/solvers/highs.py`: presolve off, gaps 0, feasibility to 1e-9, and without the
heuristics and the symmetry detection that take two thirds of HiGHS's time on such programs. All columns are declared
integer: which tensors cross is 0 or 1 by itself once the layers are placed, but HiGHS is a tenth faster for it on chains, a
third on graphs.

Objective rows are scaled so that none moves by more than 1e4. A binary within 1e-9 of a whole number may then move a row
by 1e-5, so a step of ε that is to get past the last point is 2e-5 (2e-9 of the objective's range; points nearer to each
other than that are lost). Where objectives are whole numbers the step is one half.
"""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import Any

import highspy
import numpy as np
from highspy._core import _Highs

from lmos.bench.arrays import Arrays, Floats, arrays
from lmos.bench.cases import Case
from lmos.bench.solvers import ContestAnswer, Contestant, Terms

_SPREAD = 1e4
_TOLERANCE = 1e-9
_STEP = 2 * _TOLERANCE * _SPREAD
OPTIONS: dict[str, Any] = {
    "output_flag": False,
    "threads": 1,
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_detect_symmetry": False,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 0.0,
    "primal_feasibility_tolerance": _TOLERANCE,
    "dual_feasibility_tolerance": _TOLERANCE,
    "mip_feasibility_tolerance": _TOLERANCE,
}
_CONSTRAINED, _OPTIMISED = 0, 1
_OPTIMAL, _INFEASIBLE = highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInfeasible


def run(case: Case, terms: Terms, presolve: str = "off") -> ContestAnswer:
    """Trace the front from the best optimised objective to the best constrained one."""
    start = perf_counter()
    problem = arrays(case)
    factors = [min(1.0, _SPREAD / spread) if spread else 1.0 for spread in np.abs(problem.costs) @ problem.upper]
    costs = [cost * factor for cost, factor in zip(problem.costs, factors, strict=True)]
    steps = [0.5 * factor if problem.is_integral else _STEP for factor in factors]
    highs = _load(problem, costs, presolve, terms.time_limit_s)
    columns = np.arange(len(problem.upper), dtype=np.int32)
    bounded = {k: len(problem.rows.lower) + k for k in (_CONSTRAINED, _OPTIMISED)}
    found: list[tuple[float, ...]] = []
    solves, best = 0, inf

    def solve(k: int) -> Floats | None:
        nonlocal solves
        highs.changeColsCost(len(columns), columns, costs[k])
        highs.run()
        solves += 1
        return np.rint(np.array(highs.getSolution().col_value)) if highs.getModelStatus() == _OPTIMAL else None

    while perf_counter() - start < terms.time_limit_s:
        highs.changeRowBounds(bounded[_OPTIMISED], -inf, inf)
        x = solve(_OPTIMISED)
        if x is None:
            status = highs.getModelStatus()
            done = status == _INFEASIBLE
            note = "" if done else f"a solve ended as {highs.modelStatusToString(status)!r}"
            return ContestAnswer(tuple(found), solves, done, note)
        highs.changeRowBounds(bounded[_OPTIMISED], -inf, costs[_OPTIMISED] @ x + steps[_OPTIMISED])
        refined = solve(_CONSTRAINED)
        x = x if refined is None else refined
        reached = float(costs[_CONSTRAINED] @ x)
        if reached >= best:
            return ContestAnswer(tuple(found), solves, complete=False, note="no progress: the last point came again")
        best = reached
        found.append(problem.values(x))
        highs.changeRowBounds(bounded[_CONSTRAINED], -inf, best - steps[_CONSTRAINED])
    return ContestAnswer(tuple(found), solves, complete=False, note=f"stopped after {terms.time_limit_s:g} s")


def _load(problem: Arrays, costs: list[Floats], presolve: str, time_limit_s: float) -> Any:
    """The model in HiGHS: the problem's rows, then a free row for each objective."""
    highs = _Highs()  # the class above it prints a banner
    for name, value in (OPTIONS | {"presolve": presolve, "time_limit": time_limit_s}).items():
        highs.setOptionValue(name, value)
    used = [np.flatnonzero(cost) for cost in costs]
    rows, free = problem.rows, [inf] * len(costs)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(problem.upper), len(rows.lower) + len(costs)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = costs[0], np.zeros(len(problem.upper)), problem.upper
    lp.row_lower_, lp.row_upper_ = np.array([*rows.lower, *(-f for f in free)]), np.array([*rows.upper, *free])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.array([*rows.starts, *(rows.starts[-1] + np.cumsum([len(k) for k in used]))])
    lp.a_matrix_.index_ = np.concatenate([np.array(rows.columns, dtype=int), *used])
    lp.a_matrix_.value_ = np.concatenate([np.array(rows.coefficients), *(c[k] for c, k in zip(costs, used, strict=True))])
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(problem.upper)
    highs.passModel(lp)
    return highs


CONTESTANT = Contestant("raw_highspy", run, frozenset({"chain", "graph", "program"}), most_objectives=2)
