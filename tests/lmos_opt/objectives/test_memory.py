"""Edge memory, as the paper counts it."""

from __future__ import annotations

import pytest

from lmos_opt.objectives.memory import OBJECTIVE
from tests.lmos_opt.objectives.by_hand import CHAIN, check_expression, values


def test_its_value_at_every_cut_by_hand():
    assert values(OBJECTIVE) == pytest.approx([0, 12100, 13100, 63140])


def test_its_expression_is_its_value():
    check_expression(OBJECTIVE)


def test_every_difference_is_a_multiple_of_the_granule():
    assert OBJECTIVE.granule is not None
    assert OBJECTIVE.granule(CHAIN) == 20
