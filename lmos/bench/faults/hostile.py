"""Hostile connections to a server that honest edges use: it must go on serving, stay small, and let nobody hang.

In rounds: the honest edge alone, then the same edge while connections are made from another process; so that what the machine
does besides weighs on both alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmos.bench.faults.attack import HANG_S
from lmos.bench.faults.stage import descriptors_of, planned, planned_over, resident_bytes_of, serving, threads_of
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.tensors import only_input
from lmos_opt.units import counted
from runner.client.remote import opening
from runner.client.server_connection import ServerConnection
from runner.errors import RunnerError
from runner.parts.network import build, example_input
from runner.parts.split import split_module
from runner.wire.connecting import parse_address
from runner.wire.timeouts import PATIENT

NETWORK, X1 = "squeezenet1_1", 35
X2, PATH = 50, "rpi4 > 10Mbps > jetson-orin-nano-cpu > 10Mbps > i7-8700"
"""Over three places."""
LARGEST_GROWTH_BYTES = 100_000_000
LARGEST_RATIO = 2.0
ALONE = 100
"""Exchanges alone, in each round."""
Attack = Callable[[int, int], Any]
"""Makes this many hostile connections, the first one with this number, and returns how they ended."""
_PATIENCE_S = 60.0


@dataclass
class Withstood:
    """What came of it: how the connections ended, the honest edge's exchanges (s) alone and meanwhile, and what the server took.

    `wrong` answers are not the network's, bit for bit. `newcomers_s` is how long an honest edge that came meanwhile took to get
    its first answer.
    """

    connections: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    alone_s: list[float] = field(default_factory=list)
    meanwhile_s: list[float] = field(default_factory=list)
    newcomers_s: list[float] = field(default_factory=list)
    wrong: int = 0
    growth_bytes: int = 0
    descriptors: tuple[int, int] = (0, 0)
    threads: tuple[int, int] = (0, 0)
    tracebacks: int = 0

    @property
    def p95_s(self) -> tuple[float, float]:
        """The honest edge's 95th percentile (s), alone and meanwhile."""
        return float(np.percentile(self.alone_s, 95)), float(np.percentile(self.meanwhile_s, 95))

    @property
    def ratio(self) -> float:
        """How much longer the 95th percentile was meanwhile."""
        alone, meanwhile = self.p95_s
        return meanwhile / alone

    @property
    def faults(self) -> list[str]:
        """All broken promises, in words."""
        found = {
            f"{counted(self.ends['hung'], 'connection')} hung": self.ends["hung"] > 0,
            f"{self.wrong} answers are wrong": self.wrong > 0,
            f"the server logged {self.tracebacks} tracebacks": self.tracebacks > 0,
            f"memory grew by {self.growth_bytes} bytes": self.growth_bytes > LARGEST_GROWTH_BYTES,
            f"{self.descriptors[1]} descriptors are open, {self.descriptors[0]} were": self.descriptors[1] > self.descriptors[0],
            f"honest exchanges took {self.ratio:.2f} times as long (p95)": self.ratio > LARGEST_RATIO,
        }
        return [what for what, is_so in found.items() if is_so]


