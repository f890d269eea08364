"""The columns of the HSDPA logs: seconds since the epoch, then what was downloaded.

Source: https://datasets.simula.no/hsdpa-tcp-logs/ (Riiser et al., "Commute path bandwidth traces from 3G networks", MMSys 2013):
a time of day (s), milliseconds since the start, latitude, longitude, bytes received, and the milliseconds that they took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lmos_opt.errors import InputError
from lmos_opt.traces.formats import Line, first_of_six, six_columns
from lmos_opt.traces.formats.ghent import FROM_MS
from lmos_opt.traces.record import LinkTrace

WHAT = "the six columns of the HSDPA logs"
LEAST_S = 0.00051
"""A step that is shorter is rounded to no time."""


def recognises(first: str) -> bool:
    """Whether the line has six numbers, of which the first is in seconds."""
    found = first_of_six(first)
    return found is not None and found < FROM_MS


def read(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """How long each step lasts (s) and its rate (B/s)."""
    return six_columns(lines, "seconds since the epoch")


def written(trace: LinkTrace) -> Iterator[str]:
    """A trace in these columns, in whole bytes and milliseconds; the place and the time of day are 0. InputError for a step of less
    than a millisecond."""
    if min(trace.lasts_s) < LEAST_S:
        raise InputError(trace.name, f"has a step of {min(trace.lasts_s):g} s, and a log whole milliseconds; write .csv or .json")
    for end_s, lasts_s, rate in zip((*trace.seconds[1:], trace.ends_s), trace.lasts_s, trace.rate_bytes_per_s, strict=True):
        yield f"{end_s:.0f} {end_s * 1e3:.0f} 0.0 0.0 {rate * lasts_s:.0f} {lasts_s * 1e3:.0f}"
