"""Bytes that cross."""

from __future__ import annotations

import pytest

from lmos_opt.objectives.tx_bytes import OBJECTIVE
from tests.lmos_opt.objectives.by_hand import CHAIN, check_expression, values


def test_its_value_at_every_cut_by_hand():
    assert values(OBJECTIVE) == pytest.approx([4000, 8000, 1000, 0])


def test_its_expression_is_its_value():
    check_expression(OBJECTIVE)


def test_every_difference_is_a_multiple_of_the_granule():
    assert OBJECTIVE.granule is not None
    assert OBJECTIVE.granule(CHAIN) == 40


def test_a_codecs_bytes_count():
    coded = CHAIN.replace(coding={"codec": "int8", "sent": {"a": {"bytes": 2000}}})
    assert values(OBJECTIVE, coded) == [4000, 2000, 1000, 0]
    check_expression(OBJECTIVE, coded)
