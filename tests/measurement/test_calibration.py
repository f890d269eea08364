"""Fits beside lines that made the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from lmos_opt.costs.calibrated import Fit
from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile, Work
from lmos_opt.sources import load_source
from measurement.calibration import Sample, fit, held_out, leave_one_out, predict, samples_of
from tests.lmos_opt.documents import profile_data

TRUE = {
    "conv2d": Fit(fixed_s=3e-5, s_per_mac=4e-12, s_per_byte=1e-10),
    "norm": Fit(fixed_s=2e-5, s_per_mac=0.0, s_per_byte=2e-11),
    "view": Fit(fixed_s=1e-5, s_per_mac=0.0, s_per_byte=0.0),
}


def samples(groups: int, noise: float = 0.0) -> list[Sample]:
    """Layers of several groups: convolutions, and blocks of one with a norm and a view."""
    rng = np.random.default_rng(7)
    found = []
    for k in range(groups):
        for _ in range(12):
            conv = Work(kind="conv2d", operations=1, macs=int(rng.integers(1e6, 1e9)), bytes=int(rng.integers(1e4, 1e7)))
            rest = [Work(kind="norm", operations=2, macs=0, bytes=int(rng.integers(1e4, 1e7))),
                    Work(kind="view", operations=1, macs=0, bytes=0)]  # fmt: skip
            for work in ((conv,), (conv, *rest), tuple(rest[1:])):
                seconds = sum(TRUE[one.kind].seconds(one) for one in work) * float(np.exp(noise * rng.standard_normal()))
                found.append(Sample(f"net{k}", work, seconds))
    return found


def test_the_lines_that_made_the_times_are_found_again():
    model = fit(samples(2))
    for kind, line in TRUE.items():
        for field in Fit.model_fields:
            assert getattr(model.kinds[kind], field) == pytest.approx(getattr(line, field), rel=1e-6, abs=1e-16)


def test_noise_does_not_draw_predictions_to_one_side():
    """Relative to measured times, least squares would come out 4 % too low here, and more with more noise."""
    noisy = samples(40, noise=0.2)
    model = fit(noisy)
    predicted, measured = predict(model, [s.work for s in noisy]), sum(s.seconds for s in noisy)
    assert predicted == pytest.approx(measured, rel=0.02)


def test_no_coefficient_is_negative():
    falling = [Sample("n", (Work(kind="a", operations=1, macs=m, bytes=0),), 1.0 - m / 10) for m in range(1, 9)]
    line = fit(falling).kinds["a"]
    assert min(line.fixed_s, line.s_per_mac, line.s_per_byte) >= 0


def test_the_network_in_question_has_no_say():
    """One network's times are all ten times too long: the others' predictions of it stay what they are."""
    others, odd = samples(3), [Sample("odd", s.work, 10 * s.seconds) for s in samples(1)]
    whole = {"odd": sum(s.seconds for s in odd)}
    assert leave_one_out([*others, *odd], whole)["odd"] == pytest.approx(whole["odd"] / 10, rel=1e-6)
    found = held_out([*others, *odd], whole, "networks")
    assert (found.groups, found.median, found.worst) == (1, pytest.approx(0.9), pytest.approx(0.9))


def test_a_kind_that_was_never_measured_goes_by_the_line_of_all():
    model = fit(samples(1))
    assert predict(model, [(Work(kind="fancy", operations=2, macs=0, bytes=0),)]) == 2 * model.other.fixed_s


def test_a_profile_without_times_or_work_cannot_be_fitted():
    with pytest.raises(InputError, match=r"alexnet: holds no measured times"):
        samples_of(load_source("alexnet"))
    with pytest.raises(InputError, match=r"tiny: holds no measured times, or does not say what its layers do"):
        samples_of(NetworkProfile.from_dict(profile_data()))
    with pytest.raises(InputError, match="at least one"):
        fit([])
