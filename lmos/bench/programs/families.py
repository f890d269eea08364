"""Five families of programs: whole numbers, big-M, wide bounds, real magnitudes, real columns beside integers.

A seed's millions name its family, so one number names one program: `program(2_000_017)` is the 18th of `wide-bounds`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

from lmos.bench.programs.drawing import Drawing
from lmos.bench.programs.elimination import OutOfReachError
from lmos.bench.programs.program import Program, Row, Term
from lmos.bench.programs.truth import Truth, truth
from lmos_opt.errors import InputError, expected

MOST_POINTS = 30
"""Of a front: what is wrong shows on small ones, and they take no time."""
MOST_DRAWN = 4_000
"""Assignments of a program that is kept."""
APART = 1_000_000
"""Seeds of a family."""


def integers(d: Drawing) -> None:
    """General integers with fractional and negative bounds, rows of every kind."""
    rng = d.rng
    n = rng.randint(2, 6)
    most = {2: 40, 3: 12, 4: 6, 5: 4, 6: 3}[n]
    for k in range(n):
        if rng.random() < 0.2:
            d.column(f"x{k}", "binary", 0, 1, rng.randint(0, 1))
            continue
        lower = rng.choice((0, 0, 0, rng.randint(-9, 9)))
        at = lower + rng.randint(0, rng.randint(1, most))
        upper = max(at, lower + rng.randint(1, most))
        cut, more = rng.choice((0, 0, 0.3, 0.5, 0.9, 1e-7, 1 - 1e-7)), rng.choice((0, 0, 0.7, 0.5, 0.1, 1e-7, 1 - 1e-7))
        d.column(f"x{k}", "integer", lower - cut, upper + more, at)
    names = [c.name for c in d.columns]
    for _ in range(rng.randint(0, 4)):
        style = rng.choice(("small", "small", "positive", "tenths", "uniform", "ties", "sparse"))
        d.row_around(d.terms(names, d.numbers(style), 2), rng.choice((0.5, 1, 2, 3, 5)))
    d.goals_over(names, d.some_objectives(), ("small", "small", "positive", "tenths", "uniform", "ties", "near", "sparse"))
    if rng.random() < 0.03:
        d.column("w", "integer", 0.2, 0.8)


def big_m(d: Drawing) -> None:
    """Switches: `q <= M*y` with an M of 1e3 to 1e12, where q has bounds of its own, a demand, or a condition to meet."""
    rng = d.rng
    n = rng.randint(2, 4)
    m = rng.choice((10 ** rng.randint(3, 12), 10 ** rng.randint(9, 12), 2**31 - 1, 99999, 10.0 ** rng.randint(3, 12) / 3))
    each = rng.random() < 0.3
    q, y = [], []
    for k in range(n):
        upper = rng.choice((rng.randint(1, 6), rng.randint(2, 6) + 0.5))
        at = rng.randint(0, int(upper))
        bound = None if rng.random() < 0.15 else upper
        q.append(d.column(f"q{k}", "integer", 0, bound, at))
        y.append(d.column(f"y{k}", "binary", 0, 1, int(at > 0)))
    for a, b in zip(q, y, strict=True):
        own = 10 ** rng.randint(3, 12) if each else m
        form = rng.randrange(4)
        if form == 0:
            d.row([(1, a), (-own, b)], None, 0)
        elif form == 1:
            d.row([(own, b), (-1, a)], 0, None)
        elif form == 2:
            d.row([(1 / own, a), (-1, b)], None, 0)
        else:
            d.row([(rng.choice((0.5, 1.5, 2, 3)), a), (-own, b)], None, 0)
    total = [(1, a) for a in q]
    demand = d.activity(total)
    d.row(total, demand if rng.random() < 0.7 else None, demand)
    if rng.random() < 0.4:  # a row that holds only where a switch is on
        terms = d.terms(q, d.numbers("small"))
        d.row([*terms, (m, rng.choice(y))], None, m + rng.choice((0, 1, 2)))
    if rng.random() < 0.3:
        d.row([(1, b) for b in y], None, rng.randint(1, n))
    style = rng.choice(("positive", "positive", "small", "tenths", "uniform", "near"))
    d.goal([(c, b) for b in y for c in [abs(d.numbers(style)())]], "min")
    for _ in range(d.some_objectives() - 1):
        d.goal(d.terms([*q, *(y if rng.random() < 0.4 else [])], d.numbers(rng.choice((style, "positive", "small"))), 2))


def wide_bounds(d: Drawing) -> None:
    """Bounds of 1e9 to 1e30, or none, where rows or objectives keep the columns small."""
    rng = d.rng
    n = rng.randint(2, 4)
    far: tuple[float | None, ...] = (10**9, 1e9, 10**12, 1e12, 1e20, 1e30, None, None, 1e6)
    style = rng.choice(("positive", "small", "tenths", "uniform", "ties", "near"))
    number = d.numbers(style)
    same = rng.random() < 0.5
    upper = rng.choice(far)
    for k in range(n):
        d.column(f"x{k}", "integer", rng.choice((0, 0, 0, 1, -0.5)), upper if same else rng.choice(far), rng.randint(0, 5))
    names = [c.name for c in d.columns]
    covering = rng.random() < 0.5
    terms = [(rng.choice((1, 1, 2, 3, 5, 0.5, 1.7)), name) for name in names]
    a = d.activity(terms) + rng.randint(1, 12)
    if covering:
        d.row(terms, a, None)
        for _ in range(d.some_objectives()):
            d.goal([(abs(c), name) for c, name in d.terms(names, number)], "min")
    else:
        d.row(terms, rng.choice((None, None, a - 2, a)), a)
        if rng.random() < 0.5:
            d.row_around(d.terms(names, d.numbers("small"), 2), rng.choice((1, 2, 3)))
        d.goals_over(names, d.some_objectives(), (style,))
    if rng.random() < 0.25:  # the distance of two columns, as an integer without bounds
        at = abs(d.at[names[0]] - d.at[names[1]])
        gap = d.column("gap", "integer", rng.choice((None, 0, -1e9, -1e20)), rng.choice(far), at)
        d.row([(1, gap), (-1, names[0]), (1, names[1])], 0, None)
        d.row([(1, gap), (1, names[0]), (-1, names[1])], 0, None)
        d.goal([(rng.choice((1, 0.3, 2)), gap)], "min")
    if rng.random() < 0.2:
        name = d.column("t", "integer", None, rng.choice(far), int(d.activity([(1, v) for v in names])))
        d.row([(1, v) for v in names] + [(-1, name)], 0, 0)
        if rng.random() < 0.5:
            d.goal([(rng.choice((1, 0.1, -3)), name)])


def reals(d: Drawing) -> None:
    """Magnitudes as they are: bytes to 1e10 beside seconds from 1e-6, near-equal coefficients, knapsacks."""
    rng = d.rng
    n = rng.randint(3, 8)
    for k in range(n):
        if n < 6 and rng.random() < 0.2:
            d.column(f"x{k}", "integer", 0, rng.randint(2, 4), rng.randint(0, 2))
        else:
            d.column(f"x{k}", "binary", 0, 1, rng.randint(0, 1))
    names = [c.name for c in d.columns]
    sizes: list[Term] = [(c, name) for name in names for c in [d.numbers("bytes")()]]
    if rng.random() < 0.6:
        d.row(sizes, None, d.activity(sizes) + rng.choice((0, 0, 1, 10**6)))
    if rng.random() < 0.3:
        d.row([(c, name) for name in names for c in [d.numbers("seconds")()]], None, rng.uniform(0.1, 10))
    if rng.random() < 0.4:
        d.row_around(d.terms(names, d.numbers(rng.choice(("near", "near", "ties", "tenths"))), 2), rng.choice((1e-6, 0.1, 1)))
    if rng.random() < 0.4:
        chosen = d.activity([(1, name) for name in names])
        d.row([(1, name) for name in names], chosen if rng.random() < 0.3 else None, chosen)
    styles = ("seconds", "near", "near", "bytes", "uniform", "ties")
    d.goal(sizes if rng.random() < 0.5 else d.terms(names, d.numbers(rng.choice(styles)), 2), rng.choice(("min", "max")))
    for _ in range(d.some_objectives() - 1):
        d.goal(d.terms(names, d.numbers(rng.choice(styles)), 2), d.goals[0].sense if rng.random() < 0.3 else None)


def mixed(d: Drawing) -> None:
    """Real and integer columns: a makespan, flows through open nodes, distances to a goal, or columns without a cost."""
    rng = d.rng
    (_makespan, _flows, _deviation, _slack)[rng.randrange(4)](d)
    names = [c.name for c in d.columns if c.kind != "real"]
    if rng.random() < 0.2:  # a real column that no objective sees
        free = d.column("idle", "real", rng.choice((None, 0, -5)), rng.choice((None, 10, 1e6)))
        if rng.random() < 0.6:
            d.row([(1, free), (rng.choice((1, -2, 0.3)), rng.choice(names))], None, rng.randint(0, 5))


def _makespan(d: Drawing) -> None:
    rng = d.rng
    jobs, number = rng.randint(3, 6), d.numbers(rng.choice(("positive", "tenths", "uniform", "near", "seconds")))
    times = [(abs(number()), abs(number())) for _ in range(jobs)]
    on = [d.column(f"on{k}", "binary", 0, 1, rng.randint(0, 1)) for k in range(jobs)]
    z = d.column("z", "real", rng.choice((None, 0)), rng.choice((None, None, 1e6)))
    d.row([(1, z), *((-a, v) for (a, _), v in zip(times, on, strict=True))], 0, None)
    d.row([(1, z), *((b, v) for (_, b), v in zip(times, on, strict=True))], sum(b for _, b in times), None)
    d.goal([(rng.choice((1, 1, 1, 0.1, 60)), z)], "min")
    d.goals_over(on, d.some_objectives() - 1, ("positive", "small", "tenths", "near", "bytes"))


def _flows(d: Drawing) -> None:
    rng = d.rng
    n = rng.randint(2, 3)
    capacity = [rng.choice((rng.randint(3, 9), 10.0 ** rng.randint(3, 9), rng.randint(2, 6) + 0.5)) for _ in range(n)]
    opened = [d.column(f"y{k}", "binary", 0, 1) for k in range(n)]
    more = [d.column(f"k{k}", "integer", 0, rng.randint(1, 4)) for k in range(rng.randint(0, 2))]
    flow = [d.column(f"f_{k}", "real", 0, rng.choice((None, c, 5))) for k, c in enumerate(capacity)]
    for f, y, c in zip(flow, opened, capacity, strict=True):
        d.row([(1, f), (-c, y)], None, 0)
    demand = rng.choice((rng.randint(2, 8), rng.randint(10, 60) / 10))
    d.row([*((1, f) for f in flow), *((1, k) for k in more)], demand, rng.choice((None, demand)))
    d.goal([(abs(d.numbers("uniform")()), f) for f in flow], "min")
    d.goal([(rng.randint(1, 9), y) for y in opened], "min")
    for _ in range(d.some_objectives() - 2):
        d.goal(d.terms([*opened, *more], d.numbers("small")), None)
    if more and rng.random() < 0.7:
        d.goal([(rng.randint(1, 5), k) for k in more], "min")


def _deviation(d: Drawing) -> None:
    rng = d.rng
    number = d.numbers(rng.choice(("uniform", "tenths", "near", "small")))
    x = [d.column(f"x{k}", "integer", rng.choice((0, -2.5)), rng.randint(2, 4) + rng.choice((0, 0.4)))
         for k in range(rng.randint(2, 4))]
    terms = d.terms(x, number, 2)
    target = rng.choice((rng.randint(1, 9), rng.uniform(1, 9)))
    over, under = d.column("over", "real", 0, None), d.column("under", "real", 0, rng.choice((None, 1e3)))
    d.row([*terms, (-1, over), (1, under)], target, target)
    d.goal([(1, over), (rng.choice((1, 2, 0.5)), under)], "min")
    d.goals_over(x, d.some_objectives() - 1, ("small", "tenths", "uniform", "near"))


def _slack(d: Drawing) -> None:
    rng = d.rng
    x = [d.column(f"x{k}", "integer", 0, rng.randint(1, 3), rng.randint(0, 1)) for k in range(rng.randint(3, 4))]
    free = d.column("s", "real", rng.choice((0, None, -3.3)), rng.choice((None, 7.5, 1e9)))
    d.row([*d.terms(x, d.numbers(rng.choice(("small", "tenths"))), 2), (rng.choice((1, -1, 0.25)), free)], rng.randint(0, 3),
          rng.choice((None, 6, 8)))  # fmt: skip
    d.row_around(d.terms(x, d.numbers(rng.choice(("small", "uniform"))), 2), rng.choice((1, 2)))
    d.goals_over(x, d.some_objectives(), ("small", "tenths", "uniform", "near", "ties"))
    if rng.random() < 0.5:
        d.goal([(1, free), *d.terms(x, d.numbers("tenths"))], "min")


FAMILIES: dict[str, Callable[[Drawing], None]] = {
    "integers": integers,
    "big-m": big_m,
    "wide-bounds": wide_bounds,
    "reals": reals,
    "mixed": mixed,
}


def family(seed: int) -> str:
    """The family of a seed. Raises InputError if there is none."""
    if seed // APART >= len(FAMILIES):
        raise InputError("--only", f"{seed}: expected a seed below {len(FAMILIES) * APART}")
    return list(FAMILIES)[seed // APART]


def seeds(names: list[str], first: int, n: int) -> list[int]:
    """n seeds from the `first` on, of these families in turn. Raises InputError for an unknown family, or too many seeds."""
    for name in names:
        if name not in FAMILIES:
            raise InputError("--family", f"{name!r} is not a family; {expected(FAMILIES)}")
    if first + n > APART:
        raise InputError("--seed", f"expected the last seed below {APART}")
    bases = [list(FAMILIES).index(name) * APART for name in names]
    return [bases[k % len(bases)] + first + k // len(bases) for k in range(n)]


def program(seed: int) -> tuple[Program, Truth]:
    """The program of a seed and its true front: the first of its draws whose front is found, and small."""
    name = family(seed)
    for draw in count():
        d = Drawing(random.Random(f"{name} {seed} {draw}"))
        FAMILIES[name](d)
        d.decorate()
        if d.rng.random() < 0.3:
            _shuffle(d)
        drawn = d.program(f"{name}-{seed}")
        try:
            true = truth(drawn, MOST_DRAWN)
        except OutOfReachError:
            continue
        if len(true.costs) <= MOST_POINTS and (true.costs or d.rng.random() < 0.3):
            return drawn, true
    raise AssertionError


def _shuffle(d: Drawing) -> None:
    """Rows and columns in another order."""
    d.rng.shuffle(d.columns)
    d.rng.shuffle(d.rows)
    d.rows = [Row(row.name, tuple(d.rng.sample(row.terms, len(row.terms))), row.lower, row.upper, row.constant) for row in d.rows]
