"""Ctrl-C while a solver computes outside Python, where no handler of a signal is called until it is back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether Ctrl-C was pressed within `heeded`. A solver that asks from time to time can end by itself, and orderly."""

    def __init__(self) -> None:
        self.came = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Ctrl-C is noted. After the block the handler that was there before is called for it, so it may raise KeyboardInterrupt.

        Another thread than the main one hears of no signal, and nothing changes there, nor where Ctrl-C is ignored.
        """
        before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
        if not callable(before):
            yield
            return
        self.came = False
        signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            if self.came:
                before(signal.SIGINT, None)
