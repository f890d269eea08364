"""`lmos probe`: measure the link to a server."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lmos.output import activity, out, print_json, table
from lmos_opt.device import Source
from lmos_opt.errors import InputError
from lmos_opt.files import checked_name
from lmos_opt.link import Link
from lmos_opt.processes.writing import check_output
from lmos_opt.units import counted, format_rate, format_size, format_time, parse_size, parse_time
from runner.client.probe_client import ProbeClient
from runner.lab.probing.exchanges import Budget, measure
from runner.lab.probing.fit import fit_link
from runner.lab.probing.serialising import serialising_bytes_per_s
from runner.lab.replaying import link_shape
from runner.wire.access import Credentials
from runner.wire.connecting import format_address, parse_address
from runner.wire.shaping import Pacer
from runner.wire.timeouts import PATIENT

if TYPE_CHECKING:
    from runner.lab.probing.fit import LinkFit, ProbeTime


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos probe` is asked for, as typed."""

    server: str
    output: Path | None
    name: str | None
    budget: str
    volume: str
    shape: str | None
    hop: int
    credentials: Credentials
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for options that cannot be used, RunnerError if the server cannot be reached or the link measured."""
    output = request.output
    check_output(output, (".json",))
    if request.name is not None:
        checked_name(request.name, "--name")
    address = parse_address(request.server, what="--server")
    allowed = Budget(parse_time(request.budget, "--budget"), parse_size(request.volume, "--volume"))
    if not allowed.seconds > 0:
        raise InputError("--budget", f"{request.budget!r:.40} is not positive")
    held = None if request.shape is None else Pacer(link_shape(request.shape))
    if held is not None:
        held.start()
    begin, started = time.perf_counter(), datetime.now(UTC)
    with activity(f"reaching {request.server}") as tell:
        timeouts = replace(PATIENT, connect_s=min(PATIENT.connect_s, max(allowed.seconds, 1.0)))
        with ProbeClient(address, held, timeouts, request.credentials.at(address)) as remote:
            remote.hop = request.hop
            exchanges = measure(remote, allowed, tell=lambda n: tell(f"{counted(n, 'exchange')} with {request.server}"))
    seconds, hop = time.perf_counter() - begin, f" hop {request.hop}" if request.hop > 1 else ""
    fit = fit_link(exchanges, remote.name)
    told = (f"lmos probe on {started:%Y-%m-%d %H:%M} UTC, from {socket.gethostname()} to {format_address(address)}"
            + (hop and f",{hop}") + (f", held to {held}" if held else "") + f": {counted(len(exchanges), 'exchange')}, "
            f"{format_size(sum(one.n_bytes for one in exchanges))} in {seconds:.1f} s")  # fmt: skip
    link = _link(request.name or f"{format_address(address)}{hop}", fit, told)
    if output is not None:
        link.save(output)
    packing = serialising_bytes_per_s()
    if request.as_json:
        found = {"link": link.to_dict(), "seconds": seconds, "serialising_bytes_per_s": packing,
                 "residual_s": fit.residual_s, "worst_residual_s": fit.worst_residual_s,
                 "exchanges": [asdict(one) for one in exchanges]}  # fmt: skip
        print_json(json.dumps(found, indent=1) + "\n")
    else:
        out().print(_table(link, fit, exchanges, packing, told))


def _link(name: str, fit: LinkFit, told: str) -> Link:
    how = (f"{told}; base + bytes / B through all of them, packing, checksums and copies counted, by the median of slopes "
           "(Theil, Sen), 95 % intervals")
    return Link(schema="lmos.link/1", name=name, description=f"measured: {told}",
                bandwidth_bytes_per_s=fit.bandwidth_bytes_per_s, rtt_s=fit.base_s,
                bandwidth_interval_bytes_per_s=fit.bandwidth_interval, rtt_interval_s=fit.base_interval,
                sources=(Source(what="bandwidth_bytes_per_s, rtt_s and their intervals", source=how),))  # fmt: skip


def _table(link: Link, fit: LinkFit, exchanges: list[ProbeTime], packing: float, told: str) -> object:
    largest = max(one.n_bytes for one in exchanges)
    rows = [
        ["bandwidth", format_rate(fit.bandwidth_bytes_per_s), " to ".join(map(format_rate, fit.bandwidth_interval))],
        ["an exchange's fixed cost", format_time(fit.base_s), " to ".join(map(format_time, fit.base_interval))],
        ["off the line", format_time(fit.residual_s), f"half of them; {format_time(fit.worst_residual_s)} at worst"],
        ["largest exchange", format_size(largest), f"takes {format_time(fit.seconds(largest))}"],
        ["packing and checksum here", format_rate(packing), "counted in the bandwidth above"],
    ]
    return table(f"{link.name}: {told}", ["", "", "95 % interval"], rows, left=[0, 2])
