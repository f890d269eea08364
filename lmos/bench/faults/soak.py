"""A long run of small exchanges: memory must stay flat on both sides, and nothing be left open."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from lmos.bench.faults.stage import ServerProcess, descriptors_of, planned, resident_bytes_of, threads_of
from lmos_opt.tensors import only_input
from runner.client.remote import opening
from runner.client.server_connection import ServerConnection
from runner.errors import RunnerError
from runner.parts.network import build, example_input
from runner.parts.split import split_module
from runner.wire.timeouts import PATIENT

SAMPLES = 100
LARGEST_GROWTH = 0.05
NETWORK, X1 = "squeezenet1_1", 65
"""4 kB cross, and the server has next to nothing to compute: what is left is the exchange."""


@dataclass
class Side:
    """One process over the run, sampled SAMPLES times: resident memory (B), open descriptors, threads."""

    resident_bytes: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def sample(self, pid: int) -> None:
        """Look at the process now."""
        self.resident_bytes.append(resident_bytes_of(pid))
        self.descriptors.append(descriptors_of(pid))
        self.threads.append(threads_of(pid))

    @property
    def tenths(self) -> tuple[float, float]:
        """Resident memory (B), the median of the second tenth and of the last."""
        return _tenth(self.resident_bytes, 1), _tenth(self.resident_bytes, 9)

    @property
    def growth(self) -> float:
        """How much more memory the last tenth took than the second: 0.01 is one percent."""
        second, last = self.tenths
        return last / second - 1

    @property
    def leaked(self) -> int:
        """How many descriptors more the last tenth had open than the second."""
        return round(_tenth(self.descriptors, 9) - _tenth(self.descriptors, 1))

    @property
    def is_flat(self) -> bool:
        """Whether neither memory nor descriptors grow."""
        return self.growth <= LARGEST_GROWTH and self.leaked <= 0


@dataclass
class Soaked:
    """The whole run: exchanges and connections made, how long it took, both sides."""

    exchanges: int
    connections: int
    seconds: float
    edge: Side
    server: Side


def soak(exchanges: int, session: int, folder: Path, tell: Callable[[int], None] = lambda done: None) -> Soaked:
    """Ask so many times, in sessions of so many questions. RunnerError if an answer is missing or wrong."""
    plan, network = planned(NETWORK, X1)
    module = build(network.builder, network.weights, ())
    image = torch.rand(only_input(network).shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        head, _ = split_module(module, plan.edge_layers, example_input(only_input(network)))
        crossing, expected = head(image), module(image)
    found = Soaked(exchanges, 0, 0.0, Side(), Side())
    every = max(exchanges // SAMPLES, 1)
    with ServerProcess(folder / "soak.log") as server:
        begin = time.perf_counter()
        for first in range(0, exchanges, session):
            found.connections += 1
            connection = ServerConnection(server.address, opening(plan, network), None, PATIENT)
            for number in range(first, min(first + session, exchanges)):
                exchange = connection.ask(number, crossing)
                if not connection.wait(exchange, time.monotonic() + PATIENT.result_s) or exchange.answer is None:
                    raise RunnerError(connection.name, f"no answer to exchange {number}: {exchange.failure or connection.reason}")
                _check(connection.name, number, exchange.answer.outputs["output"], expected)
                if number % every == every - 1:
                    found.edge.sample(os.getpid())
                    found.server.sample(server.pid)
                    tell(number + 1)
            connection.close(politely=True)
        found.seconds = time.perf_counter() - begin
    return found


def _check(where: str, number: int, output: Tensor, expected: Tensor) -> None:
    if not torch.equal(output, expected):
        raise RunnerError(where, f"the answer to exchange {number} is not the network's")


def _tenth(values: Sequence[int], k: int) -> float:
    return float(median(values[k * len(values) // 10 : (k + 1) * len(values) // 10]))
