"""This project through the command: each turn is an `lmos run`, a process of its own, with the network of `ours`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from lmos.bench.runner_peers import ExchangeTime, Opener, Peer, Session
from lmos.bench.runner_peers.ours import PARCEL, exchange_time, own_networks, parcel_shape, planned
from lmos.loopback import run_edge, server_process
from measurement.networks import build_network
from measurement.tracing import trace_network
from runner.watching.report import RunReport


@contextmanager
def running(builder: str, shape: tuple[int, ...], x1: int) -> Iterator[Session]:
    """Runs of a network that is cut behind its first x1 layers, and a server for them. RunnerError where a run fails."""
    with TemporaryDirectory() as name, server_process(Path(name) / "server.log", own_networks(builder)) as address:
        file, report = Path(name) / "plan.json", Path(name) / "report.json"
        module = build_network(builder, "seeded:0", allow_code=True)
        planned(builder, module, trace_network(module, torch.zeros(shape)), x1)[0].save(file)
        options = [word for network in own_networks(builder) for word in ("--network", network)]

        def run(n: int) -> list[ExchangeTime]:
            run_edge(file, address, n, None, report, *options)
            return list(map(exchange_time, RunReport.load(report).per_image))

        yield run


@contextmanager
def _start() -> Iterator[Opener]:
    yield lambda n_bytes: running(PARCEL, parcel_shape(n_bytes), 0)


PEER = Peer("ours_run", _start, can_rest=False)
