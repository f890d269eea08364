"""One block of constraints alone: with binaries fixed, its rows leave its other variables one value, the one that `derive` says."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt import Instance
from lmos_opt.formulation import add_block
from lmos_opt.split import Split


def model(instance: Instance, *blocks: str) -> Any:
    """A model of these blocks alone."""
    m = pyo.ConcreteModel()
    m.derived, m.blocks = [], set()
    for block in blocks:
        add_block(m, instance, block)
    return m


def set_to(m: Any, split: Split) -> None:
    """Give every variable its value at a split."""
    for h, before in enumerate(split.upto, 1):
        for v in split.instance.names:
            m.upto[h, v].value = int(v in before)
    for block in m.derived:
        for variable, value in zip(block.variables, block.values(split), strict=True):
            variable.value = float(value)


def broken(m: Any) -> list[str]:
    """The rows and bounds that the values break, by name."""
    rows = [row.name for row in m.component_data_objects(pyo.Constraint)
            if (row.has_lb() and pyo.value(row.body) < pyo.value(row.lower) - 1e-9)
            or (row.has_ub() and pyo.value(row.body) > pyo.value(row.upper) + 1e-9)]
    bounds = [v.name for v in m.component_data_objects(pyo.Var) if v.value is not None
              and not (v.lb is None or v.lb <= v.value) & (v.ub is None or v.value <= v.ub)]  # fmt: skip
    return rows + bounds


def is_forced(m: Any, variable: Any) -> bool:
    """Whether the variable's other value (of 0 and 1) breaks something, all else as it is."""
    before = variable.value
    variable.value = 1 - before
    found = bool(broken(m))
    variable.value = before
    return found
