"""Seconds an image in a pipeline: those of the slowest stage."""

from __future__ import annotations

import pytest

from lmos_opt.objectives.throughput import OBJECTIVE
from tests.lmos_opt.objectives.by_hand import check_expression, values


def test_its_value_at_every_cut_by_hand():
    assert values(OBJECTIVE) == pytest.approx([0.504, 0.508, 0.75, 1.75])


def test_its_expression_is_its_value():
    check_expression(OBJECTIVE)
