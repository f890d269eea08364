"""A slow link on a fast machine: the sending side is held to a rate, and each message waits once.

The rate may change at given times. Connections that are to share one link share one `Pacer`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

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
    """A link's rate (B/s) and the delay of a message (s); `changes` are later rates, each with the time (s) it begins at."""

    rate_bytes_per_s: float
    delay_s: float = 0.0
    changes: tuple[tuple[float, float], ...] = ()

    def __str__(self) -> str:
        rates = [format_rate(self.rate_bytes_per_s), *(f"{format_rate(rate)} from {at_s:g} s on" for at_s, rate in self.changes)]
        return ", ".join(rates + ([format_time(self.delay_s)] if self.delay_s else []))

    def rate_at(self, seconds: float) -> float:
        """The rate (B/s) so long after the beginning."""
        return next((rate for at_s, rate in reversed(self.changes) if at_s <= seconds), self.rate_bytes_per_s)


def parse_shape(text: str) -> Shape:
    """The shape that `10Mbps`, `10Mbps,20ms` or `2Mbps,50Mbps@20s,5Mbps@40s` asks for; InputError for any other text.

    >>> parse_shape("10Mbps,20ms")
    Shape(rate_bytes_per_s=1250000.0, delay_s=0.02, changes=())
    >>> parse_shape("2Mbps,50Mbps@20s").changes
    ((20.0, 6250000.0),)
    """
    first, *rest = (part.strip() for part in text.split(","))
    delay = rest.pop() if rest and "@" not in rest[-1] else None
    if delay == "":
        raise InputError("shape", f"{text!r} has no delay after the comma; expected e.g. 10Mbps,20ms")
    changes = []
    for part in rest:
        rate, at, time_s = part.partition("@")
        if not at:
            raise InputError("shape", f"{part!r} says no time from which on it holds; expected e.g. 2Mbps,50Mbps@20s,20ms")
        changes.append((parse_time(time_s, "shape"), parse_rate(rate, "shape")))
    if any(later[0] <= one[0] for one, later in pairwise([(0.0, 0.0), *changes])):
        raise InputError("shape", f"{text!r}: each rate must begin later than the one before")
    rate_bytes_per_s = parse_rate(first.removesuffix("@0s"), "shape")
    return Shape(rate_bytes_per_s, 0.0 if delay is None else parse_time(delay, "shape"), tuple(changes))


class Pacer:
    """Holds senders to a shape: `begin()` where a message finds nothing under way, `due(n)` for each piece.

    A piece may leave when a link of that rate and delay would have delivered its last byte, so a message of n bytes takes
    n / rate, and the delay, as its receiver sees it; a message right behind another one does not wait for the delay
    again. Times are absolute: a late wake-up costs the pieces after it nothing. Several senders take turns, as on one link.
    The shape's own changes count from `start()`; before it, the first rate holds.
    """

    def __init__(self, shape: Shape, clock: Callable[[], float] = time.monotonic) -> None:
        self.shape = shape
        self._clock = clock
        self._free_at = 0.0
        self._started_at: float | None = None
        self._held: float | None = None
        self._turn = threading.Lock()

    def __str__(self) -> str:
        return str(self.shape)

    @property
    def rate_bytes_per_s(self) -> float:
        """The rate now."""
        if self._held is not None:
            return self._held
        return self.shape.rate_at(0.0 if self._started_at is None else self._clock() - self._started_at)

    @property
    def quantum_bytes(self) -> int:
        """What may be asked for at once."""
        return max(LEAST_QUANTUM_BYTES, int(self.rate_bytes_per_s * QUANTUM_S))

    def start(self) -> None:
        """The shape's times count from now on."""
        self._started_at = self._clock()

    def hold_to(self, rate_bytes_per_s: float) -> None:
        """From now on this rate, whatever the shape says."""
        self._held = rate_bytes_per_s

    def begin(self) -> None:
        """A message comes to a link that may have been idle."""
        with self._turn:
            self._free_at = max(self._free_at, self._clock())

    def due(self, n_bytes: int) -> float:
        """When (on the clock) the next n bytes may leave."""
        late = self._clock() - self.shape.delay_s - MOST_LAG_S
        with self._turn:
            self._free_at = max(self._free_at, late) + n_bytes / self.rate_bytes_per_s
            return self._free_at + self.shape.delay_s


def as_pacer(link: Shape | Pacer | None) -> Pacer | None:
    """A pacer as it is, which senders then share; a new one for a shape."""
    return Pacer(link) if isinstance(link, Shape) else link
