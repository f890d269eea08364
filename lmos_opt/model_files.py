"""The integer program as a file for other solvers: `.lp` or `.mps`, with one objective and bounds on others.

The file is one step of Algorithm 1: f_i is optimised, each other objective is no worse than its epsilon.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos_opt import objectives
from lmos_opt.errors import InputError, first_line
from lmos_opt.formulation import Constraint, Variables, build_model
from lmos_opt.objectives import Objective
from lmos_opt.processes.writing import checked_suffix, write_atomically

if TYPE_CHECKING:
    from lmos_opt.formulation.memory import MemoryModel
    from lmos_opt.instance import Instance

SUFFIXES = (".lp", ".mps")


def save_model(
    instance: Instance,
    path: str | os.PathLike[str],
    *,
    objective: str | Objective = "latency",
    bounds: Mapping[str | Objective, float] | None = None,
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
    variables: Sequence[Variables] = (),
    constraints: Sequence[Constraint] = (),
) -> None:
    """Write the program by suffix, with variables and constraints named after layers.

    Characters that the formats forbid become `_`; if two layers would then have one name, all have numbers instead.

    `objective` is optimised in its own sense; each of `bounds` is an objective (or its name) that may be no worse than this value,
    in its unit. `edge(v)` are the binaries of docs/formulation.md. Raises InputError for an unknown objective or suffix.
    """
    import pyomo.environ as pyo
    from pyomo.common.modeling import unique_component_name

    suffix = checked_suffix(path, SUFFIXES)
    model = build_model(instance, memory_model=memory_model, proper_split=proper_split, variables=variables,
                        constraints=constraints)
    chosen = objectives.get(objective)
    sense = pyo.minimize if chosen.sense == "min" else pyo.maximize
    wanted = _expression(model, instance, objective)
    held = [(objectives.get(bound), _expression(model, instance, bound), value) for bound, value in (bounds or {}).items()]
    for other in model.component_data_objects(pyo.Objective, active=True):  # of the user's; a front asks for none of them either
        other.deactivate()
    model.add_component(unique_component_name(model, "optimised"), pyo.Objective(expr=wanted, sense=sense))
    epsilon = pyo.Constraint(pyo.Any)
    model.add_component(unique_component_name(model, "epsilon"), epsilon)
    for found, expression, value in held:
        epsilon[found.name] = expression <= value if found.sense == "min" else expression >= value
    with tempfile.TemporaryDirectory(prefix="lmos-model-") as folder:
        file = Path(folder) / f"model{suffix}"
        try:
            model.write(str(file), io_options={"symbolic_solver_labels": _stay_apart(instance)})
        except Exception as error:  # Pyomo's writers raise anything at what their format does not know
            raise InputError(str(path), f"{suffix} does not hold what was added to this model: {first_line(error)}") from error
        write_atomically(path, file.read_bytes())


def _stay_apart(instance: Instance) -> bool:
    return len({re.sub(r"\W", "_", name) for name in instance.names}) == len(instance.names)


def _expression(model: Any, instance: Instance, objective: str | Objective) -> Any:
    from lmos_opt.fronts.own_objectives import expression_of

    return expression_of(objectives.get(objective), model, instance, is_shipped=isinstance(objective, str))
