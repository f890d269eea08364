"""A slow link on a fast machine: the sending side is held to a rate, and each message waits once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lmos_opt.errors import InputError
from lmos_opt.units import format_rate, format_time, parse_rate, parse_time

QUANTUM_S = 0.002
"""Bytes leave in pieces of this much time: small enough for the rate to hold at 100 kB, large enough for `sleep`."""
LEAST_QUANTUM_BYTES = 1448
"""What one Ethernet packet carries; slow links send no less at once."""
MOST_LAG_S = 0.02
"""How late a piece may be and still be made up for by the next ones: the only burst that there is."""


@dataclass(frozen=True)
class Shape:
    """A link's rate (B/s) and the delay of a message (s)."""

    rate_bytes_per_s: float
    delay_s: float = 0.0

    def __str__(self) -> str:
        rate = format_rate(self.rate_bytes_per_s)
        return f"{rate}, {format_time(self.delay_s)}" if self.delay_s else rate


def parse_shape(text: str) -> Shape:
    """The shape that `10Mbps` or `10Mbps,20ms` asks for; InputError for any other text.

    >>> parse_shape("10Mbps,20ms")
    Shape(rate_bytes_per_s=1250000.0, delay_s=0.02)
    """
    rate, comma, delay = text.partition(",")
    if comma and not delay.strip():
        raise InputError("shape", f"{text!r} has no delay after the comma; expected e.g. 10Mbps,20ms")
    return Shape(parse_rate(rate.strip(), "shape"), parse_time(delay.strip(), "shape") if comma else 0.0)


class Pacer:
    """Holds one sender to a shape: `begin()` where a message finds nothing under way, `due(n)` for each piece.

    A piece may leave when a link of that rate and delay would have delivered its last byte, so a message of n bytes takes
    n / rate, and the delay, as its receiver sees it; a message right behind another one does not wait for the delay
    again. Times are absolute: a late wake-up costs the pieces after it nothing.
    """

    def __init__(self, shape: Shape, clock: Callable[[], float] = time.monotonic) -> None:
        self.shape = shape
        self.quantum_bytes = max(LEAST_QUANTUM_BYTES, int(shape.rate_bytes_per_s * QUANTUM_S))
        self._clock = clock
        self._free_at = 0.0

    def begin(self) -> None:
        """A message comes to a link that may have been idle."""
        self._free_at = max(self._free_at, self._clock())

    def due(self, n_bytes: int) -> float:
        """When (on the clock) the next n bytes may leave."""
        late = self._clock() - self.shape.delay_s - MOST_LAG_S
        self._free_at = max(self._free_at, late) + n_bytes / self.shape.rate_bytes_per_s
        return self._free_at + self.shape.delay_s
