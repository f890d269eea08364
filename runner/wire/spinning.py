"""How long torch's threads wait awake for work.

An OpenMP thread without work spins before it sleeps: in GNU's library for 300,000 turns where nobody says otherwise, some
milliseconds in which a core is lost to everybody else. While one layer follows another that is what makes them fast, and a
tenth of the turns is enough for it. Where edge and server are one machine, what spins there takes a core from the other side.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from lmos_opt.errors import InputError
from runner.wire.connecting import is_loopback, parse_address

VARIABLE, TURNS = "GOMP_SPINCOUNT", "30000"
_USERS = (VARIABLE, "OMP_WAIT_POLICY")
"""Whoever sets one of these has decided."""


def shares_cores(address: str) -> bool:
    """Whether who talks with, or listens at, an address (`HOST:PORT`) does so with this machine alone: the other side works on
    the same cores. An address that is none is nobody's.

    >>> shares_cores("127.0.0.1:7070"), shares_cores("192.0.2.1:7070"), shares_cores("nowhere")
    (True, False, False)
    """
    try:
        host, _ = parse_address(address)
    except InputError:
        return False
    return is_loopback(host)


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
