"""torch.distributed over gloo: `send` of the tensor, `recv` into one that is there already, a byte back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter
from typing import Any

from lmos.bench.runner_peers import HOST, ExchangeTime, Opener, Peer, Session, announce, in_a_row, other_side
from lmos.bench.solvers import MissingPeer

NAME = "torch_gloo"
_PATIENCE = timedelta(minutes=30)
"""Longer than the turns of all other peers between two of its own, on any machine."""
_GOES_ON, _LAST = 0, 1
"""A message's first byte."""


def _join(port: int, rank: int, store: Any = None) -> Any:
    """Both processes as one group, apart from what this process may have of its own."""
    import torch

    distributed: Any = torch.distributed
    store = store or distributed.TCPStore(HOST, port, is_master=False, timeout=_PATIENCE)
    options = distributed.ProcessGroupGloo._Options()
    options._devices = [distributed.ProcessGroupGloo.create_device(hostname=HOST)]
    options._timeout = _PATIENCE
    return distributed.ProcessGroupGloo(store, rank, 2, options)


@contextmanager
def _start() -> Iterator[Opener]:
    import torch

    distributed: Any = torch.distributed
    if not (distributed.is_available() and distributed.is_gloo_available()):
        raise MissingPeer(NAME, "this torch was built without it")
    store = distributed.TCPStore(HOST, 0, is_master=True, wait_for_workers=False, timeout=_PATIENCE)
    with other_side(NAME, [str(store.port)]):
        group = _join(store.port, 0, store)
        size, heard = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.uint8)

        @contextmanager
        def connect(n_bytes: int) -> Iterator[Session]:
            payload = torch.zeros(n_bytes, dtype=torch.uint8)
            group.send([size.fill_(n_bytes)], 1, 0).wait()

            def exchange() -> ExchangeTime:
                begin = perf_counter()
                group.send([payload], 1, 0).wait()
                group.recv([heard], 1, 0).wait()
                return ExchangeTime(perf_counter() - begin)

            yield in_a_row(exchange)
            payload[0] = _LAST
            exchange()

        yield connect


def _acknowledge(port: int) -> None:
    import torch

    announce(port)
    group = _join(port, 1)
    size, heard = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.uint8)
    while True:
        group.recv([size], 0, 0).wait()
        space = torch.zeros(int(size), dtype=torch.uint8)
        first = _GOES_ON
        while first == _GOES_ON:
            group.recv([space], 0, 0).wait()
            first = int(space[0])
            group.send([heard], 0, 0).wait()


PEER = Peer(NAME, _start)

if __name__ == "__main__":
    _acknowledge(int(sys.argv[1]))
