"""An event, and the observers that are called with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

_SHOWN = 8
"""Digits of a digest or a session that are shown: enough to tell them apart, while the session's id stays secret."""
_log = logging.getLogger("lmos.events")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened `at` (`time.perf_counter`, s). Every value is a string, a number, a flag or None.

    `name` is its name in files and logs, `side` where it happened (`edge`, `server` or `command`), `level` its level in a log.
    """

    name: ClassVar[str]
    side: ClassVar[str] = "edge"
    at: float = field(default_factory=time.perf_counter)

    @property
    def level(self) -> int:
        """One of the levels of the standard library's `logging`; INFO unless an event says otherwise."""
        return logging.INFO

    @property
    def text(self) -> str:
        """One line for people."""
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """The event's values by name, without `at` and without values that are None."""
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "at"}
        return {name: value for name, value in found.items() if value is not None}
Observer = Callable[[Event], None]


class Events:
    """Calls every observer with each event, in the observers' order."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def tell(self, event: Event) -> None:
        """Call every observer with the event. An observer that raises is logged and not called again."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - whoever watches must not end what is watched
                self._observers = tuple(each for each in self._observers if each is not observer)
                _log.exception("this observer failed, and is told nothing more")
NOBODY = Events()


def shown(secret: str) -> str:
    """The beginning of a digest (without its kind) or of a session's id."""
    return secret.rpartition(":")[2][:_SHOWN]
