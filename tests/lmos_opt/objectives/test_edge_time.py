"""The time of the edge alone."""

from __future__ import annotations

import pytest

from lmos_opt.objectives.edge_time import OBJECTIVE
from tests.lmos_opt.objectives.by_hand import check_expression, values


def test_its_value_at_every_cut_by_hand():
    assert values(OBJECTIVE) == pytest.approx([0, 0.25, 0.75, 1.75])


def test_its_expression_is_its_value():
    check_expression(OBJECTIVE)
