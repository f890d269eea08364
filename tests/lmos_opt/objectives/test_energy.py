"""Energy at the edge: 4 W while it computes, 2 W while it sends, 1 W while it waits."""

from __future__ import annotations

import pytest

from lmos_opt import InputError
from lmos_opt.objectives.energy import OBJECTIVE
from tests.lmos_opt.objectives.by_hand import CHAIN, check_expression, values


def test_its_value_at_every_cut_by_hand():
    assert values(OBJECTIVE) == pytest.approx([0.9455, 1.891, 3.752, 7.0])


def test_its_expression_is_its_value():
    check_expression(OBJECTIVE)


def test_without_powers_it_is_refused():
    with pytest.raises(InputError, match="toy: the objective energy needs the edge device's powers"):
        values(OBJECTIVE, CHAIN.replace(power=None))
