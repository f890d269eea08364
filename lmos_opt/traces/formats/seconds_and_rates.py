"""Comma-separated seconds and rates, under a header that says the unit: `seconds,rate_mbps` and the like.

Each row's rate holds from its second on to that of the next row, the last row's as long as the row before it. A column `rtt_s` or
`rtt_ms`, if there is one, is left to `rtts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from lmos_opt.traces.formats import Line
from lmos_opt.traces.record import LinkTrace

RATES = {"rate_bytes_per_s": 1.0, "rate_bps": 1 / 8, "rate_kbps": 1e3 / 8, "rate_mbps": 1e6 / 8}
RTTS = {"rtt_s": 1.0, "rtt_ms": 1e-3}
WHAT = f"a header such as seconds,rate_mbps (of {', '.join(RATES)}; also {', '.join(RTTS)}) with a row a step"


def _columns(first: str) -> list[str]:
    return [name.strip().lower() for name in first.split(",")]


def recognises(first: str) -> bool:
    """Whether the line names seconds and a rate."""
    names = _columns(first)
    return names[0] == "seconds" and any(name in RATES for name in names)


def read(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """How long each step lasts (s) and its rate (B/s)."""
    header, *rows = lines
    names = _columns(header.text)
    if len(set(names)) < len(names) or sum(name in RATES for name in names) != 1:
        raise header.wrong(f"{WHAT}; one column for each")
    rate = next(name for name in names if name in RATES)
    found = [_row(line, names) for line in rows]
    if not found:
        raise header.wrong("a row after it")
    first = found[0][0]
    for line, (one, later) in zip(rows[1:], pairwise(found), strict=True):
        if later[0] <= one[0]:
            raise line.wrong(f"more than {one[0]:g} seconds, which stand before it")
    at_s = [row[0] - first for row in found]
    last_s = at_s[-1] - at_s[-2] if len(at_s) > 1 else 1.0
    return [(later - one, row[names.index(rate)] * RATES[rate])
            for (one, later), row in zip(pairwise([*at_s, at_s[-1] + last_s]), found, strict=True)]  # fmt: skip


def rtts(lines: Sequence[Line]) -> tuple[float, ...] | None:
    """The round trip of each step (s); None if no column has it."""
    names = _columns(lines[0].text)
    column = next((name for name in names if name in RTTS), None)
    return None if column is None else tuple(_row(line, names)[names.index(column)] * RTTS[column] for line in lines[1:])


def _row(line: Line, names: Sequence[str]) -> list[float]:
    parts = line.text.split(",")
    expected = f"{len(names)} numbers of at least zero: {', '.join(names)}"
    if len(parts) != len(names):
        raise line.wrong(expected)
    return line.numbers(parts, expected)


def written(trace: LinkTrace) -> Iterator[str]:
    """A trace as such lines; what it lasts after the last of them is as long as the step before it."""
    yield "seconds,rate_bytes_per_s" + (",rtt_s" if trace.rtt_s else "")
    for k, (at_s, rate) in enumerate(zip(trace.seconds, trace.rate_bytes_per_s, strict=True)):
        yield f"{at_s!r},{rate!r}" + (f",{trace.rtt_s[k]!r}" if trace.rtt_s else "")
