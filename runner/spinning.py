"""How long torch's threads wait awake for work.

An OpenMP thread without work spins before it sleeps: in GNU's library for 300,000 turns where nobody says otherwise, some
milliseconds in which a core is lost to everybody else. With an edge and a server on one machine, the one that has just computed
takes the core from the one that computes now: `docs/speed.md` has the figures. A thousand turns, some tens of microseconds, are
enough to go from one layer to the next without sleeping.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

VARIABLE, TURNS = "GOMP_SPINCOUNT", "1000"
_USERS = (VARIABLE, "OMP_WAIT_POLICY")
"""Whoever sets one of these has decided."""


def spin_briefly(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let the threads of this process, and of those that it starts, spin briefly; for a process's beginning, since the
    library reads the environment once, when torch is loaded.

    >>> environ = {}
    >>> spin_briefly(environ)
    >>> environ
    {'GOMP_SPINCOUNT': '1000'}
    """
    if not any(name in environ for name in _USERS):
        environ[VARIABLE] = TURNS
