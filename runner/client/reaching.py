"""Reach servers before a run begins. A server that is not there, or refuses, is most likely not the one that the user meant."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from runner.client.server_connection import ServerConnection
from runner.errors import Unreachable
from runner.wire.timeouts import Timeouts

ATTEMPTS = 5
"""How often a server that never greeted is tried before it is given up."""


def reach_all(connections: Sequence[ServerConnection | None], done: Literal["is_asked", "is_open"], timeouts: Timeouts,
              may_fail: bool) -> None:  # fmt: skip
    """Reach every connection that is not None, as `reach` does."""
    for connection in connections:
        if connection is not None:
            reach(connection, done, timeouts, may_fail)


def reach(connection: ServerConnection, done: Literal["is_asked", "is_open"], timeouts: Timeouts, may_fail: bool) -> None:
    """Return when the connection is `done` (asked, or open). If it `may_fail` and the server did greet, return after `result_s`
    also without it.

    Raises if the server is not there or refuses: at this time it is most likely not the server that the user meant.
    """
    end = time.monotonic() + timeouts.result_s
    while not getattr(connection, done):
        connection.step(timeouts.heartbeat_s)
        if connection.refused is not None:
            raise connection.refused
        failure = connection.first_failure
        if failure is None or connection.is_asked:
            continue
        if not connection.was_greeted and (connection.failures >= ATTEMPTS or isinstance(connection.last_failure, Unreachable)):
            raise failure
        if time.monotonic() > end:
            if may_fail and connection.was_greeted:
                return
            raise failure
