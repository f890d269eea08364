"""What becomes of the way to a server, stream after stream: where it stands, why the last stream was given up, when to try again.

A lost, silent or damaged stream is given up and another one made, after a pause that doubles (with jitter: many edges must
not come back in step). The states, and what leads from one to another (TRANSITIONS; whatever else happens is a fault in this
program):

| state    | means                                                 | leads on                                        |
| -------- | ----------------------------------------------------- | ----------------------------------------------- |
| AWAY     | no stream; the next is dialled when the pause is over | DIALLED: REACHING                               |
| REACHING | a stream is being made, or the server has not greeted | WELCOMED: OPENING; LOST: AWAY; REFUSED: REFUSED |
| OPENING  | the server builds the network                         | BUILT: READY; LOST: AWAY; REFUSED: REFUSED      |
| READY    | questions go out, answers come in                     | LOST: AWAY; REFUSED: REFUSED                    |
| REFUSED  | it makes no sense to try again                        |                                                 |
| CLOSED   | this side has ended it                                |                                                 |

From every state CLOSED is one step. REFUSED is what no other attempt can mend: another version, a wrong token, an unknown
digest, a certificate that is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from runner.errors import LocalProtocolError, NotOurProtocol, PeerError, ProtocolError, RunnerError, Untrusted
from runner.wire.protocol.turns import TRANSIENT

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class State(Enum):
    """Where the way to the server stands."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and whoever waits looks into OVER again and again

    AWAY = auto()
    REACHING = auto()
    OPENING = auto()
    READY = auto()
    REFUSED = auto()
    CLOSED = auto()


class Change(Enum):
    """What leads from one state to another."""

    DIALLED = auto()
    WELCOMED = auto()
    BUILT = auto()
    LOST = auto()
    REFUSED = auto()
    CLOSED = auto()


_ENDS = {Change.LOST: State.AWAY, Change.REFUSED: State.REFUSED}
TRANSITIONS: dict[State, dict[Change, State]] = {
    State.AWAY: {Change.DIALLED: State.REACHING},
    State.REACHING: {Change.WELCOMED: State.OPENING, **_ENDS},
    State.OPENING: {Change.BUILT: State.READY, **_ENDS},
    State.READY: _ENDS.copy(),
    State.REFUSED: {},
    State.CLOSED: {},
}
for _table in TRANSITIONS.values():
    _table[Change.CLOSED] = State.CLOSED
OVER = frozenset({State.REFUSED, State.CLOSED})


@dataclass(frozen=True)
class GivenUp:
    """Why a stream was given up, as one line; the `code` that the server gave, the id of the question that it is `about`, if it is
    about one; and how long it takes (s) until the next stream, None where no other attempt can help."""

    reason: str
    code: str | None
    about: int | None
    pause_s: float | None


class Reconnecting:
    """The way to one server, stream after stream. `name` is its address, as errors show it; `random` draws the pauses.

    `state` is where it stands; `reason` is why a stream was last given up, `refused` the error that closed the way for good.
    `failures` of streams have come since the last answer, from `first_failure` to `last_failure`. `was_greeted`: a server was there
    once.
    """

    def __init__(self, name: str, random: Random) -> None:
        self.name, self._random = name, random
        self._strange: str | None = None
        self._again_at = 0.0
        self.state = State.AWAY
        self.was_greeted = False
        self.reason: str | None = None
        self.refused: RunnerError | None = None
        self.failures = 0
        self.first_failure: RunnerError | None = None
        self.last_failure: RunnerError | None = None

    @property
    def is_strange(self) -> bool:
        """Whether what is there did not speak this protocol: the same once more closes the way for good."""
        return self._strange is not None

    def _move(self, change: Change) -> None:
        after = TRANSITIONS[self.state].get(change)
        if after is None:
            raise LocalProtocolError(f"{self.name}: a connection in state {self.state.name} cannot be {change.name}")
        self.state = after

    def _note_interrupted(self) -> None:
        """A stream was left while something went on over it: it is lost, if there is one."""
        if Change.LOST in TRANSITIONS[self.state]:
            self._move(Change.LOST)

    def _note_answered(self) -> None:
        """An answer has come: what failed before is forgotten."""
        self.failures, self.first_failure, self._strange = 0, None, None

    def _note_given_up(self, error: RunnerError | ProtocolError, now: float) -> GivenUp:
        """The stream is of no use any more; another one is tried later, unless that cannot help."""
        broke = "" if isinstance(error, NotOurProtocol) else "the server broke the protocol: "
        failure = error if isinstance(error, RunnerError) else RunnerError(self.name, f"{broke}{error}")
        self.reason, self.first_failure, self.last_failure = str(failure), self.first_failure or failure, failure
        code, about = (error.code, error.request) if isinstance(error, PeerError) else (None, None)
        is_final = about is None and self._is_final(error)
        self._move(Change.REFUSED if is_final else Change.LOST)
        if is_final:
            self.refused = failure
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self.failures, 16), LONGEST_PAUSE_S) * self._random.uniform(0.5, 1.0)
        self.failures += 1
        self._again_at = now + pause_s
        return GivenUp(self.reason, code, about, None if is_final else pause_s)

    def _is_final(self, error: RunnerError | ProtocolError) -> bool:
        if isinstance(error, NotOurProtocol):  # twice the same is no damage on the way
            before, self._strange = self._strange, str(error)
            return before == self._strange
        if isinstance(error, PeerError):
            return error.code not in TRANSIENT
        return isinstance(error, Untrusted)
