"""Measured time per layer on this machine, each layer in its place in the whole network."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError
from lmos_opt.profile import LONGEST_REST_S, NetworkProfile, Timing
from measurement.medians import CONFIDENCE, FAR, Median, median_of
from measurement.processor import cpu_name
from measurement.timing.held import held_bytes
from measurement.timing.others import Others
from measurement.timing.restart import restart_time_s
from measurement.timing.stepping import Steps
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.calls import Example
from measurement.tracing.undisturbed import undisturbed

WARM_UP = 2
"""Runs before any that counts: the first ones pay for memory, thread pools and the kernels' own preparation."""
REST_S = 0.05
"""Before every run, as a device rests between images while the link is busy: its caches cool, its threads fall asleep."""
LEAST_REPEATS = 5
"""Fewer samples than this have no median worth the name, so they are taken even where the budget is spent."""
PRECISION, BUDGET_S = 0.05, 10.0
HEAVY = 0.05
"""Layers that take this share of the whole must be sure to the precision; an error in the others hardly shows in any sum."""
_CHECK_EVERY = 5
_SHARED = 2**18
"""Elements of a tensor that torch works on with all its threads: from 2**15 for each."""


@dataclass(frozen=True)
class LayerTimes:
    """Medians (s) over `repeats` runs: of each layer by name, and of the `whole` network, run undivided.

    - The layers' times sum up to the time of the whole network. The measured sum was `sum_s`. The time of reading the clock and of
      finding arguments, `clock_s` in all, was subtracted layer by layer, and the rest was multiplied by `scale`.
    - Layers are timed with torch's threads awake. To wake them is no layer's work, and would count for the first layer that uses
      them. A run that rests in its middle takes `restart_s` longer, because its second part begins with sleeping threads and cold
      caches. The machine rested for `rest_s` before each run.
    - `ended` is the reason why no more runs were made. `widest` is the widest interval among the whole network and its heavy
      layers, as a share of the median; `spread` is the distance of the quartiles of the whole network's times, also as a share.
      `others` is the share of the processors that other programs used meanwhile (None: not known).
    """

    layers: dict[str, Median]
    whole: Median
    sum_s: float
    clock_s: float
    scale: float
    restart_s: float
    repeats: int
    threads: int
    ended: Literal["precision", "budget"]
    widest: float
    spread: float
    others: float | None
    rest_s: float = REST_S

    @property
    def seconds(self) -> dict[str, float]:
        """The layers' medians."""
        return {name: found.value for name, found in self.layers.items()}

    @property
    def whole_s(self) -> float:
        """The whole's median."""
        return self.whole.value


def time_layers(
    traced: TracedNetwork,
    module: nn.Module,
    example_input: Example,
    *,
    threads: int | None = None,
    precision: float = PRECISION,
    budget_s: float = BUDGET_S,
    rest_s: float = REST_S,
) -> LayerTimes:
    """Time every layer of `traced` inside runs of the whole graph, in turns with undivided runs of `module`.

    Each run starts from a fresh copy of the example, so in-place operations cannot change it, and each layer finds the processor's
    caches as the layer before has left them. `threads` is torch's number of threads (default: unchanged). The machine rests for
    `rest_s` (s) before each run.

    Runs end when the medians of the whole network, and of each layer that takes at least 5 % of its time (HEAVY), have intervals
    narrower than `precision`, as a share of the median; or when `budget_s` (s) is spent. There are at least 5 runs of each kind
    (LEAST_REPEATS).

    Raises InputError if precision, budget or threads are not positive, and for a rest below 0 or above LONGEST_REST_S (10 s).
    """
    if not (precision > 0 and budget_s > 0) or (threads is not None and threads < 1):
        raise InputError("timing", f"needs a positive precision, budget and number of threads, got {precision}, {budget_s} s "
                                   f"and {threads}")  # fmt: skip
    if not 0 <= rest_s <= LONGEST_REST_S:
        raise InputError("timing", f"rests for {rest_s} s before a run; expected 0 to {LONGEST_REST_S:g} s")
    with torch_threads(threads) as used, undisturbed(module), torch.inference_mode():
        runs = _Runs(traced, module, example_input, rest_s)
        for _ in range(WARM_UP):
            runs.once()
        runs.forget()
        others = Others()
        deadline = time.perf_counter() + budget_s
        while True:
            runs.once()
            if runs.count < LEAST_REPEATS:
                continue
            if runs.count % _CHECK_EVERY == 0 and runs.width <= precision:
                return runs.times(used, "precision", others.share())
            if time.perf_counter() > deadline:
                return runs.times(used, "budget" if runs.width > precision else "precision", others.share())


def timed_profile(
    profile: NetworkProfile,
    module: nn.Module,
    example_input: Example,
    *,
    threads: int | None = None,
    precision: float = PRECISION,
    budget_s: float = BUDGET_S,
    rest_s: float = REST_S,
) -> NetworkProfile:
    """The profile with each layer's time (s) and memory (B) on this machine, and `timing`: how they were measured.

    The keywords are those of `time_layers`. Raises its errors, and InputError if `profile` is not the profile of `module` for such
    an input.
    """
    traced = traced_again(profile, module, example_input)
    times = time_layers(traced, module, example_input, threads=threads, precision=precision, budget_s=budget_s, rest_s=rest_s)
    with torch_threads(threads), undisturbed(module), torch.inference_mode():
        held = held_bytes(Steps(traced), [tensor.clone() for tensor in traced.tensors_of(example_input)])
    layers = []
    for layer in profile.layers:
        found = times.layers[layer.name]
        layers.append(layer.model_copy(update={"t_local_s": found.value, "t_local_low_s": found.low,
                                               "t_local_high_s": found.high, "peak_local_bytes": held[layer.name]}))
    timing = Timing(
        torch=torch.__version__,
        threads=times.threads,
        cpu=cpu_name(),
        repeats=times.repeats,
        ended=times.ended,
        precision=precision,
        budget_s=budget_s,
        interval=f"{CONFIDENCE:.0%} of the median, by order statistics",
        outliers=sum(found.outliers for found in times.layers.values()),
        whole_outliers=times.whole.outliers,
        outlier_rule=f"farther from the median than {FAR:g} scaled median absolute deviations; counted, and kept",
        whole_s=times.whole.value,
        whole_low_s=times.whole.low,
        whole_high_s=times.whole.high,
        sum_s=times.sum_s,
        difference_s=times.sum_s - times.whole.value,
        clock_s=times.clock_s,
        scale=times.scale,
        restart_s=times.restart_s,
        rest_s=times.rest_s,
        widest=times.widest,
        spread=times.spread,
        others=times.others,
    )
    return profile.model_copy(update={"layers": tuple(layers), "timing": timing})


