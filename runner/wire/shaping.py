"""A slow link on a fast machine: the sending side is held to a rate, and each message waits once.

The rate may change at given times. Connections that are to share one link share one `Pacer`.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import inf

from lmos_opt.errors import InputError
from lmos_opt.units import format_rate, format_time, parse_delay, parse_rate, parse_time

QUANTUM_S = 0.002
"""Bytes leave in pieces of this much time: small enough for the rate to hold at 100 kB, large enough for `sleep`."""
LEAST_QUANTUM_BYTES = 1448
"""What one Ethernet packet carries; slow links send no less at once."""
MOST_LAG_S = 0.02
"""How late a piece may be and still be made up for by the next ones: the only burst that there is."""

_ROUNDING_BYTES = 1e-6
"""Sums of bytes may be off by that; who waits for the end of an outage for less waits for nothing."""


@dataclass(frozen=True)
class Shape:
    """An emulated link: its rate (B/s), and the delay of a message (s). `changes` are later rates, each after the time (s) at
    which it begins, and `delays` later delays in the same form. After `repeats_s` all begins again. `name` replaces the rates in
    texts."""

    rate_bytes_per_s: float
    delay_s: float = 0.0
    changes: tuple[tuple[float, float], ...] = ()
    delays: tuple[tuple[float, float], ...] = ()
    repeats_s: float = inf
    name: str = ""

    def __str__(self) -> str:
        rates = [format_rate(self.rate_bytes_per_s), *(f"{format_rate(rate)} from {at_s:g} s on" for at_s, rate in self.changes)]
        told = [self.name] if self.name else rates
        if self.repeats_s < inf:
            told.append(f"again every {self.repeats_s:g} s")
        return ", ".join(told + ([format_time(self.delay_s)] if self.delay_s and not self.delays else []))

    @cached_property
    def _at_s(self) -> list[float]:
        """When each rate begins."""
        return [0.0, *(at_s for at_s, _ in self.changes)]

    @cached_property
    def _rates(self) -> list[float]:
        return [self.rate_bytes_per_s, *(rate for _, rate in self.changes)]

    @cached_property
    def _before(self) -> list[float]:
        """The bytes that have passed when each rate begins, and at the end."""
        lasts = [later - one for one, later in pairwise([*self._at_s, self.repeats_s])]
        return [0.0, *accumulate(rate * s for rate, s in zip(self._rates, lasts, strict=True))]

    def rate_at(self, seconds: float) -> float:
        """The rate (B/s) so long after the beginning."""
        return self._rates[bisect_right(self._at_s, self._within(seconds)[1]) - 1]

    def delay_at(self, seconds: float) -> float:
        """The delay (s) so long after the beginning."""
        k = bisect_right(self.delays, (self._within(seconds)[1], inf))
        return self.delays[k - 1][1] if k else self.delay_s

    @property
    def ever_passes(self) -> bool:
        """Whether at any moment something will still pass."""
        return any(self._rates) and (self.repeats_s < inf or self._rates[-1] > 0)

    @property
    def first_rate(self) -> float:
        """The first rate (B/s) at which anything passes."""
        return next(rate for rate in self._rates if rate)

    def passed(self, seconds: float) -> float:
        """How many bytes such a link passes on until so long after the beginning, if there are always more."""
        rounds, within_s = self._within(seconds)
        k = bisect_right(self._at_s, within_s) - 1
        return (rounds * self._before[-1] if rounds else 0.0) + self._before[k] + self._rates[k] * (within_s - self._at_s[k])

    def when_passed(self, n_bytes: float) -> float:
        """How long after the beginning (s) the link has passed on so many bytes."""
        rounds, rest = divmod(n_bytes, self._before[-1]) if self.repeats_s < inf else (0.0, n_bytes)
        if rounds and rest <= _ROUNDING_BYTES:  # the last byte of a round passes before an outage at its end
            rounds, rest = rounds - 1, self._before[-1]
        k = bisect_left(self._before, rest - _ROUNDING_BYTES, lo=1, hi=len(self._rates)) - 1
        while not self._rates[k] and k + 1 < len(self._rates):
            k += 1
        within_s = self._at_s[k] + max(rest - self._before[k], 0.0) / self._rates[k] if self._rates[k] else self._at_s[k]
        return (rounds * self.repeats_s if rounds else 0.0) + within_s

    def _within(self, seconds: float) -> tuple[float, float]:
        """How often it has begun again, and the time since."""
        return divmod(seconds, self.repeats_s) if self.repeats_s < inf else (0.0, seconds)


def parse_shape(text: str) -> Shape:
    """The shape that `10Mbps`, `10Mbps,20ms` or `2Mbps,50Mbps@20s,5Mbps@40s` asks for; InputError for any other text.

    >>> parse_shape("10Mbps,20ms")
    Shape(rate_bytes_per_s=1250000.0, delay_s=0.02, changes=(), delays=(), repeats_s=inf, name='')
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
    return Shape(rate_bytes_per_s, 0.0 if delay is None else parse_delay(delay, "shape"), tuple(changes))


class Pacer:
    """Holds senders to a shape: `begin()` where a message finds nothing under way, `due(n)` for each piece.

    A piece may leave when a link of that rate and delay would have delivered its last byte, so a message of n bytes takes
    n / rate, and the delay, as its receiver sees it; a message right behind another one does not wait for the delay
    again. Times are absolute: a late wake-up costs the pieces after it nothing. Several senders take turns, as on one link.
    The shape's own changes count from `start()`; before it, the first rate holds at which anything passes.
    """

    def __init__(self, shape: Shape, clock: Callable[[], float] = time.monotonic) -> None:
        """InputError for a link that from some moment on passes nothing for ever."""
        if not shape.ever_passes:
            raise InputError("shape", f"nothing passes from some moment on, for ever: {shape}")
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
        return self.shape.first_rate if self._started_at is None else self.shape.rate_at(self._clock() - self._started_at)

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
        with self._turn:
            late = self._clock() - self._delay_at(self._free_at) - MOST_LAG_S
            self._free_at = self._passed_at(max(self._free_at, late), n_bytes)
            return self._free_at + self._delay_at(self._free_at)

    def _passed_at(self, moment: float, n_bytes: int) -> float:
        """When a link that is free at a moment has passed on so many bytes more."""
        if self._held is not None or self._started_at is None or moment < self._started_at:
            return moment + n_bytes / (self.shape.first_rate if self._held is None else self._held)
        before = self.shape.passed(moment - self._started_at)
        return max(self._started_at + self.shape.when_passed(before + n_bytes), moment)

    def _delay_at(self, moment: float) -> float:
        return self.shape.delay_at(0.0 if self._started_at is None else max(moment - self._started_at, 0.0))


def as_pacer(link: Shape | Pacer | None) -> Pacer | None:
    """A pacer as it is, which senders then share; a new one for a shape."""
    return Pacer(link) if isinstance(link, Shape) else link
