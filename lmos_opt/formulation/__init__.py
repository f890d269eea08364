"""The integer program of the split in Pyomo: one file a block of constraints.

`formulation/NAME.py` with a function `add(m, instance)` is a block; naming it is all the registration there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InputError

if TYPE_CHECKING:
    from lmos_opt.formulation.memory import MemoryModel
    from lmos_opt.instance import Instance

Constraint = str | Callable[[Any, "Instance"], Any]
"""A block's name, or a function from the model and the instance to one linear relation (or a list of them)."""


def block_names() -> list[str]:
    """The shipped blocks of constraints."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in {"memory", "stages"})


def add_block(m: Any, instance: Instance, name: str) -> None:
    """Add a block's variables and constraints to the model."""
    if name not in block_names():
        raise InputError("constraints", f"{name!r} is not a block of constraints; there are {', '.join(block_names())}")
    import_module(f"{__name__}.{name}").add(m, instance)


def build_model(
    instance: Instance,
    *,
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
    constraints: Sequence[Constraint] = (),
    exact_memory: bool = True,
) -> Any:
    """The split as a pyomo ConcreteModel without an objective (docs/formulation.md: variables and constraints).

    `exact_memory` False leaves out what only objectives and constraints that want `m.memory` small need.
    `m.layers` are the names in topological order, `m.edge`, `m.sent`, `m.offload` the variables, `m.memory` the edge
    memory (B) under the memory model.
    """
    import pyomo.environ as pyo

    m = pyo.ConcreteModel(instance.name)
    for block in ("assignment", "crossing", f"memory_{memory_model}"):
        add_block(m, instance, block)
    if instance.memory_limit_bytes is not None:
        add_block(m, instance, "memory_limit")
    if proper_split:
        add_block(m, instance, "proper_split")
    if exact_memory:
        add_block(m, instance, "peak_exact")
    m.user = pyo.ConstraintList()
    for constraint in constraints:
        if isinstance(constraint, str):
            add_block(m, instance, constraint)
        else:
            _add_user_constraint(m, instance, constraint)
    return m


def describe(constraint: Constraint) -> str:
    """How a message names a constraint: its block, or the function and where it was written."""
    if isinstance(constraint, str):
        return f"constraint {constraint!r}"
    code = getattr(constraint, "__code__", None)
    name = getattr(constraint, "__name__", type(constraint).__name__)
    return f"constraint {name}" + (f" ({code.co_filename}:{code.co_firstlineno})" if code else "")


def _add_user_constraint(m: Any, instance: Instance, constraint: Callable[[Any, Instance], Any]) -> None:
    try:
        found = constraint(m, instance)
    except KeyError as error:
        raise InputError(describe(constraint), f"there is no {error.args[0]}") from None
    except Exception as error:  # the user's code may raise anything
        raise InputError(describe(constraint), f"failed with {type(error).__name__}: {error}") from error
    from pyomo.core.expr.relational_expr import RelationalExpression

    for relation in found if isinstance(found, list) else [found]:
        if not isinstance(relation, RelationalExpression):
            raise InputError(describe(constraint), f"gave {type(relation).__name__} {relation!s:.60}; expected a linear "
                                                   "relation over the model's variables, such as m.edge['conv1'] == 1")
        m.user.add(relation)
