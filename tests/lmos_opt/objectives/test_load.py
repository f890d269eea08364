"""`load`: the heaviest place, with every tensor that it sends or receives counted once."""

from __future__ import annotations

import pytest

from lmos_opt.objectives import get
from tests.lmos_opt.objectives.by_hand import CHAIN, values

LOAD = get("load")


def test_without_a_port_only_layers_count():
    assert values(LOAD) == pytest.approx([0.4375, 0.375, 0.75, 1.75])


def test_through_a_port_a_crossing_output_counts_at_both_ends_and_the_input_at_none():
    port = CHAIN.replace(port_bytes_per_s=1e5)  # outputs take 0.08, 0.01 and 0.0004 s
    assert values(LOAD, port) == pytest.approx([0.4375, 0.375 + 0.08, 0.76, 1.75])
