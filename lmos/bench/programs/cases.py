"""Programs by their seeds, judged in several processes, and the smallest that fail like them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lmos.bench.programs.elimination import OutOfReachError
from lmos.bench.programs.families import MOST_DRAWN, family, program
from lmos.bench.programs.judging import TIME_LIMIT_S, Verdict, judge, shown
from lmos.bench.programs.program import Program
from lmos.bench.programs.shrinking import PATIENCE_S, complexity, shrunk
from lmos.bench.programs.truth import truth
from lmos.bench.working import Work, results

SHRINKING_LIMIT_S = 5.0
"""For each front while a program is made smaller."""


@dataclass(frozen=True)
class Case:
    """A seed's program, its true points as text, and what the engine made of it."""

    seed: int
    program: Program
    expected: tuple[str, ...]
    verdict: Verdict

    @property
    def family(self) -> str:
        """The family of the seed."""
        return family(self.seed)

    def script(self) -> str:
        """The program as a script to run, with its seed, its mistakes and its true points."""
        notes = [f"lmos bench exactness --kind milp --only {self.seed}", *self.verdict.mistakes,
                 f"expected: {', '.join(self.expected) or 'infeasible'}"]  # fmt: skip
        return "".join(f"# {line}\n" for note in notes for line in note.splitlines()) + self.program.script()


def cases(seeds: Sequence[int], solver: str, jobs: int) -> Iterator[Case]:
    """The programs of the seeds as they are judged, in `jobs` processes. One that never answers, or crashes, is wrong."""
    yield from results(Work(partial(_judged, solver=solver), _lost, 3 * TIME_LIMIT_S), seeds, jobs)


def smallest(failures: Sequence[Case], solver: str, jobs: int, most: int) -> Iterator[Case]:
    """Smallest programs that fail like `most` of the failures: of each family in turn, the simplest first."""
    chosen = _in_turn(sorted(failures, key=lambda case: (complexity(case.program), case.seed)))[:most]
    yield from results(Work(partial(_shrunk, solver=solver), _kept, 2 * PATIENCE_S), chosen, jobs)


def _kept(case: Case, why: str) -> list[Case]:
    return [case]


def _in_turn(found: Sequence[Case]) -> list[Case]:
    ranks: dict[str, int] = {}
    ranked = []
    for case in found:
        ranks[case.family] = rank = ranks.get(case.family, 0) + 1
        ranked.append((rank, case))
    return [case for _, case in sorted(ranked, key=lambda pair: pair[0])]


def _judged(seed: int, solver: str) -> list[Case]:
    drawn, true = program(seed)
    return [Case(seed, drawn, tuple(shown(c, drawn) for c in true.costs), judge(drawn, true, solver))]


def _lost(seed: int, why: str) -> list[Case]:
    drawn, true = program(seed)
    return [Case(seed, drawn, tuple(shown(c, drawn) for c in true.costs), Verdict("wrong", (why,), None, 0, 3 * TIME_LIMIT_S))]


def _shrunk(case: Case, solver: str) -> list[Case]:
    def fails(smaller: Program) -> bool:
        try:
            true = truth(smaller, MOST_DRAWN)
        except OutOfReachError:
            return False
        return judge(smaller, true, solver, SHRINKING_LIMIT_S).outcome == case.verdict.outcome

    if not fails(case.program):  # it never answered, or only once
        return [case]
    found = shrunk(case.program, fails)
    true = truth(found, MOST_DRAWN)
    return [replace(case, program=found, expected=tuple(shown(c, found) for c in true.costs), verdict=judge(found, true, solver))]
