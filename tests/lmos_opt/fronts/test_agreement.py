"""Between which numbers an expression can lie where some of its variables are held by nothing but rows."""

from __future__ import annotations

import numpy as np
import pytest

from lmos_opt.fronts.agreement import AGREEMENT, attainable
from lmos_opt.programs.milp import LinearForm, Milp


def program(*rows: tuple[tuple[float, ...], float, float]) -> Milp:
    """Columns a, b binary and w in [0, 100], with rows over all three."""
    forms = tuple(LinearForm(np.arange(3), np.array(row, dtype=float), 0.0) for row, _, _ in rows)
    return Milp("toy", ("a", "b", "w"), np.zeros(3), np.array([1.0, 1.0, 100.0]), np.array([True, True, False]), forms,
                np.array([low for _, low, _ in rows]), np.array([high for _, _, high in rows]), ("row",) * len(rows))  # fmt: skip


W = LinearForm(np.array([2]), np.array([1.0]), 0.0)
SLOWEST = program(((-3, 0, 1), 0.0, np.inf), ((0, -5, 1), 0.0, np.inf))
"""w is at least 3 a and at least 5 b."""
OPEN = np.array([2])


def test_a_form_without_open_columns_has_one_value():
    found = attainable(SLOWEST, LinearForm(np.array([0, 1]), np.array([2.0, 3.0]), 1.0), np.array([1.0, 1.0, 0.0]), OPEN)
    assert (found.low, found.high, found.ends, found.size) == (6, 6, True, 6)
    assert found.admits(6, "min")
    assert found.admits(6 + 6 * AGREEMENT, "max")
    assert not found.admits(6.001, "min")


@pytest.mark.parametrize(("a", "b", "least"), [(0, 0, 0), (1, 0, 3), (0, 1, 5), (1, 1, 5)])
def test_the_slowest_of_some_stages_is_what_the_rows_leave(a, b, least):
    found = attainable(SLOWEST, W, np.array([a, b, 77.0]), OPEN)
    assert (found.low, found.high, found.ends) == (least, 100, True)
    assert found.admits(least, "min")
    assert not found.admits(least + 1, "min")


def test_where_a_row_has_two_open_columns_any_number_between_the_ends_is_admitted():
    found = attainable(program(((0, 1, 1), 1.0, 2.0)), W, np.zeros(3), np.array([1, 2]))
    assert (found.low, found.high, found.ends) == (0, 2, False)
    assert found.admits(1.5, "min")
    assert not found.admits(2.5, "min")
