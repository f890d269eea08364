"""The contiguous max-load integer program of the placement literature, as its authors write it, straight into HiGHS.

J. Tarnawski et al., "Efficient Algorithms for Device Placement of DNN Graph Operators", NeurIPS 2020: x[v, i] says that v runs at
place i, and z[v, i] that i has something at v or after it, which makes i's layers contiguous (from one layer to the next through
no other place). Places are in no order there, so that its least load may be below that of nested sets; here it never was.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import perf_counter

import highspy
import numpy as np
from highspy._core import _Highs

from lmos_opt.instance import Instance


@dataclass(frozen=True)
class RawAnswer:
    """The solver's answer: its best load (s; infinite without one), its bound (s; 0 without one), and its time (s)."""

    load_s: float
    bound_s: float
    seconds: float
    is_optimal: bool


class _Rows:
    def __init__(self) -> None:
        self.starts, self.columns, self.values = [0], list[int](), list[float]()
        self.lower, self.upper = list[float](), list[float]()

    def add(self, terms: list[tuple[int, float]], lower: float, upper: float) -> None:
        self.columns += [column for column, _ in terms]
        self.values += [value for _, value in terms]
        self.starts.append(len(self.columns))
        self.lower.append(lower)
        self.upper.append(upper)


def solve(instance: Instance, time_limit_s: float) -> RawAnswer:
    """Solve the program with HiGHS's own settings, presolve on, in one thread."""
    start = perf_counter()
    model = _program(instance)
    solver = _Highs()  # the class above it, for callbacks, prints a banner to standard output
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("time_limit", time_limit_s)
    solver.passModel(model)
    solver.run()
    info = solver.getInfo()
    has_solution = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    return RawAnswer(float(info.objective_function_value) if has_solution else inf, max(0.0, float(info.mip_dual_bound)),
                     perf_counter() - start, solver.getModelStatus() == highspy.HighsModelStatus.kOptimal)  # fmt: skip


def _program(instance: Instance) -> highspy.HighsLp:
    names, places, rate = instance.names, range(len(instance.places)), instance.port_bytes_per_s
    port_s = {u: instance.tensor_bytes(u) / rate for u in names if rate and instance.consumers[u] and instance.tensor_bytes(u)}
    number: dict[tuple[str, str, int], int] = {}
    for kind, those in (("x", names), ("z", names), ("in", port_s), ("out", port_s)):
        for v in those:
            for i in places:
                number[kind, v, i] = len(number)
    most, rows = len(number), _Rows()
    arcs = [(u, v) for u, v in instance.arcs if u not in instance.inputs]
    for v in names:
        rows.add([(number["x", v, i], 1.0) for i in places], 1.0, 1.0)
    for first, *rest in map(sorted, instance.groups):
        for v in rest:
            for i in places:
                rows.add([(number["x", first, i], 1.0), (number["x", v, i], -1.0)], 0.0, 0.0)
    for i in places:
        for v in names:
            rows.add([(number["z", v, i], 1.0), (number["x", v, i], -1.0)], 0.0, inf)
        for u, v in arcs:
            rows.add([(number["z", u, i], 1.0), (number["z", v, i], -1.0)], 0.0, inf)
            rows.add([(number["x", v, i], 1.0), (number["x", u, i], -1.0), (number["z", v, i], -1.0)], -1.0, inf)
            if u in port_s:
                rows.add([(number["in", u, i], 1.0), (number["x", v, i], -1.0), (number["x", u, i], 1.0)], 0.0, inf)
                rows.add([(number["out", u, i], 1.0), (number["x", u, i], -1.0), (number["x", v, i], 1.0)], 0.0, inf)
        load = [(number["x", layer.name, i], -layer.t_s[i]) for layer in instance.layers if layer.t_s[i]]
        load += [(number[way, u, i], -seconds) for u, seconds in port_s.items() for way in ("in", "out")]
        rows.add([*load, (most, 1.0)], 0.0, inf)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = most + 1, len(rows.lower)
    lp.col_cost_ = np.append(np.zeros(most), 1.0)
    lp.col_lower_, lp.col_upper_ = np.zeros(most + 1), np.append(np.ones(most), inf)
    whole = highspy.HighsVarType.kInteger
    lp.integrality_ = [whole if kind == "x" else highspy.HighsVarType.kContinuous for kind, _, _ in number] + [
        highspy.HighsVarType.kContinuous]  # fmt: skip
    lp.row_lower_, lp.row_upper_ = np.array(rows.lower), np.array(rows.upper)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = (np.array(rows.starts), np.array(rows.columns),
                                                                     np.array(rows.values))
    return lp
