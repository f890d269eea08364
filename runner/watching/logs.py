"""Logs: every event as one record of the standard library's logging, as text for people or as JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, get_args

from runner.errors import one_line
from runner.watching.events import Event

LogFormat = Literal["text", "json"]
FORMATS: tuple[str, ...] = get_args(LogFormat)
LEVELS = ("debug", "info", "warning", "error")
_TEXT = "%(asctime)s %(levelname)s %(message)s"

_LOGGERS = {side: logging.getLogger(f"lmos.{side}") for side in ("edge", "server", "command")}


def log_event(event: Event) -> None:
    """An observer: the event as a record of the logger `lmos.edge` or `lmos.server`."""
    logger = _LOGGERS[event.side]
    if logger.isEnabledFor(event.level):
        logger.log(event.level, "%s", event.text, extra={"event": event})


class JsonFormatter(logging.Formatter):
    """One JSON object a record: `time` (UTC, ISO 8601), `level`, `logger`, `event`, `message`, and the event's values.

    A record that is no event has `event` "log", and `exception` where it is about one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        event = getattr(record, "event", None)
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event.name if isinstance(event, Event) else "log",
            "message": one_line(record.getMessage()),
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        if isinstance(event, Event):
            found |= event.values()
        return json.dumps(found, ensure_ascii=False, default=str)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the time: a live view on a terminal puts itself in its place."""

    @property
    def stream(self) -> TextIO:
        """Standard error as it is now, which may have been replaced since the handler was made."""
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        pass


def _log_thread(died: threading.ExceptHookArgs) -> None:
    """A fault in this program that ended a thread: one object like all others, not a traceback between them."""
    if died.exc_value is not None:
        name = "a thread" if died.thread is None else died.thread.name
        logging.getLogger("lmos").error("%s ended: %s", name, one_line(died.exc_value), exc_info=died.exc_value)


@contextmanager
def log_to_standard_error(kind: LogFormat = "text", level: str = "info") -> Iterator[None]:
    """For commands: while the block lasts, everything that this process logs goes to standard error."""
    root, handler = logging.getLogger(), _StandardError()
    handler.setFormatter(JsonFormatter() if kind == "json" else logging.Formatter(_TEXT))
    before, hook = root.level, threading.excepthook
    root.setLevel(level.upper())
    root.addHandler(handler)
    if kind == "json":
        threading.excepthook = _log_thread
    try:
        yield
    finally:
        threading.excepthook = hook
        root.removeHandler(handler)
        root.setLevel(before)
