"""A server's throughput with several edges on equal tails: one image after another, and in batches where those pay.

The edges' heads run once, before: nothing but the server and the link has work, which is what batches are for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from lmos.bench.faults.stage import serving
from lmos.bench.runner_peers.ours import reached
from lmos_opt.units import counted
from runner.client.server_connection import ServerConnection
from runner.errors import RunnerError
from runner.parts.part import Crossing

ROUNDS = 3
_SHAPE = (1, 3, 224, 224)
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Case:
    """A network of torchvision and how many of its layers are at the edges."""

    network: str
    x1: int


CASES = (Case("alexnet", 14), Case("squeezenet1_1", 35), Case("resnet50", 140))
"""Large weights behind few computations, small layers, ordinary ones."""


@dataclass(frozen=True)
class Outcome:
    """Images a second in each round: with singles alone, and with batches."""

    case: Case
    edges: int
    single: list[float]
    batched: list[float]

    @property
    def gain(self) -> float:
        """Times as many images a second with batches, medians of the rounds."""
        return median(self.batched) / median(self.single)


def measure(case: Case, edges: int, n: int, threads: int, folder: Path,
            tell: Callable[[str], None] = lambda what: None) -> Outcome:  # fmt: skip
    """Two servers, one of which batches, in turns; each edge asks n times a round. RunnerError if an answer is missing."""
    found: dict[int, list[float]] = {1: [], edges: []}
    with ExitStack() as stack:
        groups: dict[int, list[tuple[ServerConnection, Crossing]]] = {}
        for batch in found:
            log = folder / f"{case.network}-{batch}.log"
            address, _ = stack.enter_context(serving(log, ["--threads", threads, "--batch", batch]))
            tell(f"{case.network}: {counted(edges, 'edge')} connect to a server with batches up to {batch}")
            groups[batch] = [_edge(stack, case, address, seed) for seed in range(edges)]
        for k in range(ROUNDS + 1):
            for batch, group in groups.items():
                tell(f"{case.network}: batches up to {batch}, round {k} of {ROUNDS}")
                rate = _images_per_s(group, n, first=1 + k * n)
                if k:  # the first one warms up
                    found[batch].append(rate)
    return Outcome(case, edges, found[1], found[edges])


@torch.inference_mode()
def _edge(stack: ExitStack, case: Case, address: str, seed: int) -> tuple[ServerConnection, Crossing]:
    connection, head = stack.enter_context(reached(f"torchvision:{case.network}", _SHAPE, case.x1, address))
    return connection, head(torch.rand(_SHAPE, generator=torch.Generator().manual_seed(seed)))


def _images_per_s(group: list[tuple[ServerConnection, Crossing]], n: int, first: int) -> float:
    failures: list[str] = []

    def ask(connection: ServerConnection, crossing: Crossing) -> None:
        for number in range(first, first + n):
            exchange = connection.ask(number, crossing)
            if not connection.wait(exchange, time.monotonic() + _PATIENCE_S) or exchange.answer is None:
                failures.append(exchange.failure or connection.reason or f"no answer within {_PATIENCE_S:g} s")
                return

    askers = [threading.Thread(target=ask, args=edge) for edge in group]
    begin = time.perf_counter()
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    if failures:
        raise RunnerError("the server", failures[0])
    return len(group) * n / (time.perf_counter() - begin)
