"""Hostile connections to a server that an honest edge uses, and a long run of small exchanges: short forms of both."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from lmos.bench.faults import hostile
from lmos.bench.faults import soak as soaking
from lmos.bench.faults.hostile import Withstood, withstand
from lmos.bench.faults.soak import Side, soak
from lmos.cli import main
from runner.errors import RunnerError
from runner.faults.limits import Limits, Throttle
from runner.places import server as serving
from runner.places.server import Server
from runner.places.tail import Networks
from runner.wire.connecting import Listener, listen

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.process
def test_hostile_connections_harm_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "ALONE", 10)  # what they say of times is the benchmark's affair
    found = withstand(200, rounds=1, concurrent=16, rate_per_s=1e6, folder=tmp_path)
    assert found.connections == sum(found.ends.values()) == 200
    assert set(found.ends) <= {"closed", "left"}
    assert (found.wrong, found.tracebacks) == (0, 0)
    assert len(found.newcomers_s) == 1
    assert found.growth_bytes < 100e6
    assert found.descriptors[1] <= found.descriptors[0]


@pytest.mark.slow
def test_ten_thousand_hostile_connections_harm_nobody(tmp_path: Path) -> None:
    found = withstand(10_000, rounds=10, concurrent=32, rate_per_s=1e6, folder=tmp_path)
    assert found.connections == 10_000
    assert [fault for fault in found.faults if "p95" not in fault] == []


def test_every_fault_is_named() -> None:
    found = Withstood(ends=Counter(hung=1), alone_s=[1.0], meanwhile_s=[3.0], wrong=2, growth_bytes=2 * 10**8, descriptors=(8, 9),
                      tracebacks=1)  # fmt: skip
    assert found.ratio == 3
    assert len(found.faults) == 6
    assert Withstood(ends=Counter(closed=1), alone_s=[1.0], meanwhile_s=[2.0]).faults == []


def test_newcomers_are_let_in_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    rates, waits = [], []

    class Counted(Throttle):
        def __init__(self, per_s: float) -> None:
            rates.append(per_s)
            super().__init__(per_s, iter([0.0] + [9.0] * 99).__next__, waits.append)  # long idle, then time stands still

    monkeypatch.setattr(serving, "Throttle", Counted)
    server = Server(Listener(listen("127.0.0.1", 0)), Networks(), Limits(arrivals_per_s=16.0))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for _ in range(30):  # a second's worth at once, the rest one after another
            with socket.create_connection(("127.0.0.1", server.listener.port), 60) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert peer.recv(1)
    finally:
        server.stop()
        thread.join(60)
    assert rates == [16.0]
    assert waits == [k / 16 for k in range(1, 15)]


def test_the_command_tells_what_came_of_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = Withstood(5, Counter(closed=5), 1.0, [0.01], [0.012], [0.1], descriptors=(8, 8), threads=(3, 3))
    monkeypatch.setattr(hostile, "withstand", lambda *arguments: found)
    assert main(["bench", "hostile", "-n", "5"]) == 0
    assert "1.20 times" in capsys.readouterr().out
    found.meanwhile_s = [0.03]
    assert main(["bench", "hostile", "-n", "5", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["ratio"] == pytest.approx(3)
    assert "3.00 times as long" in told.err


@pytest.mark.process
def test_small_exchanges_leave_nothing_behind(tmp_path: Path) -> None:
    found = soak(1000, 100, tmp_path)
    assert (found.exchanges, found.connections) == (1000, 10)
    for side in (found.edge, found.server):
        assert len(side.resident_bytes) == soaking.SAMPLES
        assert side.is_flat, side


def test_a_wrong_answer_ends_the_soak() -> None:
    import torch

    with pytest.raises(RunnerError, match="exchange 3 is not the network's"):
        soaking._check("server", 3, torch.zeros(2), torch.ones(2))


def test_growth_and_leaks_are_seen() -> None:
    flat = Side([10**6] * 100, [8] * 100, [3] * 100)
    assert flat.is_flat
    assert not Side([10**6 + 10**3 * k for k in range(100)], [8] * 100, [3] * 100).is_flat
    assert not Side([10**6] * 100, [8 + k // 30 for k in range(100)], [3] * 100).is_flat
    assert Side([10**6 + 10**3 * k for k in range(100)]).growth == pytest.approx(80 / 1014.5, rel=0.01)
