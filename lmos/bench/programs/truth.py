"""The true front of a small program: every assignment of its integers, every number a fraction, no tolerance anywhere.

Real columns are eliminated, so that an assignment's least costs are the greatest of finitely many linear forms of it. A real
trade-off (two objectives that one assignment's real columns move against each other) has no finite front and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, lcm, prod
from typing import TypeVar

from lmos.bench.programs.elimination import OutOfReachError, Vector, eliminated, whole
from lmos.bench.programs.program import Column, Goal, Program, Row

MOST_ASSIGNMENTS = 20_000
_ROUNDS = 12
"""Of propagation: bounds of real columns may come closer to their limits forever."""
ZERO = Fraction(0)
Costs = tuple[Fraction, ...]
Box = dict[str, list[Fraction | None]]
"""Each column's least and greatest value, None for none."""
Terms = dict[str, Fraction]
Inequality = tuple[Terms, Fraction]
"""Coefficients, and what their sum is at most."""

C = TypeVar("C", bound=tuple[Fraction | int, ...])


@dataclass(frozen=True)
class Truth:
    """The non-dominated costs (every sense turned to min), in order; none if the program is infeasible.

    `spread` is how far each cost moves over the integers' bounds, or over the assignments where real columns enter it;
    `size` is what its terms add up to at most, sign aside.
    """

    costs: tuple[Costs, ...]
    spread: Costs
    size: Costs
    assignments: int


def truth(program: Program, most: int = MOST_ASSIGNMENTS) -> Truth:
    """The true front. Raises OutOfReachError for what is unbounded, has over `most` assignments, or is a real trade-off."""
    exact = _Exact(program)
    p = len(program.goals)
    if not exact.tighten():
        return Truth((), (ZERO,) * p, (ZERO,) * p, 0)
    ranges = [_range(name, exact.box[name]) for name in exact.integers]
    if (total := prod(r.stop - r.start for r in ranges)) > most:
        raise OutOfReachError(f"{total} assignments")
    value = exact.values()
    seen: set[tuple[Fraction | int, ...]] = set()
    count = 0
    for x in _assignments(ranges, exact.rows_of_integers()):
        count += 1
        seen.add(value(x))
    scales = [exact.scale(k) for k in range(p)]
    found = [tuple(Fraction(c, 1) / s + constant for c, s, constant in zip(costs, scales, exact.constants, strict=True))
             for costs in non_dominated(seen)]  # fmt: skip
    spread, size = [], []
    for k, form in enumerate(exact.forms):
        values = [costs[k] / Fraction(scales[k]) for costs in seen] if k in exact.mixed and seen else [ZERO]
        moved = [abs(form.get(name, ZERO)) for name in exact.integers]
        bounded = sum((c * (r.stop - 1 - r.start) for c, r in zip(moved, ranges, strict=True)), ZERO)
        terms = sum((c * max(abs(r.start), abs(r.stop - 1)) for c, r in zip(moved, ranges, strict=True)), ZERO)
        spread.append(max(values) - min(values) if k in exact.mixed else bounded)
        size.append(terms + abs(exact.constants[k]) + max(map(abs, values)))
    return Truth(tuple(found), tuple(spread), tuple(size), count)


def non_dominated(costs: Iterable[C]) -> list[C]:
    """The vectors that no other one is nowhere worse than, each once, in order."""
    found: list[C] = []
    for c in sorted(set(costs)):
        if not any(all(a <= b for a, b in zip(f, c, strict=True)) for f in found):
            found.append(c)
    return found


