"""Cost models from measured times: lines by kind of operation, and how far off they are on networks they have not seen.

The fit is scikit-learn's least squares without negative coefficients, on relative errors: short and long layers count alike. A
layer's error is taken relative to what the last round predicted for it, not to what was measured, and that
again until it settles: relative to the measured time, lines that are too low would look better than they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from lmos_opt.costs.calibrated import Calibrated, Fit, HeldOut
from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.profile import NetworkProfile, Work

ROUNDS = 8
"""Of the fit, each with the last one's predictions for weights; after four they change no network's time by a thousandth."""
LEAST_S = 1e-6
"""Times below a clock's worth of noise count as this in weights, or the shortest views would outweigh all else."""
_QUANTITIES = ("operations", "macs", "bytes")


@dataclass(frozen=True)
class Sample:
    """One measured layer: what it does, how long that took (s), and the group (a network, a micro-benchmark) it belongs to."""

    group: str
    work: tuple[Work, ...]
    seconds: float


def samples_of(profile: NetworkProfile) -> list[Sample]:
    """The measured layers of a profile that do anything; InputError if it lacks times, or what layers do."""
    if not profile.is_timed or any(layer.work is None for layer in profile.layers):
        raise InputError(profile.name, "holds no measured times, or does not say what its layers do; make it again, with: "
                                       "lmos profile NETWORK --time -o profile.json")
    return [Sample(profile.name, layer.work, layer.t_local_s)
            for layer in profile.layers if layer.work and layer.t_local_s is not None]  # fmt: skip


def fit(samples: Sequence[Sample], held_out: HeldOut | None = None) -> Calibrated:
    """Lines by kind for measured layers. Raises InputError for no samples, MissingExtraError without scikit-learn."""
    if not samples:
        raise InputError("calibration", "needs at least one measured layer")
    lines = _lines(samples, lambda kind: kind)
    return Calibrated(kinds=lines, other=_lines(samples, lambda kind: "")[""], held_out=held_out)


def predict(model: Calibrated, work: Iterable[Sequence[Work]]) -> float:
    """The time of layers that do this work (s)."""
    return sum(model.kinds.get(one.kind, model.other).seconds(one) for layer in work for one in layer)


def leave_one_out(samples: Sequence[Sample], whole_s: Mapping[str, float]) -> dict[str, float]:
    """For each group of `whole_s` its time (s) as predicted by lines that were fitted to all samples of other groups."""
    found = {}
    for group in whole_s:
        model = fit([sample for sample in samples if sample.group != group])
        found[group] = predict(model, [sample.work for sample in samples if sample.group == group])
    return found


def held_out(samples: Sequence[Sample], whole_s: Mapping[str, float], what: str) -> HeldOut:
    """The errors of `leave_one_out`, relative to the measured times."""
    errors = [abs(predicted / whole_s[group] - 1) for group, predicted in leave_one_out(samples, whole_s).items()]
    return HeldOut(groups=len(errors), median=median(errors), worst=max(errors), what=what)


def _lines(samples: Sequence[Sample], name: Callable[[str], str]) -> dict[str, Fit]:
    """A line for each name that `name` makes of the samples' kinds."""
    columns: dict[str, int] = {}
    for sample in samples:
        for work in sample.work:
            columns.setdefault(name(work.kind), 3 * len(columns))
    quantities = np.zeros((len(samples), 3 * len(columns)))
    for row, sample in enumerate(samples):
        for work in sample.work:
            first = columns[name(work.kind)]
            quantities[row, first : first + 3] += [getattr(work, quantity) for quantity in _QUANTITIES]
    found = _least_squares(quantities, np.array([sample.seconds for sample in samples]))
    return {kind: Fit(fixed_s=found[k], s_per_mac=found[k + 1], s_per_byte=found[k + 2]) for kind, k in columns.items()}


def _least_squares(quantities: npt.NDArray[np.float64], seconds: npt.NDArray[np.float64]) -> list[float]:
    """Coefficients, none negative, that make the relative errors small."""
    try:
        from sklearn.linear_model import LinearRegression
    except ImportError:
        raise MissingExtraError("calibration", "calibration") from None
    scale = np.abs(quantities).max(axis=0)
    scale[scale == 0] = 1.0
    model: Any = LinearRegression(positive=True, fit_intercept=False)
    predicted = seconds
    for _ in range(ROUNDS):
        predicted = model.fit(quantities / scale, seconds, np.maximum(predicted, LEAST_S) ** -2.0).predict(quantities / scale)
    return [float(value) for value in model.coef_ / scale]
