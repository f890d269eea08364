"""Latency: edge, exchange and server, one after the other."""

from __future__ import annotations

import pytest

from lmos_opt.objectives.latency import OBJECTIVE
from tests.lmos_opt.objectives.by_hand import CHAIN, check_expression, values


def test_its_value_at_every_cut_by_hand():
    assert values(OBJECTIVE) == pytest.approx([0.9415, 1.133, 1.501, 1.75])


def test_its_expression_is_its_value():
    check_expression(OBJECTIVE)


def test_the_results_way_back_counts_where_it_has_a_rate():
    a, b, c = CHAIN.to_dict()["layers"]
    back = CHAIN.replace(back_bytes_per_s=400.0, layers=[a, b, c | {"returned": True}])
    assert values(OBJECTIVE, back)[0] == pytest.approx(0.9415 + 0.1)
    assert values(OBJECTIVE, back)[3] == 1.75
    check_expression(OBJECTIVE, back)
