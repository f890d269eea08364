"""The sieve: beside all solutions, of random programs with every kind of row; what it refuses; what wrong multipliers cost."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from lmos_opt import solvers
from lmos_opt.algorithms import sieve
from lmos_opt.algorithms.branching import UnsettledError
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.local_upper_bounds import ALGORITHM
from lmos_opt.algorithms.sieve import Sieve
from lmos_opt.algorithms.subproblems import Candidate, at_most, below
from lmos_opt.programs.milp import LinearForm, Milp
from tests.lmos_opt.algorithms.arrays import binaries, form

HIGHS = solvers.get("highs")


def dense(coefficients, constant=0.0):
    return form(*coefficients, constant=constant)


def random_program(seed):
    """Up to seven columns of whole numbers, some fixed; rows from below, above and both; decimal coefficients and constants."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(3, 8)), int(rng.integers(1, 5))
    lower = rng.integers(-2, 2, n).astype(float)
    upper = lower + rng.integers(0, 3, n)
    upper[0] = lower[0] + 1
    unit = float(rng.choice([1.0, 0.5, 0.1, 3.0]))
    rows = [dense(rng.integers(-5, 9, n) * unit) for _ in range(3)]
    middle = np.array([row.at(rng.integers(lower, upper + 1).astype(float)) for row in rows])
    sides = (np.array([-np.inf, middle[1] - 3 * unit, middle[2]]), np.array([middle[0] + unit, np.inf, middle[2] + 2 * unit]))
    milp = Milp("random", tuple(f"x{k}" for k in range(n)), lower, upper, np.ones(n, dtype=bool), tuple(rows), *sides,
                ("a", "b", "c"))  # fmt: skip
    forms = [dense(rng.integers(-9, 9, n) * float(rng.choice([1.0, 0.1, 2.0])), float(rng.integers(0, 3))) for _ in range(p)]
    return milp, forms, rng


def everything(milp, forms):
    """The costs of all solutions."""
    values = [np.arange(low, high + 1) for low, high in zip(milp.lower, milp.upper, strict=True)]
    found = [np.array(x) for x in itertools.product(*values)]
    return [tuple(f.at(x) for f in forms) for x in found if milp.satisfied(x)]


def granules(milp, forms):
    return [milp.granule(f) or 1.0 for f in forms]


@pytest.mark.parametrize("seed", range(40))
def test_each_answer_is_that_of_all_solutions(seed):
    milp, forms, rng = random_program(seed)
    found = Sieve.of(milp, forms, granules(milp, forms), HIGHS)
    costs, units = everything(milp, forms), granules(milp, forms)

    def exact(x):
        return tuple(f.at(x) for f in forms) if milp.satisfied(x) else None

    for _ in range(8):
        at = costs[rng.integers(len(costs))] if costs else (0.0,) * len(forms)
        limits = {k: (below if rng.random() < 0.5 else at_most)(at[k]) for k in range(len(forms)) if rng.random() < 0.6}
        judged = tuple(range(len(forms))) if rng.random() < 0.3 else (int(rng.integers(len(forms))),)
        within = [c for c in costs if all(limit.admits(c[k], units[k] / 4) for k, limit in limits.items())]
        least = min((sum(c[k] / units[k] for k in judged) for c in within), default=None)
        answer = found.search(judged, limits, None, exact, lambda n: None)
        if least is None:
            assert answer is None
            continue
        assert answer.costs in within
        assert sum(answer.costs[k] / units[k] for k in judged) == pytest.approx(least, abs=1e-6)
        assert found.search(judged, limits, answer, exact, lambda n: None) is None  # nothing is better than the best
        worse = max(within, key=lambda c: sum(c[k] / units[k] for k in judged))
        again = found.search(judged, limits, Candidate(answer.x, worse), exact, lambda n: None)
        assert again is None or sum(again.costs[k] / units[k] for k in judged) == pytest.approx(least, abs=1e-6)


@dataclass(frozen=True)
class _Wrong:
    """A solver whose relaxations answer with random duals."""

    name: str = "highs"
    attempts: int = 1
    relaxes: bool = True
    exact: bool = False

    def version(self):
        return "1"

    def open(self, milp, extra_rows):
        raise AssertionError("nothing is left for an integer solver")

    def relax(self, milp, extra_rows):
        return _WrongRelaxation(HIGHS.relax(milp, extra_rows), np.random.default_rng(1))


class _WrongRelaxation:
    def __init__(self, inner, rng):
        self._inner, self._rng = inner, rng
        self.pose, self.forget = inner.pose, inner.forget

    def solve(self, lower, upper):
        found = self._inner.solve(lower, upper)
        return found if found.duals is None else replace(found, duals=self._rng.normal(size=len(found.duals)))


def knapsack(n=11, seed=3):
    rng = np.random.default_rng(seed)
    weights = rng.integers(10, 99, n).astype(float)
    milp = Milp("knapsack", tuple(f"x{k}" for k in range(n)), np.zeros(n), np.ones(n), np.ones(n, dtype=bool),
                (dense(weights),), np.array([-np.inf]), np.array([weights.sum() // 2]), ("room",))  # fmt: skip
    return milp, [dense(-rng.integers(10, 99, n).astype(float)) for _ in range(3)]


def everything_best(milp, forms):
    """Solutions that no other dominates, found by sorting."""
    kept = []
    for c in sorted(set(everything(milp, forms))):
        if not any(all(a <= b for a, b in zip(d, c, strict=True)) for d in kept):
            kept.append(c)
    return kept


def traced(solver=HIGHS):
    problem = FrontProblem(*knapsack(), solver)
    return sorted(found.costs for found in ALGORITHM.trace(problem)), problem


@pytest.mark.parametrize("solver", [HIGHS, _Wrong()], ids=["right", "wrong"])
def test_wrong_multipliers_cost_nothing_but_time(solver, monkeypatch):
    monkeypatch.setattr(sieve, "MANY", 4)
    found, problem = traced(solver)
    milp, forms = knapsack()
    assert found == everything_best(milp, forms)
    assert problem.recorder.words == 0


def test_what_the_sieve_gives_up_is_answered_by_the_solver(monkeypatch):
    expected = traced()[0]
    monkeypatch.setattr(sieve, "FIRST_NODES", 100)
    monkeypatch.setattr(sieve, "NODES_A_SEARCH", 0)
    problem = FrontProblem(*knapsack(), HIGHS)
    assert sorted(found.costs for found in ALGORITHM.trace(problem)) == expected
    with pytest.raises(UnsettledError):
        Sieve.of(*knapsack(), [1.0] * 3, HIGHS).search((0,), {}, None, lambda x: None, lambda n: None)


@pytest.mark.parametrize("change", [
    {"integer": np.array([True, True, False])}, {"upper": np.array([1.0, 1.0, np.inf])}, {"upper": np.array([1.0, 1.0, 99.0])},
    {"rows": (form(1.0, np.pi, 1.0),)},
])  # fmt: skip
def test_what_has_no_few_whole_numbers_is_none_for_the_sieve(change):
    milp = binaries(3, (1.0, 2.0, 1.0), 1.0)
    assert Sieve.of(milp, [form(1, 2, 3)], [1.0], HIGHS) is not None
    assert Sieve.of(replace(milp, **change), [form(1, 2, 3)], [1.0], HIGHS) is None
    assert Sieve.of(milp, [LinearForm(np.arange(3), np.array([1.0, 2.0, np.pi]))], [None], HIGHS) is None
    assert Sieve.of(milp, [form(1, 2, 3)], [1.0], replace(HIGHS, relaxes=False)) is None
