"""From a solver's vector to the edge set, and from the edge set alone to exact costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Point
from lmos_opt.fronts.agreement import attainable
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.split import Split


class Evaluation:
    """From a solver's vector to the edge set, and from the edge set alone to everything else: exact costs, a full vector."""

    def __init__(self, instance: Instance, memory_model: MemoryModel, proper_split: bool, chosen: Sequence[Objective],
                 forms: Sequence[LinearForm], model: Any, milp: Milp, columns: dict[int, int]) -> None:  # fmt: skip
        self._instance, self._memory_model, self._proper_split = instance, memory_model, proper_split
        self._chosen, self._forms, self._milp = chosen, forms, milp

        from lmos_opt.fronts.own_objectives import value_of
        from lmos_opt.own_code import columns_of_user

        self._value_of = value_of  # held, since costs are asked for at every node

        def column(variable: Any) -> int:
            return columns[id(variable)]

        self._edge = np.array([column(model.edge[v]) for v in instance.names], dtype=np.int64)
        self._derived = [(np.array([column(variable) for variable in block.variables], dtype=np.int64), block.values)
                         for block in model.derived]  # fmt: skip
        ours = {*self._edge.tolist(), *(k for found, _ in self._derived for k in found.tolist())}
        self._users = np.array([k for k in columns_of_user(model, columns) if k not in ours], dtype=np.int64)
        self._has_own_rows = bool(len(self._users) or len(model.user) or set(model.component_map()) - model.formulated)
        own = [k for k in np.flatnonzero(milp.lower < milp.upper) if k not in ours]
        if not self._has_own_rows and all(o.value is not None for o in chosen):
            own = []  # they follow from the edge set
        whole = [k for k in own if milp.integer[k]]
        self.deciders, self.decisive = np.append(self._edge, whole).astype(np.int64), whole == own
        follows = milp.lower < milp.upper
        follows[[*ours, *whole]] = False
        self._open = np.flatnonzero(follows)

    def split(self, x: Array) -> Split:
        """The edge set of a vector."""
        chosen = x[self._edge] > 0.5
        edge = frozenset(v for v, at_edge in zip(self._instance.names, chosen, strict=True) if at_edge)
        return Split(self._instance, edge, self._memory_model)

    def costs(self, x: Array) -> tuple[float, ...] | None:
        """The costs (senses turned to min) of the vector's edge set; None if it breaks a constraint."""
        split, instance = self.split(x), self._instance
        if any(v in split.edge and u not in split.edge for u, v in instance.arcs if u not in instance.inputs):
            return None
        limit = instance.memory_limit_bytes
        if (limit is not None and split.memory_bytes > limit) or (self._proper_split and not split.is_proper):
            return None
        full = None
        if self._has_own_rows:  # a user's rows are checked on the arrays, ours have been
            full = self._completed(x, split)
            if not self._milp.satisfied(full):
                return None
        costs = []
        for objective, form in zip(self._chosen, self._forms, strict=True):
            if objective.value is not None:
                value = self._value_of(objective, split)
            else:
                full = self._completed(x, split) if full is None else full
                value = form.at(full)
            costs.append(value if objective.sense == "min" else -value)
        return tuple(costs)

    def solution(self, x: Array) -> dict[str, float] | None:
        """The user's own variables by name and value, integers as whole numbers; None if there are none."""
        whole = self._milp.integer
        return {self._milp.variables[k]: float(np.rint(x[k]) if whole[k] else x[k]) for k in self._users} or None

    def check(self, x: Array) -> None:
        """InputError where an objective's `value` is not what its `expression` says at the vector's edge set."""
        split, full = self.split(x), None
        for objective, form in zip(self._chosen, self._forms, strict=True):
            if objective.value is None:
                continue
            full = self._completed(x, split) if full is None else full
            value, found = self._value_of(objective, split), attainable(self._milp, form, full, self._open)
            if not found.admits(value, objective.sense):
                raise InputError(f"objective {objective.name}", f"value gives {value!r}, and expression "
                                 f"{found.best(objective.sense)!r}, with {_named(split)}; expected one number")

    def vector(self, point: Point) -> Array:
        """A vector with the edge set of a point and its solution, NaN beyond; InputError if it is none of this instance."""
        edge = self._instance.edge_set(point.edge_layers or ())
        x = np.full(len(self._milp.variables), np.nan)
        x[self._edge] = [v in edge for v in self._instance.names]
        if point.solution is not None:
            names = [self._milp.variables[k] for k in self._users]
            if set(names) != set(point.solution):
                raise InputError("resume", f"the front's solutions are over {', '.join(sorted(point.solution)):.80}, not over "
                                           f"{', '.join(sorted(names)) or 'nothing':.80}")
            x[self._users] = [point.solution[name] for name in names]
        return x

    def prefixes(self) -> list[Array]:
        """The cuts after each layer in topological order: solutions to start from, on a chain all there are."""
        found = np.zeros((len(self._edge) + 1, len(self._milp.variables)))
        found[:, self._edge] = np.tri(len(self._edge) + 1, len(self._edge), -1)
        return list(found)

    def _completed(self, x: Array, split: Split) -> Array:
        """The vector with everything that follows from the edge set recomputed from it."""
        full = x.copy()
        full[self._edge] = [v in split.edge for v in split.instance.names]
        for columns, values in self._derived:
            full[columns] = values(split.edge)
        return full


def _named(split: Split) -> str:
    """An edge set in a few words."""
    layers = split.edge_layers
    if not layers:
        return "no layer at the edge"
    shown = ", ".join(layers) if len(layers) <= 6 else f"{', '.join(layers[:3])}, ..., {layers[-1]}"
    return f"{len(layers)} of {len(split.instance.layers)} layers at the edge: {shown}"
