"""The integer program of the split in Pyomo: one file for each block of constraints.

`formulation/NAME.py` with a function `add(m, instance)` is a block; the file's name registers it. A block calls `derive` for
variables whose values follow from where layers run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from lmos_opt.errors import InputError, likely
from lmos_opt.imports import modules_of

if TYPE_CHECKING:
    from lmos_opt.formulation.memory import MemoryModel
    from lmos_opt.instance import Instance

Constraint = str | Callable[[Any, "Instance"], Any]
"""A block's name, or a function from the model and the instance to one linear relation (or a list of them)."""
Variables = str | Callable[[Any, "Instance"], Any]
"""A block's name, or a function that adds variables to the model: itself, or as a mapping of names to Pyomo components."""



class Solution(Protocol):
    """Where layers run, and how crossing tensors are sent (`lmos_opt.split.Split`)."""

    @property
    def instance(self) -> Instance:
        """The instance, in which each tensor that crosses has its codec."""
        ...

    @property
    def upto(self) -> tuple[frozenset[str], ...]:
        """For each hop the layers that run before it."""
        ...

    @property
    def codecs(self) -> Mapping[str, str]:
        """The chosen codecs of the tensors that cross, by their names."""
        ...

    def memory_at(self, p: int) -> int:
        """The memory (B) that place p needs under the model's memory model."""
        ...


Values = Callable[[Solution], Sequence[float]]
"""From a split to the values of a block's variables."""


@dataclass(frozen=True)
class Derived:
    """Variables of a block, and their values from where layers run alone, in the same order."""

    variables: tuple[Any, ...]
    values: Values
    is_least: bool = False


def derive(m: Any, variables: Iterable[Any], values: Values, *, is_least: bool = False) -> None:
    """Give the values of a block's variables at a split: the search need not decide these variables.

    `values` gets a split. `is_least`: the values are the least that the rows allow, as for the slowest of some stages; the rows
    then check the value of an expression with them.
    """
    m.derived.append(Derived(tuple(variables), values, is_least))


def fresh(m: Any, name: str, component: Any) -> Any:
    """The component, added to the model under a name that is not used yet."""
    from pyomo.common.modeling import unique_component_name

    m.add_component(unique_component_name(m, name), component)
    return component


def block_names() -> list[str]:
    """The shipped blocks of constraints."""
    return [name for name in modules_of(*__path__) if name not in {"copies", "indices", "memory", "named", "stages"}]


def add_block(m: Any, instance: Instance, name: str) -> None:
    """Add a block's variables and constraints to the model, unless the model has them. InputError for an unknown block."""
    known = block_names()
    if name not in known:
        raise InputError("constraints", f"{name!r} is not a block of constraints; there are {', '.join(known)}"
                                        f"{likely(name, known)}")  # fmt: skip
    if name not in m.blocks:
        m.blocks.add(name)
        import_module(f"{__name__}.{name}").add(m, instance)


def build_model(
    instance: Instance,
    *,
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
    variables: Sequence[Variables] = (),
    constraints: Sequence[Constraint] = (),
    exact_memory: bool = True,
) -> Any:
    """The split as a pyomo ConcreteModel without an objective (docs/formulation.md: variables and constraints).

    `exact_memory` False leaves out the rows that are needed only if an objective or a constraint wants `m.memory` small. `m.layers`
    are the names in topological order; `m.upto[h, v]`, `m.sent[h, u]`, `m.offload[h]` are the variables of hop h, from 1 (with one
    hop also `m.edge[v]`, `m.sent[u]`, `m.offload`); `m.at[p, v]` is an expression for place p, from 1; `m.memory` is the first
    place's memory (B) under the memory model. Each shipped objective's expression is there under its name, `m.latency`, `m.energy`,
    `m.tx_bytes` and so on; `m.memory_used` is `m.memory`. `variables` are added before `constraints`. `m.formulated` are the names
    of everything that is not the user's, `m.derived` the variables that follow from where layers run, block by block.
    """
    import pyomo.environ as pyo

    from lmos_opt import own_code
    from lmos_opt.formulation.memory import checked_model
    from lmos_opt.formulation.named import SplitModel

    memory_model = checked_model(memory_model)
    own_variables, own_constraints = (several(given, what) for given, what in
                                      ((variables, "variables"), (constraints, "constraints")))
    m = SplitModel(instance)
    m.derived, m.blocks = [], set()
    for block in ("assignment", "crossing", f"memory_{memory_model}"):
        add_block(m, instance, block)
    add_block(m, instance, "memory_limit")
    if proper_split:
        add_block(m, instance, "proper_split")
    if exact_memory:
        add_block(m, instance, "peak_exact")
    m.user = pyo.ConstraintList()
    m.formulated = frozenset(m.component_map())
    for added, add in ((own_variables, own_code.add_variables), (own_constraints, own_code.add_relations)):
        for one in added:
            if isinstance(one, str):
                add_block(m, instance, one)
            else:
                add(m, instance, one, describe(one, "constraint" if added is own_constraints else "variables"))
    return m


def several(given: Any, what: str) -> list[Any]:
    """The items of a sequence, as a list. InputError, about `what`, for any other value."""
    if isinstance(given, str) or callable(given) or not isinstance(given, Iterable):
        raise InputError(what, f"got {given!r:.60}; expected a list of blocks by name or functions (m, instance)")
    return list(given)


def describe(constraint: Constraint, what: str = "constraint") -> str:
    """The name of a constraint (or variables) in messages: its block, or the function and where it was written."""
    if isinstance(constraint, str):
        return f"{what} {constraint!r}"
    from lmos_opt import own_code

    return own_code.describe(f"{what} {getattr(constraint, '__name__', type(constraint).__name__)}", constraint)
