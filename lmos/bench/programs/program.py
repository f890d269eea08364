"""An integer program as plain numbers, and as the Pyomo model or script that means the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Term = tuple[float, str]
"""A coefficient and the name of its column."""
Kind = Literal["binary", "integer", "real"]
Bound = float | None
_DOMAINS = {"binary": "Binary", "integer": "Integers", "real": "Reals"}


@dataclass(frozen=True)
class Column:
    """A variable; `fixed` is the value that it is fixed at, if it is."""

    name: str
    kind: Kind
    lower: Bound = None
    upper: Bound = None
    fixed: float | None = None


@dataclass(frozen=True)
class Row:
    """`lower <= terms + constant <= upper`; equal bounds are an equality."""

    name: str
    terms: tuple[Term, ...]
    lower: Bound = None
    upper: Bound = None
    constant: float = 0


@dataclass(frozen=True)
class Goal:
    """An objective: terms + constant."""

    name: str
    sense: Literal["min", "max"]
    terms: tuple[Term, ...]
    constant: float = 0

    @property
    def sign(self) -> int:
        """What turns its values into costs."""
        return 1 if self.sense == "min" else -1


@dataclass(frozen=True)
class Program:
    """A mixed-integer linear program with one or more objectives."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    goals: tuple[Goal, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of everything in it."""
        parts: list[Column | Row | Goal] = [*self.columns, *self.rows, *self.goals]
        return tuple(part.name for part in parts)

    @property
    def _has_zeros(self) -> bool:
        forms: list[Row | Goal] = [*self.rows, *self.goals]
        return any(c == 0 for part in forms for c, _ in part.terms)

    def build(self) -> tuple[Any, list[Any]]:
        """The Pyomo model and its objectives."""
        import pyomo.environ as pyo

        m = pyo.ConcreteModel(self.name)
        if self._has_zeros:
            m.zero = pyo.Param(initialize=0, mutable=True)  # a plain 0 times a variable is no expression any more
        for column in self.columns:
            variable = pyo.Var(domain=getattr(pyo, _DOMAINS[column.kind]), bounds=(column.lower, column.upper))
            setattr(m, column.name, variable)
            if column.fixed is not None:
                variable.fix(column.fixed)

        def expression(part: Row | Goal) -> Any:
            total = sum((m.zero if c == 0 else c) * getattr(m, name) for c, name in part.terms)
            return total + part.constant if part.constant else total

        for row in self.rows:
            setattr(m, row.name, pyo.Constraint(expr=(row.lower, expression(row), row.upper)))
        for goal in self.goals:
            sense = pyo.minimize if goal.sense == "min" else pyo.maximize
            setattr(m, goal.name, pyo.Objective(expr=expression(goal), sense=sense))
        return m, [getattr(m, goal.name) for goal in self.goals]

    def script(self) -> str:
        """A Python script that builds the same model and prints its front."""
        lines = ["import pyomo.environ as pyo", "", "from lmos_opt import trace_front", "", f"m = pyo.ConcreteModel({self.name!r})"]
        if self._has_zeros:
            lines.append("m.zero = pyo.Param(initialize=0, mutable=True)")
        for column in self.columns:
            domain = f"domain=pyo.{_DOMAINS[column.kind]}"
            bounds = "" if column.kind == "binary" and (column.lower, column.upper) == (0, 1) else \
                f", bounds=({column.lower!r}, {column.upper!r})"  # fmt: skip
            lines.append(f"m.{column.name} = pyo.Var({domain}{bounds})")
            if column.fixed is not None:
                lines.append(f"m.{column.name}.fix({column.fixed!r})")
        lines += [f"m.{row.name} = pyo.Constraint(expr=({row.lower!r}, {_source(row)}, {row.upper!r}))" for row in self.rows]
        lines += [f"m.{goal.name} = pyo.Objective(expr={_source(goal)}, sense=pyo.{goal.sense}imize)" for goal in self.goals]
        names = ", ".join(f"m.{goal.name}" for goal in self.goals)
        lines += [f"front = trace_front(m, [{names}])", "print(front.complete, front.reason)", "for point in front.points:",
                  "    print(point.values, point.solution)"]  # fmt: skip
        return "\n".join(lines) + "\n"


def _source(part: Row | Goal) -> str:
    terms = [f"{'m.zero' if c == 0 else repr(c)}*m.{name}" for c, name in part.terms]
    if part.constant or not terms:
        terms.append(repr(part.constant))
    return " + ".join(terms).replace("+ -", "- ")
