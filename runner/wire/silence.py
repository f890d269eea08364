"""How long a server may say nothing: until it has greeted, until it has built its part, and between signs of life."""

from __future__ import annotations

import math
from typing import Any

from runner.errors import PeerTooSlow
from runner.wire.protocol.side import OneSide
from runner.wire.protocol.turns import State
from runner.wire.stream import Clock
from runner.wire.timeouts import Timeouts

_SIGNS_OF_LIFE = 3
"""A conversation that has nothing to ask says so this often before the server would take it for gone."""
_PINGED_IN = frozenset({State.IDLE, State.OPENING, State.READY})


class Silence:
    """One conversation's silence; `name` is the server's, as errors show it.

    `idle_s` is how long the server itself waits for a sign of life: it says so when it greets.
    """

    def __init__(self, name: str, timeouts: Timeouts, clock: Clock) -> None:
        self._name, self._timeouts, self._clock = name, timeouts, clock
        self.idle_s = math.inf
        self._since = self._listened_at = clock.now()
        self._due = self._listened_at + timeouts.connect_s
        self._pings = 0

    def note_asked(self) -> None:
        """A question goes out: from now on something is expected."""
        self._since = self._clock.now()

    def note_opening(self) -> None:
        """The server is asked to build its part."""
        self._due = self._clock.now() + self._timeouts.ready_s

    def begin_listening(self) -> None:
        """Somebody listens now. If nobody did for a while, what was silence before is none."""
        now = self._clock.now()
        if now - self._listened_at > self._timeouts.heartbeat_s:
            self._since = now

    def end_listening(self) -> None:
        """Nobody listens from now on."""
        self._listened_at = self._clock.now()

    def check(self, side: OneSide[Any, Any], moved_at: float, is_sending: bool) -> int | None:
        """The id of a PING that should be sent now, if one should; bytes last came or went at `moved_at`.

        Raises PeerTooSlow where the server has been silent for too long.
        """
        now, limits = self._clock.now(), self._timeouts
        if side.state in {State.START, State.GREETED, State.OPENING} and now > self._due:
            is_building = side.state is State.OPENING
            what, seconds = ("is not ready", limits.ready_s) if is_building else ("did not greet", limits.connect_s)
            raise PeerTooSlow(self._name, f"the peer sent nothing for {seconds:g} s: it {what}")
        if not side.waiting and side.state is not State.OPENING:
            self._since = now
        quiet_s = now - max(self._since, moved_at)
        if quiet_s > limits.silence_s:
            raise PeerTooSlow(self._name, f"no sign of life for {limits.silence_s:g} s")
        is_quiet = quiet_s > limits.heartbeat_s or now - moved_at > self.idle_s / _SIGNS_OF_LIFE
        if not is_quiet or side.state not in _PINGED_IN or side.pinged or is_sending:
            return None
        self._pings += 1
        return self._pings
