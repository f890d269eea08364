"""What ends a process may come at any time; what was made on this machine is to be gone all the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from lmos_opt.processes.signals import handled

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Those that would end the process, and are held back; but for the first one inside `heeded`."""

    def __init__(self) -> None:
        self.came = self._are_heeded = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """The first one that comes inside the block, or came before, raises KeyboardInterrupt there: for what may take long, and
        leaves nothing behind."""
        self._are_heeded = True
        try:
            if self.came:
                raise KeyboardInterrupt
            yield
        finally:
            self._are_heeded = False

    def note(self, number: int, frame: object) -> None:
        """One came."""
        self.came = True
        if self._are_heeded:
            self._are_heeded = False
            raise KeyboardInterrupt


@contextmanager
def held_signals() -> Iterator[Signals]:
    """SIGTERM, SIGINT and SIGHUP (those that were not ignored before) end nothing inside the block, however many come, but what it
    says itself (`Signals.heeded`); where one came, the block ends in KeyboardInterrupt. In the main thread alone."""
    signals = Signals()
    with handled([number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN], signals.note):
        yield signals
    if signals.came:
        raise KeyboardInterrupt
