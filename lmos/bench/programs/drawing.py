"""What the families of programs share: columns, coefficients and rows drawn at random, as people write them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction

from lmos.bench.programs.program import Bound, Column, Goal, Kind, Program, Row, Term

Number = Callable[[], float]
SENSES = ("min", "max")


class Drawing:
    """A program under way. `at` is an assignment that rows are drawn around, so that most programs are feasible."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.columns: list[Column] = []
        self.rows: list[Row] = []
        self.goals: list[Goal] = []
        self.at: dict[str, float] = {}

    def column(self, name: str, kind: Kind, lower: Bound, upper: Bound, at: float = 0) -> str:
        """Add a column; returns its name."""
        self.columns.append(Column(name, kind, lower, upper))
        self.at[name] = at
        return name

    def row(self, terms: Sequence[Term], lower: Bound, upper: Bound, constant: float = 0) -> None:
        """Add a row, but none without terms."""
        if terms:
            self.rows.append(Row(f"r{len(self.rows)}", tuple(terms), lower, upper, constant))

    def goal(self, terms: Sequence[Term], sense: str | None = None, constant: float = 0) -> None:
        """Add an objective. Without a given sense, the sense is drawn."""
        self.goals.append(Goal(f"f{len(self.goals)}", "min" if (sense or self.rng.choice(SENSES)) == "min" else "max",
                               tuple(terms), constant))  # fmt: skip

    def activity(self, terms: Sequence[Term]) -> float:
        """What the terms add up to at `at`, whole where they are."""
        total = sum((Fraction(c) * Fraction(self.at[name]) for c, name in terms), Fraction(0))
        return int(total) if total.denominator == 1 and abs(total) < 2**53 else float(total)

    def row_around(self, terms: Sequence[Term], slack: float) -> None:
        """A row that holds at `at`, of any kind, with about that slack."""
        a = self.activity(terms)
        kind = self.rng.choice(("<=", "<=", ">=", ">=", "range", "=="))
        upper, lower = self.rng.choice((0, slack, 2 * slack)), self.rng.choice((0, slack, 2 * slack))
        if kind == "==":
            self.row(terms, a, a)
        else:
            self.row(terms, None if kind == "<=" else a - lower, None if kind == ">=" else a + upper)

    def terms(self, names: Sequence[str], number: Number, least: int = 1) -> list[Term]:
        """Some of the columns, each with a coefficient that is not zero."""
        some = self.rng.sample(list(names), self.rng.randint(min(least, len(names)), len(names)))
        return [(c, name) for name in names if name in some for c in [number()] if c]

    def numbers(self, style: str | None = None) -> Number:
        """A source of coefficients."""
        rng = self.rng
        base = rng.choice((1.0, 0.1, 3.7, 1e-6, 1e6, 5e9)) * rng.choice((1.0, rng.uniform(1, 2)))
        apart = 10 ** rng.uniform(-9, -3)
        values = [rng.choice((1, 2, 3, 5, 0.5, 0.25, 0.1, 7)) for _ in range(2)]
        styles: dict[str, Number] = {
            "small": lambda: rng.choice((-1, 1, 1, 1)) * rng.randint(1, 9),
            "positive": lambda: rng.randint(1, 20),
            "tenths": lambda: rng.choice((-1, 1, 1)) * rng.randint(1, 50) / 10,
            "uniform": lambda: rng.choice((-1, 1, 1, 1)) * round(rng.uniform(0.01, 5), rng.choice((2, 3, 6, 16))),
            "ties": lambda: rng.choice(values),
            "near": lambda: base * (1 + apart * rng.randint(-3, 3)),
            "bytes": lambda: rng.choice((rng.randint(10**3, 10**7), 4 * rng.randint(10**5, 10**9), rng.randint(10**8, 10**10))),
            "seconds": lambda: 10 ** rng.uniform(-6, 1),
            "sparse": lambda: rng.choice((0, 0, 1, -1, 2)),
        }
        return styles[style or rng.choice(list(styles))]

    def goals_over(self, names: Sequence[str], p: int, styles: Sequence[str | None] = (None,)) -> None:
        """p objectives over the columns, most of them in conflict."""
        for _ in range(p):
            self.goal(self.terms(names, self.numbers(self.rng.choice(styles)), 2))

    def some_objectives(self) -> int:
        """How many objectives: two mostly, three or four now and then."""
        return self.rng.choice((2, 2, 2, 2, 3, 3, 4))

    def decorate(self) -> None:
        """Now and then what models carry along: fixed columns, redundant and empty rows, constants, idle objectives."""
        rng = self.rng
        chance = rng.random
        if chance() < 0.12:
            k = rng.randrange(len(self.columns))
            column = self.columns[k]
            self.columns[k] = Column(column.name, column.kind, column.lower, column.upper, self.at[column.name])
        if chance() < 0.15 and self.rows:
            row, times = rng.choice(self.rows), rng.choice((1, 2, 10, 0.5, 1e-3, 1e6))
            lower, upper = (None if b is None else b * times for b in (row.lower, row.upper))
            self.row([(c * times, name) for c, name in row.terms], lower, upper, row.constant * times)
        if chance() < 0.08:
            self.row([(0, self.columns[0].name)], None, rng.choice((0, 1, 2.5)))
        if chance() < 0.03 and self.rows:
            row = rng.choice(self.rows)
            a = self.activity(row.terms)
            self.row(row.terms, None, a - rng.choice((1, 2.5)))
            self.row(row.terms, a, None)
        if chance() < 0.15:
            k, constant = rng.randrange(len(self.goals)), rng.choice((1, -7, 0.1, 1000, 2.5e6, 1e9, -3.3e-4))
            goal = self.goals[k]
            self.goals[k] = Goal(goal.name, goal.sense, goal.terms, constant)
        if chance() < 0.06:
            self.goal([], constant=rng.choice((0, 0, 1, 0.1)))
        if chance() < 0.04:
            self.goal([(0, self.columns[0].name)])
        if chance() < 0.04:
            goal = rng.choice(self.goals)
            self.goal(goal.terms, goal.sense)
        self.goals[4:] = []

    def program(self, name: str) -> Program:
        """The drawn columns, rows and objectives as a program."""
        return Program(name, tuple(self.columns), tuple(self.rows), tuple(self.goals))
