"""Solve one integer program with pyaugmecon; run by a Python that has it, which need not have lmos.

Standard input: JSON with `program` (keys as in data/published), `warm_up` (another, solved first and not timed),
`options` of HiGHS, and `time_limit_s`. Standard output: JSON with `seconds` (model building and solving, no imports),
`values`, `solves`, `complete`; or `refused`, the reason why pyaugmecon does not do it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from time import perf_counter
from typing import Any

import pyomo.environ as pyo
from pyaugmecon import PyAugmecon, PyAugmeconConfig


def build(program: dict[str, Any]) -> Any:
    """The program as pyaugmecon wants it: a Pyomo model with an ObjectiveList named `obj_list`."""
    m = pyo.ConcreteModel(program["name"])
    n = range(len(program["c"][0]))
    upper = program["ub"] if program["vars"] == "integer" else [1] * len(n)
    m.x = pyo.Var(n, domain=pyo.NonNegativeIntegers, bounds=lambda m, k: (0, upper[k]))
    m.rows = pyo.ConstraintList()
    senses = program["row_sense"]
    senses = [senses] * len(program["A"]) if isinstance(senses, str) else senses
    for row, relation, bound in zip(program["A"], senses, program["b"], strict=True):
        body = sum(row[k] * m.x[k] for k in n)
        m.rows.add({"<=": body <= bound, ">=": body >= bound, "==": body == bound}[relation])
    m.obj_list = pyo.ObjectiveList()
    for c, c0, sense in zip(program["c"], program["c0"], program["sense"], strict=True):
        m.obj_list.add(expr=sum(c[k] * m.x[k] for k in n) + c0, sense=pyo.maximize if sense == "max" else pyo.minimize)
    return m


def solve(program: dict[str, Any], options: dict[str, Any], time_limit_s: float) -> dict[str, Any]:
    """Build and solve, timed."""
    start = perf_counter()
    config = PyAugmeconConfig(workers=1, solver_name="highs", solver_options=options, process_timeout=time_limit_s,
                              write_csv=False, progress_bar=False, log_to_console=False)  # fmt: skip
    try:
        found = PyAugmecon(build(program), config).solve()
    except ValueError as error:
        return {"seconds": perf_counter() - start, "refused": str(error)}
    seconds = perf_counter() - start
    return {"seconds": seconds, "values": [list(map(float, point)) for point in found.points],
            "solves": found.models_solved, "complete": seconds < time_limit_s}  # fmt: skip


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # its log file goes there, whatever is asked
        solve(request["warm_up"], request["options"], request["time_limit_s"])
        answer = solve(request["program"], request["options"], request["time_limit_s"])
        os.chdir("/")
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
