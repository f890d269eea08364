"""Servers are reached before a run begins. A server that is not there, or refuses, is most likely not the one that the user meant.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from runner.client.server_connection import ServerConnection
from runner.errors import Unreachable
from runner.wire.timeouts import Timeouts

ATTEMPTS = 5
"""How often a server that never answered is tried."""


def reach_all(connections: Sequence[ServerConnection | None], done: Literal["is_asked", "is_open"], timeouts: Timeouts,
              may_fail: bool) -> None:  # fmt: skip
    """Reach every connection that is not None, as `reach` does."""
    for connection in connections:
        if connection is not None:
            reach(connection, done, timeouts, may_fail)


def reach(connection: ServerConnection, done: Literal["is_asked", "is_open"], timeouts: Timeouts, may_fail: bool) -> None:
    """Wait until the connection is `done`: the server was asked to build its part, or is ready.

    If it `may_fail` and the server has answered at all, this returns after `timeouts.result_s` in any case. Raises RunnerError if
    the server is not there or refuses.
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
