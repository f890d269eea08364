"""How long torch's threads wait awake for work.

An OpenMP thread without work spins before it sleeps: in GNU's library for 300,000 turns where nobody says otherwise, some
milliseconds in which a core is lost to everybody else. With an edge and a server on one machine, the one that has just computed
takes the core from the one that computes now: `docs/speed.md` has the figures.

Too few turns are worse where a side waits for the other: a thread that falls asleep between two layers is often woken on the
core of the one that waits for it. Measured on 2 cores, ResNet-18 cut in its middle, no thread counts set: pipelined over
loopback, 24 images/s with 300,000 turns, 31 with 30,000, 42 with 1,000; one by one over 40 Mbit/s, the head took 10.6, 9.1 and
18.9 ms, the tail 10.3, 10.4 and 19.9 ms. 30,000 turns, about half a millisecond, lose nothing on a link.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

VARIABLE, TURNS = "GOMP_SPINCOUNT", "30000"
_USERS = (VARIABLE, "OMP_WAIT_POLICY")
"""Whoever sets one of these has decided."""


def spin_briefly(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let the threads of this process, and of those that it starts, spin briefly; for a process's beginning, since the
    library reads the environment once, when torch is loaded.

    >>> environ = {}
    >>> spin_briefly(environ)
    >>> environ
    {'GOMP_SPINCOUNT': '30000'}
    """
    if not any(name in environ for name in _USERS):
        environ[VARIABLE] = TURNS
