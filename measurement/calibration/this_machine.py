"""This machine as a device file: what micro-benchmarks take on it, the lines fitted to that, and what else can be read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date
from statistics import median

import torch

from lmos_opt.costs import Rates
from lmos_opt.costs.scaled import Scaled
from lmos_opt.device import Device, Power, Source
from lmos_opt.errors import InputError
from lmos_opt.units import counted
from measurement.calibration import Sample, fit, held_out
from measurement.calibration.microbenchmarks import BenchmarkSeries, benchmark_series
from measurement.calibration.power import Meter, meter
from measurement.processor import cpu_name
from measurement.profiling import profile_network
from measurement.timing import timed_profile, torch_threads

SHARES = {"convolutions": 0.6, "attention": 0.2, "classifiers": 0.2}
"""How the time for the micro-benchmarks is shared between the sets of layers; the first set has most kinds of operations."""
_SIDE = 1024
"""Of the square matrices whose product gives `macs_per_s`: too large for overheads to matter, 3 products of 4 MB."""
_COPIED_BYTES = 2**27
"""Of the copy that gives `bytes_per_s`: four times the largest cache in common use."""
_REPEATS = 7
_POWER_S = 3.0
"""How long power is averaged, computing and idle: counters are updated every millisecond, batteries every second or so."""

Tell = Callable[[str], None]


def calibrated_device(name: str, budget_s: float, threads: int | None = None, transmit_w: float | None = None,
                      tell: Tell = lambda what: None) -> Device:  # fmt: skip
    """This machine with the cost model `calibrated`. Takes `budget_s` seconds for timing, and some 15 for all else.

    `transmit_w` is the power of sending, which no meter here tells; without it the device has no powers. Raises InputError
    for a budget that is not positive, MissingExtraError without scikit-learn.
    """
    samples = measure(budget_s, threads, tell)
    tell("fitting")
    groups = sorted({sample.group for sample in samples} - {""})
    wholes = {group: sum(sample.seconds for sample in samples if sample.group == group) for group in groups}
    cost = fit(samples, held_out(samples, wholes, "micro-benchmarks, each predicted by lines fitted to the others"))
    with torch_threads(threads) as used:
        tell("measuring rates")
        rates = measured_rates()
        power, how = _power(transmit_w, meter(), tell)
    hz, clock = _clock()
    when = (f"micro-benchmarks of lmos calibrate on {date.today().isoformat()}: {counted(len(samples), 'layer')} of "
            f"{counted(len(groups), 'small network')}; torch {torch.__version__}, {counted(used, 'thread')}, "
            f"{cpu_name()}")  # fmt: skip
    return Device(
        schema="lmos.device/1", name=name,
        description=f"{cpu_name()}, {counted(used, 'thread')} of torch {torch.__version__}",
        cores=used, hz=hz,
        ops_per_cycle=rates.macs_per_s / (used * hz), memory_bytes=_memory_bytes(), power=power, cost=cost, rates=rates,
        sources=(Source(what="cost", source=when), Source(what="cores", source="torch's threads"), Source(what="hz", source=clock),
                 Source(what="ops_per_cycle, rates", source=f"a product of {_SIDE}x{_SIDE} float32 matrices and a copy of "
                                                            f"{_COPIED_BYTES >> 20} MiB, medians of {_REPEATS}, the same day"),
                 Source(what="memory_bytes", source="the operating system"), Source(what="power", source=how)),
    )  # fmt: skip


def scaled_device(target: Device, name: str, threads: int | None = None, tell: Tell = lambda what: None) -> Device:
    """A device whose times are this machine's, stretched by the two machines' rates (`lmos_opt.costs.scaled`).

    Raises InputError if the device file holds no `rates`.
    """
    if target.rates is None:
        raise InputError(target.name, "holds no 'rates' (macs_per_s, bytes_per_s) to stretch this machine's times by")
    with torch_threads(threads) as used:
        tell("measuring rates")
        here = measured_rates()
    machine = f"{cpu_name()}, {counted(used, 'thread')}"
    cost = Scaled(machine=machine, here=here, there=target.rates)
    source = Source(what="cost", source=f"rates of this machine ({machine}, torch {torch.__version__}) measured by lmos calibrate "
                                        f"on {date.today().isoformat()}; the device's own are those of {target.name}")  # fmt: skip
    return target.model_copy(update={"name": name, "cost": cost, "sources": (*target.sources, source)})


def measure(budget_s: float, threads: int | None = None, tell: Tell = lambda what: None) -> list[Sample]:
    """The timed layers of the micro-benchmarks. The group of a layer is its benchmark, or "" between benchmarks."""
    samples = []
    for name, parts in benchmark_series().items():
        tell(f"micro-benchmarks: {name}")
        series = BenchmarkSeries(parts).eval()
        example = torch.rand(1, series.numbers)
        profile = timed_profile(profile_network(series, example, name=name), series, example, threads=threads,
                                budget_s=budget_s * SHARES[name])  # fmt: skip
        for layer in profile.layers:
            if layer.work and layer.t_local_s is not None:
                words = layer.name.split(".")
                samples.append(Sample(words[1] if words[0] == "parts" else "", layer.work, layer.t_local_s))
    return samples


def measured_rates() -> Rates:
    """Multiply-accumulates a second of a large product, and bytes read and written a second by a large copy."""
    with torch.inference_mode():
        a, b, product = (torch.rand(_SIDE, _SIDE) for _ in range(3))
        source = torch.zeros(_COPIED_BYTES // 4)
        copy = torch.zeros_like(source)
        return Rates(macs_per_s=_SIDE**3 / _seconds(lambda: torch.mm(a, b, out=product)),
                     bytes_per_s=2 * _COPIED_BYTES / _seconds(lambda: copy.copy_(source)))  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for k in range(-2, _REPEATS):
        start = time.perf_counter()
        work()
        if k >= 0:
            times.append(time.perf_counter() - start)
    return median(times)


def _power(transmit_w: float | None, found: Meter | None, tell: Tell) -> tuple[Power | None, str]:
    if found is None:
        return None, "no meter here (no readable RAPL counter, no battery in use): no powers"
    if transmit_w is None:
        return None, f"{found.what}; but nothing tells what sending draws (--transmit-power), so no powers"
    tell("measuring power")
    a, b, product = (torch.rand(_SIDE, _SIDE) for _ in range(3))
    idle = found.average_w(lambda: time.sleep(0.1), _POWER_S)
    compute = found.average_w(lambda: torch.mm(a, b, out=product), _POWER_S)
    return (Power(compute_w=compute, transmit_w=transmit_w, idle_w=idle),
            f"compute_w (products of matrices) and idle_w: averages over {_POWER_S:g} s of {found.what}; transmit_w: as given")


def _clock() -> tuple[float, str]:
    """The clock (Hz) and its source; 1 GHz if it is unknown, because only its product with ops_per_cycle matters."""
    try:
        import psutil

        frequency = psutil.cpu_freq()
    except (ImportError, OSError, NotImplementedError):
        frequency = None
    if frequency is not None and (frequency.max or frequency.current):
        return 1e6 * (frequency.max or frequency.current), "the operating system (psutil.cpu_freq)"
    return 1e9, "1 GHz for want of anything that tells: only its product with ops_per_cycle was measured"


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
