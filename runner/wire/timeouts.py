"""How long a server is waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds that the server has: to be reached and to greet, to be ready (building a large network takes a while),
    for an image's exchange with everything that goes wrong in it, and for a sign of life (asked for after `heartbeat_s`
    without one). Without another server to turn to, images wait `give_up_s` at most."""

    connect_s: float = 10.0
    ready_s: float = 300.0
    result_s: float = 30.0
    heartbeat_s: float = 2.0
    silence_s: float = 10.0
    give_up_s: float = 120.0


PATIENT = Timeouts()
