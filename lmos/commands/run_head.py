"""`lmos run --head`: the edge side without torch, as `lmos-edge run`."""

from __future__ import annotations

from collections.abc import Mapping

from lmos_edge import command
from lmos_edge.command import Request
from lmos_opt.errors import InputError

__all__ = ["Request", "run"]


def run(request: Request, others: Mapping[str, object]) -> None:
    """Raises what `lmos_edge.command.run` raises, and InputError for `others`, options that only the edge with torch knows."""
    given = [option for option, value in others.items() if value]
    if given:
        raise InputError(given[0], "does not go with --head, which runs without torch")
    command.run(request)
