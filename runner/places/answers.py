"""What the server answered lately: a question that is sent again gets the same answer, and is not computed again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from runner.faults.refusal import Refusal
from runner.wire.protocol import Span, Tensors

SESSIONS = 256
ANSWERS_A_SESSION = 16
LARGEST_KEPT_BYTES = 2**20
MOST_KEPT_BYTES = 2**26
"""What was forgotten is computed again: a tail always answers the same question in the same way."""
_MOST_COMPUTING_S = 600.0


class Took(NamedTuple):
    """The time (s) that a place's part took, and of that the codec's: undoing it, and encoding what goes on."""

    t_server_s: float
    t_decode_s: float = 0.0
    t_encode_s: float = 0.0


@dataclass(frozen=True)
class Stored:
    """An answer: its tensors' headers, their bytes, what computing them took, what the places beyond took, and of a text how many
    tokens are held."""

    tensors: Tensors
    payload: bytes
    took: Took
    beyond: tuple[Span, ...] = ()
    held: int | None = None


@dataclass
class _Entry:
    seal: tuple[int, int]
    answer: Stored | None = None


class Responder:
    """The last answers of the last sessions, of MOST_KEPT_BYTES together.

    A session's id is known to its edge alone, so nobody gets the answers of others.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, OrderedDict[int, _Entry]] = OrderedDict()
        self._changing = threading.RLock()
        self._changed = threading.Condition(self._changing)
        self._bytes = 0

    def claim(self, session: str, number: int, seal: tuple[int, int]) -> Stored | None:
        """The answer to a question that came before; None if the caller is to compute it, and then to `keep` it.

        Waits where another connection of the session is computing it just now. `seal` are the question's checksums:
        Refusal where the id was another question's.
        """
        with self._changing:
            entries = self._sessions.setdefault(session, OrderedDict())
            self._sessions.move_to_end(session)
            while len(self._sessions) > SESSIONS:
                self._forget_oldest()
            if (entry := entries.get(number)) is not None and entry.seal != seal:
                raise Refusal("tensors", f"the id {number} belongs to another image of this session")
            if entry is not None:
                self._changed.wait_for(lambda: number not in entries or entries[number].answer is not None, _MOST_COMPUTING_S)
                if (entry := entries.get(number)) is not None and entry.answer is not None:
                    return entry.answer
            entries[number] = _Entry(seal)
            return None

    def keep(self, session: str, number: int, answer: Stored | None) -> None:
        """The claimed answer; None if there is none, so that it may be claimed again."""
        with self._changed:
            entries = self._sessions.get(session, OrderedDict())
            if answer is None:
                entries.pop(number, None)
            elif number in entries:
                entries[number].answer = answer
                self._bytes += len(answer.payload)
                if len(entries) > ANSWERS_A_SESSION:
                    self._bytes -= _size(entries.popitem(last=False)[1])
                while self._bytes > MOST_KEPT_BYTES:
                    self._forget_oldest()
            self._changed.notify_all()

    def _forget_oldest(self) -> None:
        self._bytes -= sum(map(_size, self._sessions.popitem(last=False)[1].values()))


def _size(entry: _Entry) -> int:
    return 0 if entry.answer is None else len(entry.answer.payload)
