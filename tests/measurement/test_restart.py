"""What a part's start after a rest costs, from times whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from measurement.timing.restart import restart_time_s

LAYERS = 12


def _times(runs: int, whole_s: float, more_s: float, noise: float, draw: np.random.Generator) -> NDArray[np.float64]:
    """Runs x layers (s); half of `more_s` is the first layer's."""
    layers = np.full(LAYERS, whole_s / LAYERS)
    layers += np.r_[more_s / 2, np.full(LAYERS - 1, more_s / 2 / (LAYERS - 1))]
    of_runs, of_layers = 1 + np.abs(draw.normal(0, noise, (runs, 1))), 1 + draw.normal(0, noise, (runs, LAYERS))
    return layers * of_runs * of_layers


def _means(runs: int, whole_s: float, more_s: float, noise: float) -> tuple[float, float]:
    """Of many measurements: the mean of what is found, and of what lower quartiles alone say."""
    draw = np.random.default_rng(0)
    pairs = [(_times(runs, whole_s, more_s, noise, draw), _times(runs, whole_s, 0.0, noise, draw)) for _ in range(100)]
    plain = [max(float(sum(np.sort(a, axis=0)[runs // 4] - np.sort(b, axis=0)[runs // 4])), 0.0) for a, b in pairs]
    return float(np.mean([restart_time_s(a, b) for a, b in pairs])), float(np.mean(plain))


@pytest.mark.parametrize(("runs", "whole_s", "more_s", "noise"), [(40, 0.004, 0.0006, 0.1), (100, 0.008, 0.0012, 0.12)])
def test_many_runs_of_a_short_part_tell_it(runs: int, whole_s: float, more_s: float, noise: float) -> None:
    assert _means(runs, whole_s, more_s, noise)[0] == pytest.approx(more_s, rel=0.1)


def test_few_runs_of_a_long_part_that_takes_no_longer_hardly_tell_anything() -> None:
    found, plain = _means(5, 0.08, 0.0, 0.07)
    assert plain > 0.0007  # s: what chance alone would be taken for
    assert found < plain / 2


def test_a_part_that_was_faster_after_a_rest_takes_no_time_less() -> None:
    assert restart_time_s(np.full((9, 3), 0.001), np.full((9, 3), 0.002)) == 0


def test_times_without_any_noise_are_taken_as_they_are() -> None:
    assert restart_time_s(np.full((5, 4), 0.003), np.full((5, 4), 0.002)) == pytest.approx(0.004)


def test_threads_that_wake_late_most_times_do_not_count() -> None:
    late = np.full((40, LAYERS), 0.001)
    late[:25, 0] += 0.01
    late[:, 1] += 0.0005
    assert restart_time_s(late, np.full((40, LAYERS), 0.001)) == pytest.approx(0.0005, rel=0.1)


def test_the_same_times_give_the_same() -> None:
    draw = np.random.default_rng(3)
    rested, steady = _times(9, 0.01, 0.001, 0.1, draw), _times(9, 0.01, 0.0, 0.1, draw)
    assert restart_time_s(rested, steady) == restart_time_s(rested, steady)


def test_a_network_without_a_second_part_restarts_in_no_time() -> None:
    assert restart_time_s(np.empty((5, 0)), np.empty((5, 0))) == 0
