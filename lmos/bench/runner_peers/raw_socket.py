"""What a socket does: `sendall` of the bytes, `recv_into` until all are there, one byte back. What the others are held to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from lmos.bench.runner_peers import (
    ACKNOWLEDGEMENT,
    HOST,
    SIZE_BYTES,
    ExchangeTime,
    Opener,
    Peer,
    Session,
    announce,
    in_a_row,
    other_side,
)

NAME = "raw_socket"


@contextmanager
def _start() -> Iterator[Opener]:
    with other_side(NAME) as port:

        @contextmanager
        def connect(n_bytes: int) -> Iterator[Session]:
            payload = bytearray(n_bytes)
            with socket.create_connection((HOST, port)) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(n_bytes.to_bytes(SIZE_BYTES, "little"))

                def exchange() -> ExchangeTime:
                    begin = perf_counter()
                    sock.sendall(payload)
                    sock.recv(len(ACKNOWLEDGEMENT))
                    return ExchangeTime(perf_counter() - begin)

                yield in_a_row(exchange)

        yield connect


def _receive(sock: socket.socket, space: memoryview) -> bool:
    """Fill the space; False if the stream ends before."""
    filled = 0
    while filled < len(space):
        n_bytes = sock.recv_into(space[filled:])
        if n_bytes == 0:
            return False
        filled += n_bytes
    return True


def _acknowledge() -> None:
    with socket.create_server((HOST, 0)) as listening:
        announce(listening.getsockname()[1])
        while True:
            sock, _ = listening.accept()
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                size = bytearray(SIZE_BYTES)
                _receive(sock, memoryview(size))
                space = memoryview(bytearray(int.from_bytes(size, "little")))
                while _receive(sock, space):
                    sock.sendall(ACKNOWLEDGEMENT)


PEER = Peer(NAME, _start)

if __name__ == "__main__":
    _acknowledge()