class _Exact:
    """A program in fractions, without the columns that are fixed."""

    def __init__(self, program: Program) -> None:
        self._fixed = {c.name: Fraction(c.fixed) for c in program.columns if c.fixed is not None}
        free = [c for c in program.columns if c.fixed is None]
        self.box: Box = {c.name: _bounds(c) for c in free}
        self._declared = {name: tuple(bounds) for name, bounds in self.box.items()}
        self.reals = [c.name for c in free if c.kind == "real"]
        self.integers = [c.name for c in free if c.kind != "real"]
        self._rows = [(self._halves(row), row.lower is not None and row.lower == row.upper) for row in program.rows]
        self._inequalities = [half for halves, _ in self._rows for half in halves]
        self.forms, self.constants = [], []
        for goal in program.goals:
            terms, constant = self._linear(goal)
            self.forms.append({name: goal.sign * c for name, c in terms.items()})
            self.constants.append(goal.sign * constant)
        self.mixed = [k for k, form in enumerate(self.forms) if any(form.get(name) for name in self.reals)]

    def _linear(self, part: Row | Goal) -> tuple[Terms, Fraction]:
        terms: Terms = {}
        constant = Fraction(part.constant)
        for coefficient, name in part.terms:
            if name in self._fixed:
                constant += Fraction(coefficient) * self._fixed[name]
            else:
                terms[name] = terms.get(name, ZERO) + Fraction(coefficient)
        return {name: c for name, c in terms.items() if c}, constant

    def _halves(self, row: Row) -> list[Inequality]:
        """The row as one or two inequalities."""
        terms, constant = self._linear(row)
        found = []
        if row.upper is not None:
            found.append((terms, Fraction(row.upper) - constant))
        if row.lower is not None:
            found.append(({name: -c for name, c in terms.items()}, constant - Fraction(row.lower)))
        return found

    def scale(self, k: int) -> int:
        """The factor of the costs k that `values` gives."""
        return 1 if k in self.mixed else lcm(*(c.denominator for c in self.forms[k].values()))

    def tighten(self) -> bool:
        """Tighten the box, and cut off the part that no point of the front needs; False if the box is empty then."""
        return self._propagated() and self._reduced() and self._propagated()

    def _least(self, terms: Terms, without: str | None = None, sign: int = 1) -> Fraction | None:
        """The least sum over the box (the greatest, negated, for the sign -1); None if there is none."""
        total = ZERO
        for name, c in terms.items():
            if name == without:
                continue
            bound = self.box[name][0 if c * sign > 0 else 1]
            if bound is None:
                return None
            total += sign * c * bound
        return total

    def _narrow(self, name: str, side: int, limit: Fraction) -> bool:
        """Set a bound if it is narrower. Returns whether it was."""
        bound = self.box[name][side]
        if bound is None or (limit < bound if side else limit > bound):
            self.box[name][side] = limit
            return True
        return False

    def _propagated(self) -> bool:
        for _ in range(_ROUNDS):
            changed = False
            for terms, most in self._inequalities:
                for name, c in terms.items():
                    rest = self._least(terms, name)
                    if rest is not None:
                        limit, side = (most - rest) / c, 1 if c > 0 else 0
                        if name not in self.reals:
                            limit = Fraction(floor(limit) if side else ceil(limit))
                        changed |= self._narrow(name, side, limit)
            if self._is_empty():
                return False
            if not changed:
                break
        return True

    def _is_empty(self) -> bool:
        if any(a is not None and b is not None and a > b for a, b in self.box.values()):
            return True
        return any(rest is not None and rest > most for terms, most in self._inequalities for rest in [self._least(terms)])

    def _reduced(self) -> bool:
        """Cut off values that no point of the front needs.

        Where no cost gets worse as a column goes down, it need go no higher than where every inequality that wants it high
        is satisfied whatever the others are; and so in the other direction.
        """
        for name in self.integers:
            for side, towards in ((1, 1), (0, -1)):
                if any(form.get(name, ZERO) * towards < 0 for form in self.forms):
                    continue
                limits = [self.box[name][1 - side]]
                for terms, most in self._inequalities:
                    if terms.get(name, ZERO) * towards < 0:
                        rest = self._least(terms, name, -1)
                        limit = None if rest is None else (most + rest) / terms[name]
                        limits.append(None if limit is None else Fraction(ceil(limit) if side else floor(limit)))
                known = [limit for limit in limits if limit is not None]
                if len(known) == len(limits):
                    self._narrow(name, side, max(known) if side else min(known))
        return not self._is_empty()

    def _vector(self, terms: Terms, constant: Fraction) -> Vector:
        """Coefficients of the real columns, of the cost that is to be least (""), of the integers, and the constant."""
        return whole([*(terms.get(name, ZERO) for name in (*self.reals, "", *self.integers)), constant])

    def _completed(self, *more: Vector) -> list[Vector]:
        """The inequalities left of the rows, the real columns' bounds and `more` when the real columns are eliminated."""
        rows, equal = list(more), []
        for halves, is_equality in self._rows:
            vectors = [self._vector(terms, -most) for terms, most in halves]
            equal += vectors[:1] if is_equality else []
            rows += [] if is_equality else vectors
        for name in self.reals:
            least, most = self._declared[name]
            rows += [] if most is None else [self._vector({name: Fraction(1)}, -most)]
            rows += [] if least is None else [self._vector({name: Fraction(-1)}, least)]
        n = len(self.reals)
        return [row[n:] for row in eliminated(rows, equal, range(n))]

    def rows_of_integers(self) -> list[Vector]:
        """What the integers of a feasible assignment satisfy, and no other."""
        return [row[1:] for row in self._completed()]

    def values(self) -> Callable[[Vector], tuple[Fraction | int, ...]]:
        """The least costs of a feasible assignment, without constants, multiplied by `scale`."""
        def below(form: Terms) -> list[Vector]:
            found = [row for row in self._completed(self._vector({**form, "": Fraction(-1)}, ZERO)) if row[0]]
            if not found:
                raise OutOfReachError("a cost is unbounded")
            return found

        together = {name: sum((self.forms[k].get(name, ZERO) for k in self.mixed), ZERO) for name in self._declared}
        bounds = {k: below(self.forms[k]) for k in self.mixed}
        all_bounds = below(together) if len(self.mixed) > 1 else []
        forms = [[int(form.get(name, ZERO) * self.scale(k)) for name in self.integers] if k not in bounds else []
                 for k, form in enumerate(self.forms)]  # fmt: skip

        def value(x: Vector) -> tuple[Fraction | int, ...]:
            costs = [_greatest(bounds[k], x) if k in bounds else sum(a * b for a, b in zip(form, x, strict=True))
                     for k, form in enumerate(forms)]  # fmt: skip
            if all_bounds and _greatest(all_bounds, x) != sum((costs[k] for k in self.mixed), ZERO):
                raise OutOfReachError("a real trade-off")
            return tuple(costs)

        return value


