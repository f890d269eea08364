"""`lmos trace-link`: a link over time as a file: recorded here, from a run's report, from another format, or generated."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lmos.output import activity, err, out, print_json, table
from lmos_opt.errors import InputError
from lmos_opt.files import checked_name, read_json
from lmos_opt.processes.writing import check_output
from lmos_opt.traces.loading import SUFFIXES, is_trace, load_trace, save_trace
from lmos_opt.traces.making import KINDS, make_trace
from lmos_opt.traces.record import LinkTrace
from lmos_opt.units import counted, format_rate, format_time, parse_time, whole_of
from runner.client.probe_client import ProbeClient
from runner.lab.recording import Recording, record_link, trace_of, trace_of_report
from runner.lab.replaying import link_shape
from runner.watching.report import RunReport
from runner.wire.access import Credentials
from runner.wire.connecting import format_address, parse_address
from runner.wire.shaping import Pacer
from runner.wire.timeouts import PATIENT


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos trace-link` is asked for, as typed."""

    source: str
    output: Path | None
    name: str | None
    lasts: str
    every: str
    shape: str | None
    hop: int
    credentials: Credentials
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for what is none of its sources, RunnerError if a server cannot be reached."""
    check_output(request.output, SUFFIXES)
    if request.name is not None:
        checked_name(request.name, "--name")
    trace = _trace(request)
    if request.name is not None:
        trace = trace.model_copy(update={"name": request.name})
    if request.output is not None:
        save_trace(trace, request.output)
    if request.as_json:
        print_json(trace.to_json())
    else:
        out().print(_table(trace))
    if request.output is None and not request.as_json:
        err().print("nothing was written; name a file with -o")


def _trace(request: Request) -> LinkTrace:
    source = request.source
    kind, _, seed = source.partition(":")
    number = whole_of(seed)
    if kind in KINDS and number is not None:
        return make_trace(kind, round(parse_time(request.lasts, "--for")), number)
    if Path(source).suffix == ".json" and Path(source).is_file():
        data = None
        with suppress(InputError):  # another format; for a damaged file `load_trace` raises
            data = read_json(source)
        if isinstance(data, dict) and data.get("schema") == RunReport.SCHEMA:
            return trace_of_report(RunReport.from_dict(data, source), request.name or checked_name(Path(source).stem, source))
    if is_trace(source):
        return load_trace(source)
    if kind in KINDS and ":" in source:
        raise InputError(source, f"{seed!r:.40} is no seed; expected a whole number, as in {kind}:0")
    if ":" not in source:
        kinds = ", ".join(f"{kind}:SEED" for kind in KINDS)
        raise InputError(source, f"is no file, no bundled trace, not {kinds}, and no server HOST:PORT")
    return _recorded(parse_address(source), request)


def _recorded(address: tuple[str, int], request: Request) -> LinkTrace:
    how = Recording(parse_time(request.lasts, "--for"), parse_time(request.every, "--every"))
    if not 0.05 <= how.every_s <= how.lasts_s:
        raise InputError("--every", f"{how.every_s:g} s is no step of {how.lasts_s:g} s; expected 0.05 s or more, up to --for")
    held = None if request.shape is None else Pacer(link_shape(request.shape))
    started = datetime.now(UTC)
    with activity(f"reaching {request.source}") as tell:
        timeouts = replace(PATIENT, connect_s=min(PATIENT.connect_s, max(how.lasts_s, 1.0)))
        with ProbeClient(address, held, timeouts, request.credentials.at(address)) as remote:
            remote.hop = request.hop
            if held is not None:
                held.start()
            seen = record_link(remote, how, tell=lambda at_s: tell(f"{at_s:.0f} of {how.lasts_s:g} s recorded"))
    told = (f"lmos trace-link on {started:%Y-%m-%d %H:%M} UTC, from {socket.gethostname()} to {format_address(address)}"
            + (f", hop {request.hop}" if request.hop > 1 else "") + (f", held to {held}" if held else ""))  # fmt: skip
    return trace_of(seen, request.name or format_address(address), told, max(how.lasts_s, seen[-1].at_s + how.every_s))


def _table(trace: LinkTrace) -> object:
    rows = [
        ["lasts", f"{trace.ends_s:g} s, {counted(len(trace.seconds), 'step')}"],
        ["mean", format_rate(trace.mean_bytes_per_s)],
        *([f"{100 * share:g} % of the time at least", format_rate(trace.reached(share))] for share in (0.5, 0.9, 0.95, 0.99)),
        *([["round trip, at most", format_time(max(trace.rtt_s))]] if trace.rtt_s else []),
    ]
    return table(f"{trace.name}: {trace.description}", ["", ""], rows, left=[0])
