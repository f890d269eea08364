"""How long the edge waits for a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """How long the edge waits for a server (s): `connect_s` for the connection and the greeting, `ready_s` until the server has
    built its part, `result_s` for an image's exchange, with all its faults, `silence_s` for a sign of life. After `heartbeat_s`
    without one the edge asks for it. An image that cannot be finished at the edge waits `give_up_s` at most."""

    connect_s: float = 10.0
    ready_s: float = 300.0
    result_s: float = 30.0
    heartbeat_s: float = 2.0
    silence_s: float = 10.0
    give_up_s: float = 120.0


PATIENT = Timeouts()
