"""What signals do for a while, and what is done in one piece, whenever one comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
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


@contextmanager
def in_one_piece() -> Iterator[None]:
    """The first SIGINT or SIGTERM that comes inside the block reaches its handler after the block, a second one at once.

    Signals without a handler in Python keep what they do. Only the main thread is interrupted by handlers, so elsewhere this
    changes nothing.
    """
    handlers: dict[int, Handler] = {
        number: handler for number in (signal.SIGINT, signal.SIGTERM) if callable(handler := signal.getsignal(number))
    }
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            handlers[number](number, frame)

    try:
        with handled(handlers, note):
            yield
    finally:
        if len(came) == 1:
            signal.raise_signal(came[0])
