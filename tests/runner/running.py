"""What the runner's tests share: plans of small networks, and real server processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmos_opt import Instance, Plan
from lmos_opt.plan import PlannedNetwork, Setting, make_plan
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import trace_network
from runner.faults.limits import ORDINARY, Limits
from runner.places.onward import Next, Onwards
from runner.places.server import Server
from runner.places.tail import Networks
from runner.wire.connecting import Listener, listen
from tests import warm
from tests.runner.real_networks import EXAMPLES

HERE = Path(__file__).parent
BRANCHED, TWO_OUTPUTS, FOUR_CHANNELS, SLOW, WIDE, ROW = (
    f"runner_networks:{name}" for name in ("branched", "two_outputs", "four_channels", "slow", "wide", "row")
)
SEEING = tuple(f"runner_networks:{name}" for name in ("masks", "boxes", "embedding", "seen"))
NETWORKS = (BRANCHED, TWO_OUTPUTS, FOUR_CHANNELS, SLOW)
WITH_INPUTS = tuple(f"input_networks:{name}" for name in ("bert", "clip", "raft", "conformer", "nested", "unet", "gru"))
PUBLISHED = tuple(f"real_networks:{name}" for name in EXAMPLES)
# a name costs nothing until it is asked for
ALLOWED = (*NETWORKS, WIDE, *WITH_INPUTS, *PUBLISHED, *SEEING, "hf:tiny_bert", "lmos.exchange:some_work")
SQUEEZENET = "torchvision:squeezenet1_1"
SETTING = Setting(edge="rpi4", server="paper-server", bandwidth_bytes_per_s=1.25e6, rtt_s=0.0,
                  memory_limit_bytes=None, memory_model="sum", rule="cut")  # fmt: skip


def network_of(plan: Plan) -> PlannedNetwork:
    assert plan.network is not None
    return plan.network


def whole(plan: Plan) -> nn.Module:
    return build_network(network_of(plan).builder, network_of(plan).weights, allow_code=True)


class Plans:
    """Plans of one network by the number of layers at the edge; a negative number counts from the end (-1: all)."""

    def __init__(self, builder: str, weights: str = "seeded:0", shape: Sequence[int] = (1, 3, 8, 8)) -> None:
        module = build_network(builder, weights, allow_code=True)
        traced = trace_network(module, torch.zeros(*shape))
        self.profile = profile_built(builder, weights, module, traced)
        self.instance = Instance.from_profile(self.profile)

    def __call__(self, cut: int) -> Plan:
        count = cut if cut >= 0 else len(self.instance.names) + 1 + cut
        return make_plan(self.instance, self.instance.names[:count], setting=SETTING, profile=self.profile)


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with one thread here, as in `server_process`: the same bits, and no waiting for cores that others use."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class ServerProcess:
    """A server in its own process."""

    process: warm.Popen
    port: int
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def freeze(self) -> None:
        """Stop every thread, which takes a moment after the signal: what is sent from now on is not read until SIGCONT."""
        self.process.send_signal(signal.SIGSTOP)
        while any(map(_is_at_work, Path(f"/proc/{self.process.pid}/task").iterdir())):
            time.sleep(0.001)

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


def _is_at_work(thread: Path) -> bool:
    """Whether a thread (`/proc/PID/task/TID`) is neither stopped nor over."""
    try:
        state = (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"T", "X", "Z"}


@contextmanager
def thread_server(networks: Sequence[str] = (BRANCHED,), limits: Limits = ORDINARY, to: Next | None = None,
                  **options: Any) -> Iterator[tuple[str, int]]:  # fmt: skip
    """The address of a server in a thread of this process, with limits and options that a test chooses; with `to` it is a middle
    place, and that is the next."""
    server = Server(Listener(listen("127.0.0.1", 0)), Networks(networks), limits, onwards=Onwards(to), **options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield "127.0.0.1", server.listener.port
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def server_process(log: Path, networks: Sequence[str] = ALLOWED, port: int = 0,
                   onward: int | None = None) -> Iterator[ServerProcess]:  # fmt: skip
    """`python -m runner.places.server` on a free port, or on this one; killed at the end if it still runs.

    With a port `onward` it is a middle place, and what listens there is the next.
    """
    with log.open("w") as stderr:
        address = f"127.0.0.1:{port}" + (f">127.0.0.1:{onward}" if onward else "")
        command = [sys.executable, "-m", "runner.places.server", address, *networks]
        with warm.begun(command, cwd=HERE, stdout=warm.PIPE, stderr=stderr) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield ServerProcess(process, int(line), log)
