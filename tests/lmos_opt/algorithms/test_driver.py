"""`FrontProblem`: limits are kept, known solutions are not contradicted, and what a solver cannot answer is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lmos_opt import InputError, solvers
from lmos_opt.algorithms.driver import FrontProblem, at_most, below
from lmos_opt.algorithms.errors import SubproblemError
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.solvers import Outcome, Status
from tests.lmos_opt.algorithms.arrays import binaries, form

FIRST, SECOND = form(1, 2, 4), form(-1, -1, -3)
"""Two costs of three binaries: (0, 0), (1, -1), (2, -1), (4, -3) and their sums."""


class Saying:
    """A solver that says the same whatever it is asked; no relaxations, so its word is all there is."""

    name, attempts, relaxes, exact = "saying", 2, False, False

    def __init__(self, say: Callable[[], Outcome]) -> None:
        self.say, self.asked = say, 0

    def version(self) -> str:
        return "1"

    def open(self, milp: object, extra_rows: object) -> Saying:
        return self

    def relax(self, milp: object, extra_rows: object) -> None:
        raise AssertionError("it has no relaxations")

    def solve(self, objective: object, row_upper: object, excluded: object, attempt: int) -> Outcome:
        self.asked += 1
        return self.say()


def problem(solver: object = None, **options: object) -> FrontProblem:
    return FrontProblem(binaries(3, (1, 1, 1), 1), [FIRST, SECOND], solver or solvers.get("highs"), names=["a", "b"], **options)


def test_the_least_cost_within_limits():
    found = problem()
    assert found.best(0, {}).costs == (1, -1)
    assert found.best(0, {1: below(-1)}).costs == (3, -2)
    assert found.best(0, {1: at_most(-1)}).costs == (1, -1)
    assert found.best(1, {0: at_most(5)}).costs == (5, -4)
    assert found.best(0, {1: below(-5)}) is None


def test_a_weak_solution_is_refined_to_one_that_nothing_dominates():
    weak = Candidate(np.array([0.0, 1.0, 0.0]), (2.0, -1.0))
    assert problem().refine(weak).costs == (1, -1)


def test_costs_nearer_than_the_resolution_are_one():
    found = problem()
    assert found.p == 2
    assert not found.is_less(0, 1.0, 1.0 + found.resolution[0] / 2)
    assert found.is_less(0, 1.0, 2.0)
    assert found.dominates((1, -1), (1, -1))
    assert found.dominates((1, -1), (2, -1))
    assert not found.dominates((1, -1), (0, 0))


def test_a_vector_that_breaks_a_constraint_is_no_candidate():
    assert problem().candidate(np.zeros(3)) is None
    assert problem().candidate(np.ones(3)).costs == (7, -5)


@pytest.mark.parametrize("named", [["a", "b"], []])
def test_an_unbounded_objective_is_refused_by_name(named):
    found = FrontProblem(binaries(3), [FIRST, SECOND], Saying(lambda: Outcome(Status.UNBOUNDED)), names=named)
    with pytest.raises(InputError, match=r"^toy: objective a is unbounded$" if named else r"^toy: an objective is unbounded$"):
        found.best(0, {})


def test_infeasible_is_believed_when_it_was_found_twice():
    solver = Saying(lambda: Outcome(Status.INFEASIBLE))
    assert problem(solver).best(0, {}) is None
    assert solver.asked == 2


def test_infeasible_is_not_believed_against_a_known_solution():
    known = Candidate(np.ones(3), (7.0, -5.0))
    with pytest.raises(SubproblemError, match=r"which a known solution contradicts$"):
        problem(Saying(lambda: Outcome(Status.INFEASIBLE))).best(0, {}, witness=known)


def test_a_solution_worse_than_a_known_one_is_not_believed():
    known = Candidate(np.array([1.0, 0, 0]), (1.0, -1.0))
    with pytest.raises(SubproblemError, match="contradicts"):
        problem(Saying(lambda: Outcome(Status.OPTIMAL, np.ones(3)))).best(0, {}, witness=known)


def test_a_solution_that_breaks_a_limit_is_excluded_and_after_many_names_the_limit():
    with pytest.raises(SubproblemError, match=r"hold only within the solver's tolerances, the limit 5 of objective a is broken"):
        problem(Saying(lambda: Outcome(Status.OPTIMAL, np.ones(3)))).best(0, {0: at_most(5.0)})


def test_a_solver_that_has_stopped_answering_is_found_out():
    answers = iter([Outcome(Status.OPTIMAL, np.array([1.0, 0, 0])), *[Outcome(Status.INFEASIBLE)] * 20])
    found = problem(Saying(lambda: next(answers)))
    first = found.best(0, {})
    assert found.best(0, {1: below(-1)}) is None
    with pytest.raises(SubproblemError, match="contradicts"):
        found.ask_for(first)


def test_the_time_limit_ends_the_next_subproblem():
    with pytest.raises(SubproblemError, match="the time limit of 0 s is reached") as caught:
        problem(time_limit_s=0.0).best(0, {})
    assert caught.value.status is Status.TIME_LIMIT
