"""What the server answered lately: a question that is sent again gets the same answer, and is not computed again."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple, Self

from runner.faults.refusal import Refusal
from runner.wire.protocol import Open, Span, Tensors

SESSIONS = 256
ANSWERS_A_SESSION = 16
LARGEST_KEPT_BYTES = 2**20
MOST_KEPT_BYTES = 2**26
"""What was forgotten is computed again: a tail always answers the same question in the same way."""
_MOST_COMPUTING_S = 600.0


class Asker(NamedTuple):
    """A session, and a digest of all that it asked for: its questions about another plan are others, whatever their ids are."""

    session: str
    plan: str = ""

    @classmethod
    def of(cls, request: Open) -> Self:
        """Who sent this OPEN."""
        return cls(request.session, hashlib.sha256(request.model_dump_json(exclude={"session"}).encode()).hexdigest())


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
    """The last answers of the last askers, of MOST_KEPT_BYTES together.

    A session's id is known to its edge alone, so nobody gets the answers of others. A question that is being computed is not
    forgotten meanwhile: who asks it again waits for its answer.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, OrderedDict[int, _Entry]] = OrderedDict()
        self._computing: dict[tuple[Hashable, int], _Entry] = {}
        self._changing = threading.RLock()
        self._changed = threading.Condition(self._changing)
        self._bytes = 0

    def claim(self, asker: Hashable, number: int, seal: tuple[int, int]) -> Stored | None:
        """The answer to a question that came before; None if the caller is to compute it, and then to `keep` it.

        Waits where another connection of the asker is computing it just now. `seal` are the question's checksums:
        Refusal where the id was another question's.
        """
        deadline = time.monotonic() + _MOST_COMPUTING_S
        with self._changed:
            while (entry := self._known(asker, number)) is not None:
                if entry.seal != seal:
                    raise Refusal("tensors", f"the id {number} belongs to another image of this session")
                if entry.answer is not None:
                    return entry.answer
                if not self._changed.wait(deadline - time.monotonic()):
                    break
            self._computing[asker, number] = _Entry(seal)
            return None

    def keep(self, asker: Hashable, number: int, answer: Stored | None) -> None:
        """The claimed answer; None if there is none, so that it may be claimed again."""
        with self._changed:
            entry = self._computing.pop((asker, number), None)
            if entry is not None and answer is not None:
                entry.answer = answer
                self._store(asker, number, entry)
            self._changed.notify_all()

    def _known(self, asker: Hashable, number: int) -> _Entry | None:
        """What there is of a question; its asker is then the last to be forgotten."""
        if (entries := self._kept.get(asker)) is not None:
            self._kept.move_to_end(asker)
        return self._computing.get((asker, number)) or (None if entries is None else entries.get(number))

    def _store(self, asker: Hashable, number: int, entry: _Entry) -> None:
        entries = self._kept.setdefault(asker, OrderedDict())
        self._kept.move_to_end(asker)
        entries[number] = entry
        self._bytes += _size(entry)
        if len(entries) > ANSWERS_A_SESSION:
            self._bytes -= _size(entries.popitem(last=False)[1])
        while self._bytes > MOST_KEPT_BYTES or len(self._kept) > SESSIONS:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._bytes -= sum(map(_size, self._kept.popitem(last=False)[1].values()))


def _size(entry: _Entry) -> int:
    return 0 if entry.answer is None else len(entry.answer.payload)
