"""Servers are reached before a run begins: a server that is not there, or refuses, is most likely not the one that the user
meant."""

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
    """Return when the server has come so far, or, if it `may_fail` and did greet, without it after `result_s`.

    Before anything is done, a server that is not there or refuses is most likely not the one that was meant.
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
