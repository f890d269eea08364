"""Edge memory, equation (5), minimised: the owner of a small device wants to save memory; of another place `footprint:N`."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import add_block, derive, fresh
from lmos_opt.formulation.later_limits import needs
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective, memory_granule, numbered


def _first(m: Any, instance: Instance) -> Any:
    """The edge memory, held from below: under `peak` by what is alive at every step."""
    add_block(m, instance, "peak_exact")
    return m.memory


def _later(m: Any, instance: Instance, p: int) -> Any:
    """A variable that nothing the place needs exceeds; minimised or bounded from above, it is the most of it."""
    most = sum(layer.held_bytes + layer.output_bytes + sum(weights.bytes for weights in layer.shared) for layer in instance.layers)
    most += sum(instance.inputs.values()) + max(layer.workspace_bytes for layer in instance.layers)
    needed = fresh(m, f"footprint_{p}", pyo.Var(bounds=(0, most)))
    floor = fresh(m, f"footprint_floor_{p}", pyo.ConstraintList())
    for bytes_needed in needs(m, instance, p):
        floor.add(needed >= bytes_needed)
    derive(m, [needed], lambda split: [split.memory_at(p)], is_least=True)
    return needed


OBJECTIVE = Objective("footprint", "B", "min", _first, lambda split: split.memory_bytes, memory_granule,
                      lambda splits: splits.memory(1))  # fmt: skip
expression = OBJECTIVE.expression


def objective(argument: str) -> Objective:
    """The objective of the place with that number; InputError if it is none."""
    n = numbered("footprint", argument)

    def expression(m: Any, instance: Instance) -> Any:
        p = n.of(instance.name, instance.places)
        return _first(m, instance) if p == 1 else _later(m, instance, p)

    return Objective(f"footprint:{n.number}", "B", "min", expression, lambda split: split.memory_at(n.number), memory_granule,
                     lambda splits: splits.memory(n.of(splits.instance.name, splits.instance.places)))  # fmt: skip
