"""Predicted and measured times of whole networks. The cost model of a prediction is fitted without the predicted network.

Each network is timed on this machine, layer by layer and undivided. There are two predictions: from lines fitted to the layers of
all other networks and of the micro-benchmarks, and from the micro-benchmarks alone, as `lmos calibrate` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lmos.profiles import make_profile, time_profile, weights_of
from lmos_opt.profile import NetworkProfile
from measurement.calibration import Sample, fit, leave_one_out, predict, samples_of
from measurement.calibration.this_machine import measure

MICRO_BUDGET_S = 25.0
_INPUT = (3, 224, 224)
_OTHER_INPUTS = {"inception_v3": (3, 299, 299)}


@dataclass(frozen=True)
class Predicted:
    """One network: its measured undivided time, and the predictions with and without the other networks (s)."""

    network: str
    measured_s: float
    left_out_s: float
    micro_s: float

    @property
    def error(self) -> float:
        """Relative error of the prediction that left the network out."""
        return self.left_out_s / self.measured_s - 1

    @property
    def micro_error(self) -> float:
        """Relative error of the prediction from micro-benchmarks alone."""
        return self.micro_s / self.measured_s - 1


def compare(networks: Sequence[str], folder: Path, threads: int | None, tell: Callable[[str], None]) -> list[Predicted]:
    """Time what `folder` does not hold yet, fit, predict. Raises what profiling and fitting do."""
    micro = _micro(threads, tell)
    samples, whole_s = list(micro), {}
    for network in networks:
        profile = _timed(network, folder / f"{network}.json", threads, tell)
        samples += [Sample(network, sample.work, sample.seconds) for sample in samples_of(profile)]
        assert profile.timing is not None  # timed just now, or kept of such a time
        assert profile.timing.whole_s is not None
        whole_s[network] = profile.timing.whole_s
    tell("fitting")
    left_out, alone = leave_one_out(samples, whole_s), fit(micro)
    return [Predicted(network, whole_s[network], left_out[network],
                      predict(alone, [sample.work for sample in samples if sample.group == network]))
            for network in networks]  # fmt: skip


def middle(errors: Sequence[float]) -> float:
    """The median error, whatever its sign."""
    return median(map(abs, errors))


def _micro(threads: int | None, tell: Callable[[str], None]) -> list[Sample]:
    return [Sample(f"micro-benchmark {sample.group}", sample.work, sample.seconds)
            for sample in measure(MICRO_BUDGET_S, threads, tell)]  # fmt: skip


def _timed(network: str, file: Path, threads: int | None, tell: Callable[[str], None]) -> NetworkProfile:
    if file.is_file():
        return NetworkProfile.load(file)
    tell(f"timing {network}")
    builder = f"torchvision:{network}"
    shape = _OTHER_INPUTS.get(network, _INPUT)
    profile = time_profile(make_profile(builder, weights_of(builder, None), "module", shape), threads)
    file.parent.mkdir(parents=True, exist_ok=True)
    profile.save(file)
    return profile
