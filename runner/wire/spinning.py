"""How long torch's threads wait awake for work.

An OpenMP thread without work spins before it sleeps: in GNU's library for 300,000 turns where nobody says otherwise, some
milliseconds in which a core is lost to everybody else. While one layer follows another that is what makes them fast. With edge
and server on one machine and no slow link between them, the head's threads take the cores from the server that receives:
12.8 MB after VGG11's first layer took 2.1 times a plain socket's time with 300,000 turns, 1.7 with 100,000, 1.3 with 30,000
(2 cores). Over a shaped link of 40 Mbit/s, 30,000 turns made the predictions of six networks 5.0 % and 3.7 % wrong in the
median of three networks each and 25 % at worst, 300,000 turns 0.7 %, 1.4 % and 13 %: so only such edges spin briefly.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from lmos_opt.errors import InputError
from runner.wire.connecting import is_loopback, parse_address

VARIABLE, TURNS = "GOMP_SPINCOUNT", "30000"
_USERS = (VARIABLE, "OMP_WAIT_POLICY")
"""Whoever sets one of these has decided."""


def shares_cores(server: str, is_shaped: bool, is_pipelined: bool) -> bool:
    """Whether an edge works while its server (`HOST:PORT`) does, on the same cores. An address that is none is nobody's.

    >>> shares_cores("127.0.0.1:7070", is_shaped=False, is_pipelined=False)
    True
    >>> shares_cores("127.0.0.1:7070", is_shaped=True, is_pipelined=False)
    False
    >>> shares_cores("192.0.2.1:7070", is_shaped=False, is_pipelined=True)
    False
    """
    try:
        host, _ = parse_address(server)
    except InputError:
        return False
    return is_loopback(host) and (is_pipelined or not is_shaped)


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
