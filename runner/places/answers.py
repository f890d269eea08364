"""The last answers of the server. A question that is sent again gets the same answer, and is not computed again."""

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
"""The most bytes of all kept answers. A forgotten one is computed again, with the same result."""
_MOST_COMPUTING_S = 600.0


class Asker(NamedTuple):
    """Who asks: a session, and a digest of its OPEN. After another OPEN of the session, its questions are other ones, even with the
    same ids."""

    session: str
    plan: str = ""

    @classmethod
    def of(cls, request: Open) -> Self:
        """The asker that sent this OPEN."""
        return cls(request.session, hashlib.sha256(request.model_dump_json(exclude={"session"}).encode()).hexdigest())


class Took(NamedTuple):
    """The time (s) of a place's part, and of that the time for decoding what came and for encoding what goes on."""

    t_server_s: float
    t_decode_s: float = 0.0
    t_encode_s: float = 0.0


@dataclass(frozen=True)
class Stored:
    """An answer: the headers of its tensors, their bytes, the times here and at the places `beyond`.

    For a text, `held` is the number of its tokens that are kept here; None otherwise.
    """

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
    """The last answers of the last askers, at most MOST_KEPT_BYTES together.

    Only an edge knows the id of its session, so nobody else gets its answers. A question that is being computed is not forgotten:
    whoever asks it again waits for its answer.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, OrderedDict[int, _Entry]] = OrderedDict()
        self._computing: dict[tuple[Hashable, int], _Entry] = {}
        self._changing = threading.RLock()
        self._changed = threading.Condition(self._changing)
        self._bytes = 0

    def claim(self, asker: Hashable, number: int, seal: tuple[int, int]) -> Stored | None:
        """The answer to a question that came before. None if the question is new: the caller then computes it, and must call
        `keep`.

        If another connection of the asker is computing the answer, this waits for it. `seal` holds the question's checksums. Raises
        Refusal if another question had the same id.
        """
        deadline: float | None = None
        with self._changing:
            while (entry := self._known(asker, number)) is not None:
                if entry.seal != seal:
                    raise Refusal("tensors", f"the id {number} belongs to another image of this session")
                if entry.answer is not None:
                    return entry.answer
                deadline = deadline or time.monotonic() + _MOST_COMPUTING_S
                if not self._changed.wait(deadline - time.monotonic()):
                    break
            self._computing[asker, number] = _Entry(seal)
            return None

    def keep(self, asker: Hashable, number: int, answer: Stored | None) -> None:
        """Keep the answer to a claimed question. None: there is no answer, and the question may be claimed again."""
        with self._changing:
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
