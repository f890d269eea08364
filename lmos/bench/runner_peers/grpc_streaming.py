"""gRPC: one stream both ways that stays open, a message of plain bytes there and one back."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Any

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

NAME = "grpc_streaming"
_SERVICE, _METHOD = "lmos.Parcels", "Take"
_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
"""Without them, no message above 4 MB."""


@contextmanager
def _start() -> Iterator[Opener]:
    try:
        import grpc
    except ImportError:
        raise MissingPeer(NAME, "pip install grpcio") from None
    with other_side(NAME) as port, grpc.insecure_channel(f"{HOST}:{port}", options=_OPTIONS) as channel:
        call = channel.stream_stream(f"/{_SERVICE}/{_METHOD}")

        @contextmanager
        def connect(n_bytes: int) -> Iterator[Session]:
            payload = bytes(n_bytes)
            parcels: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
            answers = call(iter(parcels.get, None))

            def exchange() -> ExchangeTime:
                begin = perf_counter()
                parcels.put(payload)
                next(answers)
                return ExchangeTime(perf_counter() - begin)

            yield in_a_row(exchange)
            parcels.put(None)
            answers.cancel()

        yield connect


def _answer(parcels: Iterator[bytes], context: Any) -> Iterator[bytes]:
    for _ in parcels:
        yield ACKNOWLEDGEMENT


def _acknowledge() -> None:
    import grpc

    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=_OPTIONS)
    handler = grpc.stream_stream_rpc_method_handler(_answer)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler})])
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    announce(port)
    server.wait_for_termination()


PEER = Peer(NAME, _start)

if __name__ == "__main__":
    _acknowledge()
