"""`lmos calibrate`: this machine as a device file, from micro-benchmarks."""

from __future__ import annotations

from pathlib import Path

from lmos.output import activity, err, out, print_json, table
from lmos_opt.costs.calibrated import Calibrated
from lmos_opt.device import Device, load_device
from lmos_opt.errors import InputError
from lmos_opt.files import checked_name
from lmos_opt.processes.writing import check_output
from lmos_opt.units import parse_time
from measurement.calibration.this_machine import calibrated_device, scaled_device


def run(output: Path, budget: str, threads: int | None, transmit_w: float | None, scale_to: str | None, as_json: bool) -> None:
    """Measure and write; InputError for a budget, a device or a file name that cannot be used."""
    check_output(output, (".json",))
    checked_name(output.stem, str(output))
    seconds = parse_time(budget, "--budget")
    if seconds <= 0:
        raise InputError("--budget", f"{budget!r} is no time to measure in")
    with activity("calibrating") as tell:
        if scale_to is None:
            device = calibrated_device(output.stem, seconds, threads, transmit_w, tell)
        else:
            target = load_device(scale_to)
            if not isinstance(target, Device):
                raise InputError("--scale-to", f"{scale_to!r} is no device file or bundled device")
            device = scaled_device(target, output.stem, threads, tell)
    device.save(output)
    if as_json:
        print_json(device.to_json())
    else:
        _show(device)
    if device.power is None:
        err().print(f"lmos: no powers in {output}: {_source(device, 'power')}", soft_wrap=True)


def _show(device: Device) -> None:
    if isinstance(device.cost, Calibrated):
        rows = [[kind, f"{1e6 * line.fixed_s:.1f}", _rate(line.s_per_mac), _rate(line.s_per_byte)]
                for kind, line in sorted(device.cost.kinds.items())]  # fmt: skip
        out().print(table(f"{device.name}: {device.description}", ["kind", "each (us)", "GMAC/s", "GB/s"], rows, left=[0]))
        found = device.cost.held_out
        if found is not None:
            off = f"{100 * found.median:.1f} % in the median, {100 * found.worst:.0f} % at worst"
            out().print(f"off by {off}: {found.groups} {found.what}")
    if device.rates is not None:
        out().print(f"rates: {device.rates.macs_per_s / 1e9:.1f} GMAC/s, {device.rates.bytes_per_s / 1e9:.1f} GB/s")


def _rate(seconds: float) -> str:
    """A rate in billions per second; empty if the operation takes no time."""
    return f"{1e-9 / seconds:.2f}" if seconds > 0 else ""


def _source(device: Device, what: str) -> str:
    return next((source.source for source in device.sources if source.what == what), "the device's file has none")
