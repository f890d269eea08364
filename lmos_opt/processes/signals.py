"""What signals do for a while, and what is done in one piece, whenever one comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handled(numbers: Iterable[int], handler: Handler | signal.Handlers, *, once: bool = False) -> Iterator[None]:
    """These signals reach `handler` inside the block, and the handlers that they had after it; with `once`, only the first that
    comes does, and each one after it reaches the handlers that there were.

    Only the main thread is interrupted by handlers, so elsewhere this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, found in before.items():
            if found is not None:  # not one of Python's
                signal.signal(number, found)

    def first(number: int, frame: FrameType | None) -> None:
        restore()
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, first if once else handler)
    try:
        yield
    finally:
        restore()


class Held:
    """The signals that came inside a block of `in_one_piece`."""

    def __init__(self, handlers: Mapping[int, Handler]) -> None:
        self._handlers = handlers
        self._waiting: list[int] = []
        self._came = self._passes = False

    @property
    def came(self) -> bool:
        """Whether a signal came so far, also one that was let through; one that waits still does."""
        return self._came

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """The first signal that comes inside this part of the block, or waits, reaches its handler at once; the next one waits."""
        try:
            self._passes = True
            if self._waiting:
                signal.raise_signal(self._waiting.pop())
            yield
        finally:
            self._passes = False

    def take(self) -> bool:
        """Whether a signal came so far, also one that was let through; one that waits then reaches nobody."""
        self._waiting.clear()
        return self._came

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self._came = True
        if self._passes:
            self._passes = False
            self._handlers[number](number, frame)
            return
        self._waiting.append(number)
        if len(self._waiting) > 1:
            self._handlers[number](number, frame)

    def end(self) -> None:
        """Raise the signal that waits; not where there were more, of which the later ones were handled."""
        if len(self._waiting) == 1:
            signal.raise_signal(self._waiting[0])


@contextmanager
def in_one_piece() -> Iterator[Held]:
    """The first SIGINT or SIGTERM that comes inside the block reaches its handler after the block, a second one at once.

    Signals without a handler in Python keep what they do. Only the main thread is interrupted by handlers, so elsewhere this
    changes nothing.
    """
    handlers: dict[int, Handler] = {
        number: handler for number in (signal.SIGINT, signal.SIGTERM) if callable(handler := signal.getsignal(number))
    }
    held = Held(handlers)
    try:
        with handled(handlers, held.note):
            yield held
    finally:
        held.end()
