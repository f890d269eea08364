"""Judge the front that the search finds for a program: compare it with the true front."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter
from typing import Any, Literal

from lmos.bench.programs.program import Column, Program, Row, Term
from lmos.bench.programs.truth import Truth
from lmos_opt.api import trace_front
from lmos_opt.errors import InfeasibleError, InputError, LmosError
from lmos_opt.front import Front, Point

Outcome = Literal["right", "wrong", "incomplete", "refused", "unnamed"]
TIME_LIMIT_S = 20.0
FEASIBLE = Fraction(1, 10**9)
"""The largest violation of a row, as a share of its largest term. Decimal numbers are rounded, so their sums are not exact."""
RESOLUTION = Fraction(1, 10**12)
"""Two values of an objective are the same if they differ by at most this share of its spread, as the documentation says."""
MIXED_RESOLUTION = Fraction(1, 10**9)
"""The same share for an objective with real columns, of its spread and its size."""
ROUNDING = Fraction(1, 2**49)
"""The rounding error of an objective's value, which is a double, as a share of the sum of its terms."""
REAL_ROUNDING = Fraction(1, 10**13)
"""The largest violation of a row with a real column, as a share of the column's largest possible term."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of one program.

    `outcome` is `unnamed` if the search refuses the program or ends early, and names neither a part of the program nor the time
    limit as the reason.
    """

    outcome: Outcome
    mistakes: tuple[str, ...]
    reason: str | None
    points: int
    seconds: float

    @property
    def is_bad(self) -> bool:
        """Whether this must not be."""
        return self.outcome in ("wrong", "unnamed")


