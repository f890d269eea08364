"""When an integer solver's own word may be taken, and what the reason says where it may not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmos_opt.algorithms.belief import disbelief, unbounded
from lmos_opt.programs.milp import LinearForm, Milp


def _form(*coefficients):
    return LinearForm(np.arange(len(coefficients)), np.array(coefficients, dtype=float))


def _milp(row=(2, 3), lower=(0, 0), upper=(5, 1), integer=(True, True)):
    return Milp("toy", ("x", "y"), np.array(lower, dtype=float), np.array(upper, dtype=float), np.array(integer),
                (_form(*row),), np.array([-np.inf]), np.array([7.0]), ("cap",))  # fmt: skip


COST = _form(1, 4)


def test_small_whole_numbers_are_believed():
    assert disbelief(_milp(), [COST], [None], ["cost"]) is None
    assert disbelief(_milp(row=(0.1, 0.25)), [_form(0.3, 0.7)], [None], ["cost"]) is None  # decimals are whole hundredths


@pytest.mark.parametrize(("milp", "cost", "reason"), [
    (_milp(integer=(True, False)), COST, "variable y is continuous"),
    (_milp(upper=(np.inf, 1)), COST, "variable x has no upper bound, and none follows from the constraints"),
    (_milp(lower=(-np.inf, 0)), COST, "variable x has no lower bound, and none follows from the constraints"),
    (_milp(row=(1, -1e9)), COST, "constraint cap moves by 1e+09 in steps of 1, most of it in -1e+09 * y"),
    (_milp(row=(1 / 3, 2**0.5)), COST, "constraint cap has coefficients that are no whole multiples of one number"),
    (_milp(), _form(1, 2e6), "objective cost moves by 2e+06 in steps of 1, most of it in 2e+06 * y"),
    (_milp(), _form(1 / 3, 2**0.5), "objective cost has coefficients that are no whole multiples of one number"),
])  # fmt: skip
def test_what_tolerances_may_change_is_named(milp, cost, reason):
    assert disbelief(milp, [cost], [None], ["cost"]).startswith(reason)


def test_fixed_columns_do_not_count():
    milp = replace(_milp(row=(1, -1e9), integer=(True, False)), lower=np.array([0.0, 1.0]))
    assert disbelief(milp, [COST], [None], ["cost"]) is None


def test_bounds_on_both_sides_are_bounds():
    assert unbounded(_milp()) is None


@pytest.mark.parametrize(("coefficients", "granule"), [
    ((2, 4), 2), ((0.5, 0.25), 0.25), ((0.1, 0.7), 0.1), ((1, 1e-6), 1e-6), ((4.6e-10, 0), 4.6e-10), ((1.4, -2.1), 0.7),
    ((1.5347696541512075, 1.5347697036492407), None), ((1 / 3, 1), 1 / 3), ((1 / 3, 2**0.5), None), ((1, 1e-300), None),
])  # fmt: skip
def test_the_granule_of_a_form(coefficients, granule):
    found = _milp().granule(_form(*coefficients))
    assert found is None if granule is None else found == pytest.approx(granule, rel=1e-12)
