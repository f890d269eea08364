"""Profiles for people: the layers that count, all of them, the totals, and how they were timed."""

from __future__ import annotations

import pytest

from lmos.commands.profile_tables import MOST_ROWS, TOP, profile_tables
from lmos_opt import NetworkProfile
from lmos_opt.sources import load_source
from tests.lmos_opt.documents import profile_data


def cells(table) -> list[list[str]]:
    return [list(row) for row in zip(*(column.cells for column in table.columns), strict=True)]


def timed(**timing) -> NetworkProfile:
    return NetworkProfile.from_dict(profile_data() | {"timing": timing})


def test_a_large_network_shows_the_layers_that_count_most_and_all_on_demand():
    profile = load_source("squeezenet1_1")
    assert len(profile.layers) > MOST_ROWS
    (few,), (every,) = profile_tables(profile), profile_tables(profile, every=True)
    *shown, totals = cells(few)
    for key in ("macs", "output_bytes"):
        first = sorted(profile.layers, key=lambda layer: -getattr(layer, key))[:TOP]
        assert {layer.name for layer in first} <= {row[1] for row in shown}
    assert len(shown) <= 3 * TOP
    assert [int(row[0]) for row in shown] == sorted(int(row[0]) for row in shown)
    assert f"--all shows the other {len(profile.layers) - len(shown)}" in str(few.title)
    assert [row[1] for row in cells(every)[:-1]] == [layer.name for layer in profile.layers]
    assert totals == cells(every)[-1]
    assert totals[1:4] == [f"all {len(profile.layers)}", "", f"{profile.total_macs / 1e6:,.2f}"]


def test_a_timed_profile_shows_times_how_sure_they_are_and_memory():
    (table,) = profile_tables(timed(threads=2))  # an older profile does not say more
    split, fc, totals = cells(table)
    assert split[-3:] == ["1.0 us", "", ""]
    assert fc[-3:] == ["250.00 ms", "20 %", "4.1 kB"]
    assert totals[-3:] == ["250.00 ms", "", "4.1 kB"]


@pytest.mark.parametrize(
    ("ended", "words"), [("precision", "until all intervals were within 5% of the median"), ("budget", "until 10.000 s were spent")]
)
def test_how_it_was_timed_is_said(ended, words):
    timing = {"repeats": 20, "threads": 2, "ended": ended, "precision": 0.05, "budget_s": 10.0, "outliers": 3,
              "outlier_rule": "farther than 5", "whole_s": 0.01, "whole_low_s": 0.009, "whole_high_s": 0.011,
              "sum_s": 0.0101, "clock_s": 1e-4, "scale": 1.0, "restart_s": 0.001, "exchange_s": 0.0015}  # fmt: skip
    _, lines = profile_tables(timed(**timing))
    for part in (f"20 runs with 2 threads, {words}", "3 times of layers lay far", "takes 10.00 ms (9.00 ms to 11.00 ms)",
                 "10.10 ms, of which 100.0 us to read", "takes 1.00 ms longer", "takes 1.50 ms in addition"):  # fmt: skip
        assert part in str(lines)
