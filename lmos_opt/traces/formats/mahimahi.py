"""mahimahi's packet delivery times: a line is a millisecond at which the link may pass on 1500 bytes.

Source: the manual page mm-link(1), and the README of mahimahi-traces 0.92: a timestamp that stands on several lines stands for as
many packets, and after the last one the file begins again. So it lasts as long as its last timestamp. Rates are means over STEP_MS:
what the link passes on is the file's at every multiple of that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil

from lmos_opt.traces.formats import Line
from lmos_opt.traces.record import MOST_STEPS

PACKET_BYTES = 1500
STEP_MS = 100
WHAT = "mahimahi's packet delivery times, a whole number of milliseconds a line"
_EXPECTED = "a whole number of milliseconds, no less than the line before"


def recognises(first: str) -> bool:
    """Whether the line is a whole number alone."""
    return first.isascii() and first.isdigit()


def read(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """How long each step lasts (s) and its rate (B/s)."""
    before, packets = 0, Counter[int]()
    for line in lines:
        if not recognises(line.text) or int(line.text[:16]) < before:
            raise line.wrong(_EXPECTED)
        before = int(line.text[:16])
        packets[max(before - 1, 0) // STEP_MS] += 1  # a packet at the end of a step has passed within it
    if not before:
        raise lines[-1].wrong("a last packet after more than 0 milliseconds")
    n = ceil(before / STEP_MS)
    if n > MOST_STEPS:
        raise lines[-1].wrong(f"{MOST_STEPS * STEP_MS} milliseconds at most, counted from the beginning of the trace")
    lasts = [STEP_MS / 1e3] * (n - 1) + [(before - (n - 1) * STEP_MS) / 1e3]
    return [(s, packets[k] * PACKET_BYTES / s) for k, s in enumerate(lasts)]
