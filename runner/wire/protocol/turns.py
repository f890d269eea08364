"""Who may say what when, and what answers what: by frame types, so that it holds for whatever keeps messages.

The edge speaks first. TRANSITIONS is the whole protocol; docs/protocol.md draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Literal

from runner.wire.protocol.frames import FrameType

LARGEST_PROBE_BYTES = 2**22
MOST_UNANSWERED = 64
"""So many INFER may wait for their RESULT at once, at most."""
MOST_PLACES = 16
ALIGNMENT = 64
"""Where a tensor may begin in a payload, and a payload in memory: kernels may add in another order where memory is aligned
otherwise, and 64 is what torch's own allocations have."""

ErrorCode = Literal["protocol", "token", "busy", "idle", "stopping", "next", "refused", "digest", "split", "tensors", "failed"]
TRANSIENT: frozenset[ErrorCode] = frozenset({"protocol", "busy", "idle", "stopping", "next"})
"""After these it makes sense to try again: the bytes came damaged, the server has no time now, or the place after it is away."""


def asked(later_layers: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    """The later places of a plan, as OPEN has them: up to the last one at which a layer runs. Nothing passes the hops behind it."""
    end = max((k for k, layers in enumerate(later_layers, 1) if layers), default=0)
    return later_layers[:end]


class Role(Enum):
    """The two sides."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and each message looks into tables of them

    EDGE = auto()
    SERVER = auto()


class State(Enum):
    """Where the conversation stands; both sides come to the same."""

    __hash__ = object.__hash__

    START = auto()
    GREETED = auto()
    IDLE = auto()
    OPENING = auto()
    READY = auto()
    CLOSED = auto()


ANSWERS = {FrameType.RESULT: FrameType.INFER, FrameType.PONG: FrameType.PING, FrameType.ECHO: FrameType.PROBE,
           FrameType.MEASURED: FrameType.MEASURE}  # fmt: skip
"""Each answer bears the id of the question that it answers."""
QUESTIONS = frozenset(ANSWERS.values())

TRANSITIONS: dict[State, dict[tuple[Role, FrameType], State]] = {
    State.START: {(Role.EDGE, FrameType.HELLO): State.GREETED},
    State.GREETED: {(Role.SERVER, FrameType.WELCOME): State.IDLE},
    State.IDLE: {(Role.EDGE, FrameType.OPEN): State.OPENING, (Role.EDGE, FrameType.MEASURE): State.IDLE},
    State.OPENING: {(Role.SERVER, FrameType.READY): State.READY},
    State.READY: {(Role.EDGE, FrameType.INFER): State.READY, (Role.SERVER, FrameType.RESULT): State.READY},
    State.CLOSED: {},
}
for _state, _table in TRANSITIONS.items():
    if _state is not State.CLOSED:  # the server may give up at any time
        _table[Role.SERVER, FrameType.ERROR] = State.CLOSED
    if _state in {State.IDLE, State.OPENING, State.READY}:
        _table[Role.EDGE, FrameType.BYE] = State.CLOSED
        _table[Role.SERVER, FrameType.MEASURED] = _state
        for _answer in (FrameType.PONG, FrameType.ECHO):
            _table[Role.EDGE, ANSWERS[_answer]] = _table[Role.SERVER, _answer] = _state

MOST_HEADER_BYTES = {**dict.fromkeys(FrameType, 2**20), FrameType.HELLO: 2**12, FrameType.WELCOME: 2**12,
                     **dict.fromkeys((FrameType.PING, FrameType.PONG, FrameType.PROBE, FrameType.ECHO), 2**8)}  # fmt: skip
"""How long the header of a frame may be."""
