"""Exchanges of several sizes with a server, in mixed order, within limits of time and of bytes.

First there are empty exchanges. Then each is four times as large as the one before, until its time is clearly more than noise. Two
exchanges of this size must take so long, because on a busy machine any exchange may be delayed.

Then there are rounds. A round has the SHARES of a largest size, in random order. Evenly spread sizes give the most precise line.
The random order keeps a change of the link from looking like an effect of the size. The largest size grows from round to round, as
long as the exchanges so far show that it is small for the link.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from statistics import median

from lmos_opt.units import counted
from runner.client.probe_client import ProbeClient
from runner.errors import PeerTooSlow, RunnerError
from runner.lab.probing.fit import LEAST_EXCHANGES, LinkFit, ProbeTime, fit_link
from runner.wire.protocol.turns import LARGEST_PROBE_BYTES

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_EMPTY = 3
_FIRST_BYTES, _GROWTH = 1024, 4
_TELLING_S = 0.02
"""An exchange whose bytes take this long, and a quarter of an empty one, shows the link's rate approximately."""
_LONGEST_S = 0.1
"""The time (s) that the bytes of the largest exchange should take, unless an empty exchange takes longer."""
_SURE = 2
"""The number of exchanges of one size that must all take this long, because a single one may have been delayed."""
_ROUNDS = 6
"""The number of rounds for which time and bytes should be enough: this share of either bounds the largest exchange."""
_ENOUGH_ROUNDS, _CERTAIN = 5, 0.01
"""After so many rounds no more follow, if the interval of the rate reaches less than this share of the rate to either side."""
_GRACE_S = 2.0
"""The time (s) that an exchange may take beyond the budget, because the link may have become slower."""


@dataclass(frozen=True)
class Budget:
    """The limits of a measurement: its time (s), and the bytes that it sends."""

    seconds: float = 5.0
    volume_bytes: int = 32_000_000


class _Spent(Exception):
    """The next exchange would be beyond the budget."""


class _Prober:
    def __init__(self, remote: ProbeClient, budget: Budget) -> None:
        self._remote, self._left_bytes = remote, budget.volume_bytes
        self._end = remote.now() + budget.seconds
        self.found: list[ProbeTime] = []
        self.rate = inf

    @property
    def base_s(self) -> float:
        """The time of an empty exchange (s)."""
        return median(one.seconds for one in self.found if one.n_bytes == 0)

    def left_s(self) -> float:
        return self._end - self._remote.now()

    def largest_bytes(self) -> int:
        """The largest size of a round: _ROUNDS rounds fit into the rest of the budget, and its bytes take just long enough."""
        share_s = (self.left_s() / _ROUNDS - len(SHARES) * self.base_s) / sum(SHARES)
        seconds = min(max(share_s, self.base_s, _TELLING_S), max(_LONGEST_S, self.base_s))
        return int(min(self.rate * seconds, LARGEST_PROBE_BYTES, self._left_bytes / _ROUNDS / sum(SHARES)))

    def exchange(self, n_bytes: int) -> ProbeTime:
        """One exchange. _Spent if it would exceed the budget, or has exceeded it."""
        expected_s = n_bytes / self.rate + (self.base_s if self.found else 0.0)
        if n_bytes > self._left_bytes or expected_s > self.left_s():
            raise _Spent
        try:
            seconds, t_server_s = self._remote.probe(n_bytes, 0, max(self.left_s(), 0.0) + _GRACE_S)
        except PeerTooSlow:
            if len(self.found) < LEAST_EXCHANGES:
                raise
            raise _Spent from None
        self._left_bytes -= n_bytes
        self.found.append(ProbeTime(n_bytes, max(seconds - t_server_s, 0.0)))
        return self.found[-1]

    def grow(self) -> None:
        """Send larger and larger exchanges, until one shows the rate."""
        n_bytes = _FIRST_BYTES
        while True:
            telling_s, bytes_s = max(_TELLING_S, self.base_s / _GROWTH), inf
            for _ in range(_SURE):
                bytes_s = min(bytes_s, max(self.exchange(n_bytes).seconds - self.base_s, 1e-9))
                self.rate = n_bytes / bytes_s
                if bytes_s < telling_s:
                    break
            n_bytes *= _GROWTH
            if bytes_s >= telling_s or n_bytes > self.largest_bytes():
                return

    def fit(self) -> LinkFit | None:
        """The line so far; None if times do not grow with bytes yet."""
        try:
            return fit_link(self.found)
        except RunnerError:
            return None


def measure(remote: ProbeClient, budget: Budget, seed: int = 0, tell: Callable[[int], None] = lambda n: None) -> list[ProbeTime]:
    """The exchanges with the server of `remote`. `tell` is called with their number after each round.

    RunnerError if the server cannot be reached, or if the budget is too small for LEAST_EXCHANGES.
    """
    order, prober = random.Random(seed), _Prober(remote, budget)
    try:
        for _ in range(_EMPTY):
            prober.exchange(0)
        prober.grow()
        largest, rounds = prober.largest_bytes(), 0
        fit: LinkFit | None = None
        while rounds < _ENOUGH_ROUNDS or fit is None or not fit.is_within(_CERTAIN):
            for share in order.sample(SHARES, len(SHARES)):
                prober.exchange(int(share * largest))
            rounds, fit = rounds + 1, prober.fit()
            tell(len(prober.found))
            prober.rate = inf if fit is None else fit.bandwidth_bytes_per_s
            largest = max(largest, min(prober.largest_bytes(), _GROWTH * largest))
    except _Spent:
        pass
    if len(prober.found) < LEAST_EXCHANGES:
        raise RunnerError(remote.name, f"{counted(len(prober.found), 'exchange')} fitted into {budget.seconds:g} s and "
                                       f"{budget.volume_bytes} bytes; it takes {LEAST_EXCHANGES}: give --budget or --volume more")
    return prober.found