def judge(program: Program, true: Truth, solver: str = "highs", time_limit_s: float = TIME_LIMIT_S) -> Verdict:
    """Trace the program's front and judge it; whatever the engine raises but KeyboardInterrupt is judged too."""
    model, objectives = program.build()
    start = perf_counter()

    def verdict(outcome: Outcome, *mistakes: str, reason: str | None = None, points: int = 0) -> Verdict:
        return Verdict(outcome, mistakes, reason, points, perf_counter() - start)

    try:
        front = trace_front(model, objectives, solver=solver, time_limit_s=time_limit_s)
    except InfeasibleError as error:
        return verdict("wrong", f"has {len(true.costs)} points, but: {error}") if true.costs else verdict("right")
    except InputError as error:
        text = str(error)
        named = _names_a_cause(text, program)
        return verdict("refused", reason=text) if named else verdict("unnamed", f"refused without a name: {text}", reason=text)
    except LmosError as error:
        return verdict("wrong", f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what a user would see
        return verdict("wrong", f"{type(error).__name__}: {error}")
    if front.reason == "interrupted":
        raise KeyboardInterrupt
    found = mistakes(front, program, true)
    n = len(front.points)
    if found:
        return verdict("wrong", *found, reason=front.reason, points=n)
    if front.complete:
        return verdict("right", points=n)
    reason = str(front.reason)
    if _names_a_cause(reason, program) or "time limit" in reason:
        return verdict("incomplete", reason=reason, points=n)
    return verdict("unnamed", f"incomplete without a cause: {reason}", reason=reason, points=n)


def _names_a_cause(text: str, program: Program) -> bool:
    words = set(re.findall(r"[A-Za-z_]\w*", text.removeprefix(f"{program.name}:")))
    return any(name in words for name in program.parts)


def mistakes(front: Front, program: Program, true: Truth) -> list[str]:
    """The mistakes of a front, in words. An incomplete front may lack points, but its points must be right."""
    goals = program.goals
    found = [_costs(point, program) for point in front.points]
    wrong = [problem for point in front.points for problem in _misreported(point, program, true)]
    near = [_near(program, true, k) for k in range(len(goals))]
    exact = [ROUNDING * size if _has_reals(program) else Fraction(0) for size in true.size]

    def covers(a: Sequence[Fraction], b: Sequence[Fraction], slack: Sequence[Fraction]) -> bool:
        """Whether a is nowhere worse than b."""
        return all(x <= y + s for x, y, s in zip(a, b, slack, strict=True))

    if front.complete:
        wrong += [f"lost {shown(t, program)}" for t in true.costs if not any(covers(f, t, near) for f in found)]
    for k, f in enumerate(found):
        if any(covers(t, f, exact) and any(x < y - s for x, y, s in zip(t, f, near, strict=True)) for t in true.costs):
            wrong.append(f"not on the front: {shown(f, program)}")
        if any(covers(f, g, exact) and covers(g, f, exact) for g in found[:k]):
            wrong.append(f"twice {shown(f, program)}")
    return wrong


def _has_reals(program: Program) -> bool:
    return any(column.kind == "real" and column.fixed is None for column in program.columns)


def _costs(point: Point, program: Program) -> tuple[Fraction, ...]:
    """The costs of a point: exact ones from its solution if all its columns are whole, otherwise its values."""
    values = {name: Fraction(value) for name, value in dict(point.solution or {}).items()}
    if _has_reals(program) or any(c.name not in values for c in program.columns):
        return tuple(goal.sign * Fraction(point.values[goal.name]) for goal in program.goals)
    return tuple(goal.sign * _sum(goal.terms, goal.constant, values) for goal in program.goals)


def _near(program: Program, true: Truth, k: int) -> Fraction:
    """The distance at which two values of goal k may count as one."""
    reals = {column.name for column in program.columns if column.kind == "real" and column.fixed is None}
    if any(name in reals and c for c, name in program.goals[k].terms):
        return MIXED_RESOLUTION * (true.spread[k] + true.size[k])
    return RESOLUTION * true.spread[k] + ROUNDING * true.size[k]


def shown(costs: Sequence[Fraction], program: Program) -> str:
    """Costs as the values of the program's objectives."""
    values = [goal.sign * cost for goal, cost in zip(program.goals, costs, strict=True)]
    return "(" + ", ".join(str(v) if v.denominator == 1 and abs(v) < 2**53 else repr(float(v)) for v in values) + ")"


def _misreported(point: Point, program: Program, true: Truth) -> list[str]:
    """How a point's solution breaks the program, or differs from the point's values."""
    solution: dict[str, Any] = dict(point.solution or {})
    missing = [c.name for c in program.columns if c.name not in solution]
    if missing:
        return [f"no value of {', '.join(missing)} in the solution {solution}"]
    x = {name: Fraction(value) for name, value in solution.items()}
    wrong = []
    for column in program.columns:
        v = x[column.name]
        if column.fixed is not None:
            wrong += [f"{column.name} = {solution[column.name]}, fixed at {column.fixed}"] if v != Fraction(column.fixed) else []
            continue
        if column.kind != "real" and v.denominator != 1:
            wrong.append(f"{column.name} = {solution[column.name]} is no integer")
        lower, upper = (0, 1) if column.kind == "binary" and column.lower is None else (column.lower, column.upper)
        slack = FEASIBLE * max(Fraction(1), abs(v)) if column.kind == "real" else Fraction(0)
        if (lower is not None and v < Fraction(lower) - slack) or (upper is not None and v > Fraction(upper) + slack):
            wrong.append(f"{column.name} = {solution[column.name]} is not within [{column.lower}, {column.upper}]")
    for row in program.rows:
        total, slack = _sum(row.terms, row.constant, x), _slack(row, x, program)
        if (row.lower is not None and total < Fraction(row.lower) - slack) or (
            row.upper is not None and total > Fraction(row.upper) + slack
        ):
            wrong.append(f"{row.name} is {float(total)!r}, not within [{row.lower}, {row.upper}], at {solution}")
    for goal, size in zip(program.goals, true.size, strict=True):
        value = _sum(goal.terms, goal.constant, x)
        sizes = [size, abs(Fraction(goal.constant)), *(abs(Fraction(c) * x[name]) for c, name in goal.terms)]
        most = max(sizes)
        if abs(value - Fraction(point.values[goal.name])) > ROUNDING * most:
            wrong.append(f"{goal.name} is {float(value)!r} at {solution}, not {point.values[goal.name]!r}")
    return wrong


def _sum(terms: Sequence[Term], constant: float, x: dict[str, Fraction]) -> Fraction:
    return sum((Fraction(c) * x[name] for c, name in terms), Fraction(constant))


def _slack(row: Row, x: dict[str, Fraction], program: Program) -> Fraction:
    """By how much the row may be broken: not at all where everything in it is whole; a real column has REAL_ROUNDING too."""
    reals = {column.name: column for column in program.columns if column.kind == "real"}
    numbers = [Fraction(n) for n in (row.constant, row.lower, row.upper) if n is not None]
    sizes = [abs(n) for n in numbers] + [abs(Fraction(c) * x[name]) for c, name in row.terms]
    is_whole = all(Fraction(c).denominator == 1 and name not in reals for c, name in row.terms)
    if is_whole and max(sizes, default=Fraction(0)) < 2**53:
        return Fraction(0)
    most = (abs(Fraction(c)) * _largest(reals[name], x[name]) for c, name in row.terms if name in reals)
    return FEASIBLE * max(sizes) + REAL_ROUNDING * sum(most, Fraction(0))


def _largest(column: Column, value: Fraction) -> Fraction:
    """The largest size that a column can have: of its bounds; where one is missing, of its value and one at least."""
    missing = max(Fraction(1), abs(value))
    return max(missing if bound is None else abs(Fraction(bound)) for bound in (column.lower, column.upper))