class _Honest:
    """An edge that asks the same question over and over, and knows the answer."""

    def __init__(self, address: tuple[str, int], plan: Plan) -> None:
        self.plan, self._network = plan, check_runnable(plan, NETWORK)
        self._address = address
        module = build(self._network.builder, self._network.weights, ())
        image = torch.rand(only_input(self._network).shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            head, _ = split_module(module, self.plan.edge_layers, example_input(only_input(self._network)))
            self._crossing, self._expected = head(image), module(image)
        self._number = 0

    def connection(self) -> ServerConnection:
        return ServerConnection(self._address, opening(self.plan, self._network), None, PATIENT)

    def ask(self, connection: ServerConnection) -> tuple[float, bool]:
        """How long the exchange took (s), and whether the answer was right."""
        self._number += 1
        begin = time.perf_counter()
        exchange = connection.ask(self._number, self._crossing)
        if not connection.wait(exchange, time.monotonic() + _PATIENCE_S) or exchange.answer is None:
            reason = exchange.failure or connection.refused or connection.reason
            raise RunnerError(connection.name, f"an honest edge got no answer: {reason}")
        return time.perf_counter() - begin, torch.equal(exchange.answer.outputs["output"], self._expected)


def withstand(connections: int, rounds: int, concurrent: int, rate_per_s: float, folder: Path, seed: int = 0,
              tell: Callable[[int], None] = lambda done: None, middle: bool = False) -> Withstood:  # fmt: skip
    """Make so many hostile connections, in rounds, to a server or to the `middle` of three places. RunnerError if an honest edge
    is not served at all."""
    found = Withstood()
    plan_file, log = folder / "plan.json", folder / "hostile.log"
    plan = planned_over(NETWORK, PATH, (X1, X2)) if middle else planned(NETWORK, X1)[0]
    plan.save(plan_file)
    with ExitStack() as stack:
        options: list[object] = ["--plan", plan_file]
        if middle:
            options += ["--next", stack.enter_context(serving(folder / "last.log", options))[0]]
        address, pid = stack.enter_context(serving(log, options))
        attack = stack.enter_context(_attacker(address, plan_file, concurrent, rate_per_s))
        honest = _Honest(parse_address(address), plan)
        connection = honest.connection()
        for _ in range(20):  # not counted
            honest.ask(connection)
        before, descriptors, threads = resident_bytes_of(pid), descriptors_of(pid), threads_of(pid)
        for k in range(rounds):
            count = (k + 1) * connections // rounds - k * connections // rounds
            for _ in range(ALONE):
                _exchange(honest, connection, found, found.alone_s)
            attacking = threading.Thread(target=_attack, args=(found, attack, count, seed * 2**32))
            attacking.start()
            _greet(honest, found)
            while attacking.is_alive():
                _exchange(honest, connection, found, found.meanwhile_s)
            found.growth_bytes = max(found.growth_bytes, resident_bytes_of(pid) - before)
            tell(found.connections)
        end = time.monotonic() + HANG_S  # the last ones may still be closing; a leaked one stays open for ever
        while descriptors_of(pid) > descriptors and time.monotonic() < end:
            time.sleep(0.2)
        found.descriptors, found.threads = (descriptors, descriptors_of(pid)), (threads, threads_of(pid))
        connection.close(politely=True)
    found.tracebacks = log.read_text().count("Traceback")
    return found


def _exchange(honest: _Honest, connection: ServerConnection, found: Withstood, times_s: list[float]) -> None:
    took_s, is_right = honest.ask(connection)
    times_s.append(took_s)
    found.wrong += not is_right


def _greet(honest: _Honest, found: Withstood) -> None:
    """Another honest edge connects, asks once, and disconnects."""
    connection = honest.connection()
    _exchange(honest, connection, found, found.newcomers_s)
    connection.close(politely=True)


def _attack(found: Withstood, attack: Attack, count: int, seed: int) -> None:
    came_of_it = attack(count, seed + found.connections)
    found.ends.update(came_of_it["ends"])
    found.connections += came_of_it["connections"]
    found.seconds += came_of_it["seconds"]


@contextmanager
def _attacker(address: str, plan: Path, concurrent: int, rate_per_s: float) -> Iterator[Attack]:
    """A process that makes this many hostile connections for each call, and returns how they ended."""
    command = [sys.executable, "-m", "lmos.bench.faults.attack", address, str(plan), str(concurrent), str(rate_per_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        stdout.readline()

        def attack(count: int, first: int) -> Any:
            stdin.write(f"{count} {first}\n")
            stdin.flush()
            return json.loads(stdout.readline())

        try:
            yield attack
        finally:
            process.terminate()
