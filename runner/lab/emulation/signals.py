"""Hold signals that end a process, so that what it has made on this machine is removed before it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from lmos_opt.processes.signals import handled

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Signals that would end the process, and are held back, except the first one inside `heeded`."""

    def __init__(self) -> None:
        self.came = self._are_heeded = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """A block in which the first signal (also one that came before) raises KeyboardInterrupt.

        It is for work that may take long and leaves nothing behind.
        """
        self._are_heeded = True
        try:
            if self.came:
                raise KeyboardInterrupt
            yield
        finally:
            self._are_heeded = False

    def note(self, number: int, frame: object) -> None:
        """Handle a signal."""
        self.came = True
        if self._are_heeded:
            self._are_heeded = False
            raise KeyboardInterrupt


@contextmanager
def held_signals() -> Iterator[Signals]:
    """A block that SIGTERM, SIGINT and SIGHUP do not end, except inside its `Signals.heeded`.

    If one of them came, KeyboardInterrupt is raised after the block. Signals that were ignored before stay ignored. Outside the
    main thread this does nothing.
    """
    signals = Signals()
    with handled([number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN], signals.note):
        yield signals
    if signals.came:
        raise KeyboardInterrupt
