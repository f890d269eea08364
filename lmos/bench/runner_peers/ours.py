"""This project: a head that does nothing, a real server whose tail takes ten numbers of what came; `t_tx_s` of the image, and its
waits for a thread on both sides.

Packing, checksums on both sides, the question's and the answer's headers and unpacking are in it; what the tail computes is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from lmos.bench.runner_peers import ExchangeTime, Opener, Peer, Session, in_a_row
from lmos.loopback import server_process
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, PlannedNetwork, Setting, check_runnable, make_plan
from measurement.networks import build_network
from measurement.processor import processors
from measurement.profiling import profile_built
from measurement.timing import torch_threads
from measurement.tracing import TracedNetwork, trace_network
from runner.client.reaching import reach
from runner.client.remote import opening
from runner.client.server_connection import ServerConnection
from runner.errors import RunnerError
from runner.images import Images
from runner.parts.split import split_traced
from runner.places.connected import ConnectedSplit, Source
from runner.places.options import ConnectOptions
from runner.watching.report import ImageResult
from runner.wire.connecting import parse_address
from runner.wire.timeouts import PATIENT

NAME = "ours"
PARCEL = f"{__name__}:parcel"
_FLOAT_BYTES = 4


def parcel_shape(n_bytes: int) -> tuple[int, int]:
    """The shape of an input of so many bytes."""
    return 1, n_bytes // _FLOAT_BYTES


class Parcel(nn.Module):
    """Takes ten numbers of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """From `(1, n)` to `(1, 10)`."""
        return torch.relu(x[:, :10])


def parcel() -> nn.Module:
    """The network as edge and server build it."""
    return Parcel()


@contextmanager
def reached(builder: str, shape: tuple[int, ...], x1: int, address: str) -> Iterator[tuple[ServerConnection, nn.Module]]:
    """A connection to a server that is ready for the tail behind the first x1 layers, and the head. RunnerError if it refuses."""
    module = build_network(builder, "seeded:0", allow_code=True)
    traced = trace_network(module, torch.zeros(shape))
    plan, network = planned(builder, module, traced, x1)
    head, _ = split_traced(traced, plan.edge_layers)
    connection = ServerConnection(parse_address(address), opening(plan, network), None, PATIENT)
    try:
        reach(connection, "is_open", PATIENT, may_fail=False)
        yield connection, head
    finally:
        connection.close(politely=True)


@contextmanager
def exchanging(builder: str, shape: tuple[int, ...], x1: int, address: str) -> Iterator[Session]:
    """Images one after another through what `lmos run` itself takes them through: its halves, its heap, its connection and its
    checks; with as many threads as this process may use processors, as a process that is started there has. RunnerError if the
    server refuses."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    images = Images("one random tensor", ["random"], lambda k: image)
    module = build_network(builder, "seeded:0", allow_code=True)
    plan, _ = planned(builder, module, trace_network(module, torch.zeros(shape)), x1)
    own = own_networks(builder)
    split = ConnectedSplit(plan, parse_address(address), ConnectOptions(networks=own, timeouts=PATIENT), Source(images))
    with torch_threads(processors()), split.open():
        pipeline = split.pipeline

        def exchange() -> ExchangeTime:
            pipeline.run(images, 1)
            if pipeline.failed:
                raise RunnerError(address, pipeline.failed[0].reason)
            found = pipeline.results.pop()
            return exchange_time(found)

        yield in_a_row(exchange)


def exchange_time(found: ImageResult) -> ExchangeTime:
    """Of an image: its time on the link, and its waits for a thread on both sides."""
    exchange_s = found.t_queue_s + found.t_tx_s + found.t_server_queue_s
    return ExchangeTime(exchange_s, found.latency_s - found.t_edge_s - exchange_s - found.t_server_s)


def own_networks(builder: str) -> list[str]:
    """What a run and a server must be allowed to build."""
    return [] if builder.startswith("torchvision:") else [builder]


def planned(builder: str, module: nn.Module, traced: TracedNetwork, x1: int) -> tuple[Plan, PlannedNetwork]:
    """The plan of a cut behind the first x1 layers, and its network."""
    profile = profile_built(builder, "seeded:0", module, traced)
    instance = Instance.from_profile(profile)
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule=f"cut:{x1}")
    plan = make_plan(instance, instance.names[:x1], setting=setting, profile=profile)
    return plan, check_runnable(plan, builder)


@contextmanager
def _start() -> Iterator[Opener]:
    with TemporaryDirectory() as folder, server_process(Path(folder) / "server.log", [PARCEL]) as address:
        yield lambda n_bytes: exchanging(PARCEL, parcel_shape(n_bytes), 0, address)


PEER = Peer(NAME, _start)
