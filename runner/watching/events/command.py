"""Events of a command."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from runner.watching.events.base import Event


class _OfCommand(Event):
    side = "command"


@dataclass(frozen=True, kw_only=True)
class MetricsShown(_OfCommand):
    """Metrics can be read at a URL."""

    name = "metrics_shown"
    url: str

    @property
    def text(self) -> str:
        """The address at which metrics can be read."""
        return f"metrics at {self.url}"


@dataclass(frozen=True, kw_only=True)
class CommandFailed(_OfCommand):
    """A command ends with an error; this is the last event in its log. `exit_code` is the command's."""

    name = "command_failed"
    reason: str
    exit_code: int

    @property
    def level(self) -> int:
        """ERROR: the command has ended."""
        return logging.ERROR

    @property
    def text(self) -> str:
        """The reason, as on standard error."""
        return self.reason
