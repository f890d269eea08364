"""A program that fails, made smaller while it goes on failing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import floor, log1p, log10
from time import perf_counter
from typing import TypeVar

from lmos.bench.programs.program import Bound, Column, Goal, Program, Row, Term

PATIENCE_S = 60.0
SMALL = 20
"""Whole numbers below it are counted down one by one."""
Part = TypeVar("Part")


def shrunk(program: Program, fails: Callable[[Program], bool], patience_s: float = PATIENCE_S) -> Program:
    """A program that still fails and of which no single step makes a smaller one that does; what there is after `patience_s`.

    Steps leave out a row, a column, an objective or a term, drop a bound or a constant, and put simpler numbers.
    """
    end = perf_counter() + patience_s
    best = program
    found: Program | None = program
    while found is not None:
        found = next((p for p in _smaller(best) if perf_counter() > end or (complexity(p) < complexity(best) and fails(p))), None)
        if perf_counter() > end:
            break
        best = found or best
    return best


def complexity(program: Program) -> tuple[int, int, int, float]:
    """What shrinking makes less: parts, then terms, then digits, then magnitudes."""
    forms: list[Row | Goal] = [*program.rows, *program.goals]
    bounded: list[Column | Row] = [*program.columns, *program.rows]
    terms = [c for part in forms for c, _ in part.terms]
    numbers = [*terms, *(part.constant for part in forms)]
    numbers += [b for part in bounded for b in (part.lower, part.upper) if b is not None]
    numbers += [c.fixed for c in program.columns if c.fixed is not None]
    kinds = sum(len(c.kind) for c in program.columns)
    return (len(program.parts), len(terms), kinds + sum(len(repr(n)) for n in numbers), sum(log1p(abs(n)) for n in numbers))


def _smaller(program: Program) -> Iterator[Program]:
    """Programs one step away, the greatest steps first."""
    for row in program.rows:
        yield replace(program, rows=tuple(r for r in program.rows if r is not row))
    for column in program.columns:
        yield _without(program, column.name)
    if len(program.goals) > 1:
        for goal in program.goals:
            yield replace(program, goals=tuple(g for g in program.goals if g is not goal))
    for k, column in enumerate(program.columns):
        for smaller in _columns(column):
            yield replace(program, columns=_put(program.columns, k, smaller))
    for k, row in enumerate(program.rows):
        for fewer in _rows(row):
            yield replace(program, rows=_put(program.rows, k, fewer))
    for k, goal in enumerate(program.goals):
        for terms in _terms(goal.terms):
            yield replace(program, goals=_put(program.goals, k, replace(goal, terms=terms)))
        for constant in (0, *_simpler(goal.constant)):
            yield replace(program, goals=_put(program.goals, k, replace(goal, constant=constant)))


def _without(program: Program, name: str) -> Program:
    """The program without a column, and without rows that have no other."""
    def kept(part: Row | Goal) -> tuple[Term, ...]:
        return tuple(term for term in part.terms if term[1] != name)

    rows = [replace(row, terms=kept(row)) for row in program.rows]
    return Program(program.name, tuple(c for c in program.columns if c.name != name), tuple(r for r in rows if r.terms),
                   tuple(replace(goal, terms=kept(goal)) for goal in program.goals))  # fmt: skip


def _put(parts: tuple[Part, ...], k: int, part: Part) -> tuple[Part, ...]:
    return (*parts[:k], part, *parts[k + 1 :])


def _columns(column: Column) -> Iterator[Column]:
    if column.fixed is not None:
        yield replace(column, fixed=None)
        for fixed in (0, 1, *_simpler(column.fixed)):
            yield replace(column, fixed=fixed)
    if column.kind == "integer":
        yield replace(column, kind="binary", lower=0, upper=1)
    if column.kind == "real":
        yield replace(column, lower=0)
    for lower, upper in _bounds(column.lower, column.upper):
        yield replace(column, lower=lower, upper=upper)


def _rows(row: Row) -> Iterator[Row]:
    if len(row.terms) > 1:
        for terms in _terms(row.terms):
            if terms:
                yield replace(row, terms=terms)
    if row.lower is not None and row.upper is not None:
        yield replace(row, lower=None)
        yield replace(row, upper=None)
    if row.constant:
        yield replace(row, constant=0)
    if row.lower is not None and row.lower == row.upper:
        for value in (0, 1, *_simpler(row.lower)):
            yield replace(row, lower=value, upper=value)
        return
    for terms in _numbers(row.terms):
        yield replace(row, terms=terms)
    for lower, upper in _bounds(row.lower, row.upper):
        yield replace(row, lower=lower, upper=upper)


def _terms(terms: tuple[Term, ...]) -> Iterator[tuple[Term, ...]]:
    for k in range(len(terms)):
        yield (*terms[:k], *terms[k + 1 :])
    yield from _numbers(terms)


def _numbers(terms: tuple[Term, ...]) -> Iterator[tuple[Term, ...]]:
    for k, (c, name) in enumerate(terms):
        for simpler in _simpler(c):
            yield (*terms[:k], (simpler, name), *terms[k + 1 :])


def _bounds(lower: Bound, upper: Bound) -> Iterator[tuple[Bound, Bound]]:
    if lower is not None:
        for b in (0, *_simpler(lower)):
            if upper is None or b <= upper:
                yield b, upper
    if upper is not None:
        for b in (0, 1, *_simpler(upper)):
            if lower is None or b >= lower:
                yield lower, b


def _simpler(number: float) -> Iterator[float]:
    """Numbers that are near, or shorter; a whole one has no point."""
    if not number:
        return
    sign = 1 if number > 0 else -1
    yield sign
    if float(number).is_integer() and abs(number) < 2**53:
        yield from (int(n) for n in (number / 1000, number / 10, number / 2, number) if abs(n) >= 1)
        if 1 < abs(number) < SMALL:
            yield int(number) - sign
    else:
        yield number / 10 if abs(number) > 1 else number * 10
    power = floor(log10(abs(number)))
    for digits in (0, 1, 2):
        rounded = round(number, digits - power)
        if rounded and rounded != number:
            yield int(rounded) if float(rounded).is_integer() and abs(rounded) < 2**53 else rounded