def _greatest(bounds: Sequence[Vector], x: Vector) -> Fraction:
    return max(Fraction(sum(a * b for a, b in zip(row[1:], (*x, 1), strict=True)), -row[0]) for row in bounds)


def _bounds(column: Column) -> list[Fraction | None]:
    least, most = (None if b is None else Fraction(b) for b in (column.lower, column.upper))
    if column.kind == "binary":
        least, most = max(ZERO, least or ZERO), Fraction(1) if most is None else min(most, Fraction(1))
    if column.kind != "real":
        least, most = None if least is None else Fraction(ceil(least)), None if most is None else Fraction(floor(most))
    return [least, most]


def _range(name: str, bounds: Sequence[Fraction | None]) -> range:
    least, most = bounds
    if least is None or most is None:
        raise OutOfReachError(f"{name} has no bounds")
    return range(int(least), int(most) + 1)


def _assignments(ranges: Sequence[range], rows: Sequence[Vector]) -> Iterator[Vector]:
    """Every assignment that satisfies the rows."""
    n = len(ranges)
    rest = [[0] * len(rows) for _ in range(n + 1)]  # the least that columns from k on add to each row
    for k in reversed(range(n)):
        rest[k] = [rest[k + 1][i] + min(row[k] * ranges[k][0], row[k] * ranges[k][-1]) for i, row in enumerate(rows)]

    def extended(x: Vector, sums: Sequence[int]) -> Iterator[Vector]:
        k = len(x)
        if k == n:
            if all(s <= 0 for s in sums):
                yield x
            return
        least, most = ranges[k][0], ranges[k][-1]
        for i, row in enumerate(rows):
            room, a = -sums[i] - rest[k + 1][i], row[k]
            if a > 0:
                most = min(most, room // a)
            elif a < 0:
                least = max(least, -(room // -a))
            elif room < 0:
                return
        for v in range(least, most + 1):
            yield from extended((*x, v), [s + row[k] * v for s, row in zip(sums, rows, strict=True)])

    yield from extended((), [row[-1] for row in rows])