def traced_again(profile: NetworkProfile, module: nn.Module, example_input: Example) -> TracedNetwork:
    """The network of a profile, traced. InputError if it is another."""
    source = profile.network
    traced = trace_network(module, example_input, profile.granularity, opaque=() if source is None else source.opaque)
    if [layer.name for layer in traced.layers] != [layer.name for layer in profile.layers]:
        raise InputError(profile.name, "the profile's layers are not those of the network to be timed")
    return traced


class _Runs:
    """Runs of three kinds in turns: layer by layer, the same with a rest in the middle, and undivided."""

    def __init__(self, traced: TracedNetwork, module: nn.Module, example: Example, rest_s: float) -> None:
        self._steps, self._module, self._call = Steps(traced), module, traced.call
        self._example = traced.tensors_of(example)
        self._idle = self._steps.idle()
        self._divided: list[dict[str, float]] = []
        self._rested: list[dict[str, float]] = []
        self._clock: list[dict[str, float]] = []
        self._whole: list[float] = []
        self._middle: str | None = None
        self._rest_s = rest_s
        self._for_all_threads = torch.zeros(_SHARED)

    @property
    def count(self) -> int:
        """How many rounds were timed; each round has one run of each kind."""
        return len(self._whole)

    def forget(self) -> None:
        """Drop the runs so far, which were for warming up. They only say where the middle of the network is, in time."""
        self._middle = _middle(self._divided[-1])
        for kind in (self._divided, self._rested, self._clock, self._whole):
            kind.clear()

    def once(self) -> None:
        """One run of each kind, each after a rest, with threads awake."""
        self._divided.append(self._steps.time(self._image()))
        self._clock.append(self._idle.time(self._example))
        args, options = self._call.put(self._image())
        start = time.perf_counter()
        self._module(*args, **options)
        self._whole.append(time.perf_counter() - start)
        self._rested.append(self._steps.time(self._image(), self._middle, self._rest_s))

    def _image(self) -> list[Tensor]:
        image = [tensor.clone() for tensor in self._example]
        time.sleep(self._rest_s)
        self._for_all_threads.add_(1.0)
        return image

    @property
    def width(self) -> float:
        """The widest relative interval among the whole and the heavy layers."""
        whole = median_of(self._whole)
        layers = (median_of([run[name] for run in self._divided]) for name in self._steps.layers)
        return max([whole.width, *(layer.width for layer in layers if layer.value >= HEAVY * whole.value)])

    def times(self, threads: int, ended: Literal["precision", "budget"], others: float | None) -> LayerTimes:
        """The times of the layers and of the whole, from the runs so far."""
        whole = median_of(self._whole)
        read = {name: median_of([run[name] for run in self._divided]) for name in self._steps.layers}
        clock = {name: median(run[name] for run in self._clock) for name in self._steps.layers}
        left = {name: _shifted(read[name], clock[name]) for name in read}
        total = sum(found.value for found in left.values())
        scale = whole.value / total if total > 0 else 1.0
        return LayerTimes(
            layers={name: _scaled(found, scale) for name, found in left.items()},
            whole=whole,
            sum_s=sum(found.value for found in read.values()),
            clock_s=sum(clock.values()),
            scale=scale,
            restart_s=self._restart_s(),
            repeats=self.count,
            threads=threads,
            ended=ended,
            widest=self.width,
            spread=(_quarter(self._whole, 3) - _quarter(self._whole)) / whole.value if whole.value > 0 else 0.0,
            others=others,
            rest_s=self._rest_s,
        )

    def _restart_s(self) -> float:
        names = self._steps.layers
        second = names[names.index(self._middle) :] if self._middle is not None else ()
        rested, steady = (np.array([[run[name] for name in second] for run in runs]) for runs in (self._rested, self._divided))
        return restart_time_s(rested, steady)


def _quarter(samples: list[float], k: int = 1) -> float:
    """The lower quartile, or with k = 3 the upper one."""
    return sorted(samples)[k * len(samples) // 4]


def _middle(seconds: dict[str, float]) -> str:
    """The layer before which about half of the time is spent."""
    half = sum(seconds.values()) / 2
    names: Sequence[str] = list(seconds)
    return next(name for name, done in zip(names, accumulate(seconds.values()), strict=True) if done >= half)


def _shifted(found: Median, clock_s: float) -> Median:
    value, low, high = (max(seconds - clock_s, 0.0) for seconds in (found.value, found.low, found.high))
    return Median(value, low, high, found.repeats, found.outliers)


def _scaled(found: Median, scale: float) -> Median:
    return Median(found.value * scale, found.low * scale, found.high * scale, found.repeats, found.outliers)


@contextmanager
def torch_threads(threads: int | None) -> Iterator[int]:
    """Inside the block, torch has so many threads (None: as before); the value is their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
