"""What a channel has to send: messages in order, taken apart into buffers only as they can leave."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

TOGETHER_BYTES = 2**18
"""Buffers are sent together up to about this many bytes."""
_MOST_PARTS = 64  # buffers for one sendmsg; the system allows 1024


class Outbox:
    """True while something is to be sent."""

    def __init__(self) -> None:
        self._first: list[memoryview] = []
        self._first_bytes = 0
        self._later: deque[Iterator[bytes | memoryview]] = deque()

    def __bool__(self) -> bool:
        return bool(self._first or self._later)

    def put(self, parts: Iterable[bytes | memoryview]) -> None:
        """A message's buffers, behind those of earlier ones. They must stay as they are until they are sent."""
        self._later.append(iter(parts))

    def first(self) -> list[memoryview]:
        """The buffers to send next, none of them empty; an empty list when all is sent."""
        if not self._first:
            while self._later:
                for part in self._later[0]:
                    if part:
                        view = memoryview(part)
                        self._first.append(view)
                        self._first_bytes += view.nbytes
                        if self._first_bytes >= TOGETHER_BYTES or len(self._first) == _MOST_PARTS:
                            return self._first
                self._later.popleft()
        return self._first

    def sent(self, n_bytes: int) -> None:
        """So many bytes of the first buffers have left."""
        self._first_bytes -= n_bytes
        if not self._first_bytes:
            self._first = []
            return
        k = 0
        while n_bytes and n_bytes >= self._first[k].nbytes:
            n_bytes -= self._first[k].nbytes
            k += 1
        self._first = self._first[k:]
        if n_bytes:
            self._first[0] = self._first[0][n_bytes:]


def beginning(parts: list[memoryview], n_bytes: int) -> list[memoryview]:
    """The first n bytes of the parts."""
    found = []
    for part in parts:
        if n_bytes <= 0:
            break
        found.append(part[:n_bytes])
        n_bytes -= found[-1].nbytes
    return found
