"""ZeroMQ: REQ and REP, without copies where it can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from lmos.bench.runner_peers import (
    ACKNOWLEDGEMENT,
    HOST,
    ExchangeTime,
    Opener,
    Peer,
    Session,
    announce,
    in_a_row,
    other_side,
)
from lmos.bench.solvers import MissingPeer

NAME = "pyzmq"


@contextmanager
def _start() -> Iterator[Opener]:
    try:
        import zmq
    except ImportError:
        raise MissingPeer(NAME, "pip install pyzmq") from None
    with other_side(NAME) as port, zmq.Context() as context:

        @contextmanager
        def connect(n_bytes: int) -> Iterator[Session]:
            payload = bytearray(n_bytes)
            with context.socket(zmq.REQ) as sock:
                sock.connect(f"tcp://{HOST}:{port}")

                def exchange() -> ExchangeTime:
                    begin = perf_counter()
                    sock.send(payload, copy=False)
                    sock.recv()
                    return ExchangeTime(perf_counter() - begin)

                yield in_a_row(exchange)

        yield connect


def _acknowledge() -> None:
    import zmq

    with zmq.Context() as context, context.socket(zmq.REP) as sock:
        announce(sock.bind_to_random_port(f"tcp://{HOST}"))
        while True:
            sock.recv(copy=False)
            sock.send(ACKNOWLEDGEMENT)


PEER = Peer(NAME, _start)

if __name__ == "__main__":
    _acknowledge()
