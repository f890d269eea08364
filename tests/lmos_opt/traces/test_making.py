"""Generated traces have the statistics that are stated, and a seed makes the same one."""

from __future__ import annotations

from itertools import pairwise
from math import log

import numpy as np
import pytest

from lmos_opt.errors import InputError
from lmos_opt.traces.making import KEPT, KINDS, MEDIAN_BYTES_PER_S, SIGMA, STATES, make_trace


def test_fading_has_its_median_its_deviation_and_its_memory() -> None:
    logs = np.array([log(rate / MEDIAN_BYTES_PER_S) for rate in make_trace("fading", 20_000).rate_bytes_per_s])
    assert np.median(logs) == pytest.approx(0, abs=0.03)
    assert logs.std() == pytest.approx(SIGMA, rel=0.04)
    assert np.corrcoef(logs[1:], logs[:-1])[0, 1] == pytest.approx(KEPT, abs=0.03)
    assert np.corrcoef(logs[3:], logs[:-3])[0, 1] == pytest.approx(KEPT**3, abs=0.04)


def test_switching_stays_in_its_states_as_long_as_it_says() -> None:
    rates = make_trace("switching", 30_000).rate_bytes_per_s
    assert set(rates) == {rate for rate, _ in STATES}
    changes = [k for k in range(1, len(rates)) if rates[k] != rates[k - 1]]
    for rate, stays_s in STATES:
        stays = [later - k for k, later in pairwise(changes) if rates[k] == rate]
        assert np.mean(stays) == pytest.approx(stays_s, rel=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_the_same_trace_and_another_one_another(kind: str) -> None:
    assert make_trace(kind, 50, 7) == make_trace(kind, 50, 7)
    assert make_trace(kind, 50, 7).rate_bytes_per_s != make_trace(kind, 50, 8).rate_bytes_per_s


def test_other_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="'rain' is no kind of trace that is generated; there are fading, switching"):
        make_trace("rain")
    with pytest.raises(InputError, match="expected 1 s to"):
        make_trace("fading", 0)
