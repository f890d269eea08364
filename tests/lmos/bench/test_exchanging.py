"""Exchanges by this project and its peers: each takes the bytes there and hears of it; what was promised is held to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import chain, count, cycle

import pytest

from lmos.bench import runner_peers
from lmos.bench.exchanging import GRPC, IN_A_ROW, MOST_RATIO, OURS, TENSOR_BYTES, Row, broken, compete
from lmos.bench.runner_peers import ExchangeTime, Opener, Peer, Session, in_a_row
from lmos.bench.solvers import MissingPeer
from lmos.cli import main
from runner.errors import RunnerError

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def nothing(words: str) -> None:
    pass


def counting(name: str, turns: list[tuple[str, int]]) -> Peer:
    """A peer that notes its exchanges."""

    @contextmanager
    def start() -> Iterator[Opener]:
        @contextmanager
        def connect(n_bytes: int) -> Iterator[Session]:
            def exchange() -> ExchangeTime:
                turns.append((name, n_bytes))
                return ExchangeTime(float(len(name)))

            yield in_a_row(exchange)

        yield connect

    return Peer(name, start)


@pytest.mark.process
@pytest.mark.parametrize("name", ["raw_socket", "pyzmq", "grpc_streaming", "torch_gloo"])
def test_each_peer_takes_messages_of_several_sizes_there(name: str) -> None:
    missing: list[str] = []
    rows = compete([runner_peers.get(name)], [64, 100_000], rounds=2, seed=0, tell=nothing, complain=missing.append)
    if missing:
        pytest.skip(missing[0])
    assert [(row.n_bytes, row.peer, row.rounds) for row in rows] == [(64, name, 2), (100_000, name, 2)]
    assert all(0 < row.q1_s <= row.median_s <= row.q3_s for row in rows)


@pytest.mark.process
def test_ours_beside_a_socket(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "runner", "--sizes", "4096,1MiB", "--peers", "raw_socket,ours", "-n", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {(row["peer"], row["n_bytes"]): row for row in found["rows"]}
    assert set(rows) == {(peer, n) for peer in ("raw_socket", "ours") for n in (4096, 2**20)}
    assert rows["raw_socket", 4096]["ratio"] == 1
    assert rows["raw_socket", 4096]["unaccounted_s"] is None
    assert rows["ours", 2**20]["unaccounted_s"] >= 0
    assert found["broken"] == []  # nothing is promised of these sizes
    assert 0 < found["pace"]["least"] <= found["pace"]["median"] <= 1


@pytest.mark.process
@pytest.mark.slow
def test_the_promise_is_kept() -> None:
    rows = compete([runner_peers.get("raw_socket"), runner_peers.get("ours")], [TENSOR_BYTES], 40, 0, nothing, nothing)
    assert broken(rows) == []


def test_peers_take_turns_in_an_order_that_the_seed_makes() -> None:
    def turns(seed: int) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        compete([counting("a", found), counting("bb", found)], [64, 128], 5 * IN_A_ROW + 1, seed, nothing, nothing)
        return found

    assert turns(0) == turns(0) != turns(1)
    after_warm_up = [name for name, n_bytes in turns(0) if n_bytes == 64][10:]
    for begin, length in [*((2 * IN_A_ROW * k, IN_A_ROW) for k in range(5)), (10 * IN_A_ROW, 1)]:
        both = after_warm_up[begin : begin + length], after_warm_up[begin + length : begin + 2 * length]
        assert sorted(map(set, both), key=min) == [{"a"}, {"bb"}]


def test_the_first_of_a_turn_stands_apart() -> None:
    def late_after_others(name: str, usual_s: float) -> Peer:
        @contextmanager
        def connect(n_bytes: int) -> Iterator[Session]:
            times = chain([0.0] * 5, cycle([9.0, *[usual_s] * (IN_A_ROW - 1)]))  # warm-ups are nobody's
            yield in_a_row(lambda: ExchangeTime(next(times)))

        return Peer(name, lambda: nullcontext(connect))

    peers = [late_after_others("raw_socket", 1.0), late_after_others("x", 2.0)]
    rows = compete(peers, [64], 3 * IN_A_ROW, 0, nothing, nothing)
    assert [(row.rounds, row.q1_s, row.median_s, row.q3_s, row.ratio, row.first_s) for row in rows] == [
        (6 * IN_A_ROW, 1.0, 1.0, 1.0, 1.0, 9.0), (3 * IN_A_ROW, 2.0, 2.0, 2.0, 2.0, 9.0)]  # fmt: skip
    (alone,) = compete(peers[1:], [64], 1, 0, nothing, nothing)
    assert (alone.rounds, alone.median_s, alone.first_s) == (1, 9.0, 9.0)


def test_a_machine_that_becomes_slower_changes_no_ratio() -> None:
    turns = count(1)

    def peer(name: str, seconds: float) -> Peer:
        @contextmanager
        def connect(n_bytes: int) -> Iterator[Session]:
            def session(n: int) -> list[ExchangeTime]:
                pace = next(turns)
                return [ExchangeTime(seconds * pace)] * n

            yield session

        return Peer(name, lambda: nullcontext(connect))

    rows = compete([peer("raw_socket", 1.0), peer("a", 2.0), peer("b", 5.0)], [64], 1, 0, nothing, nothing)
    assert {row.peer: (row.rounds, row.ratio) for row in rows} == {"raw_socket": (3, 1.0), "a": (1, 2.0), "b": (1, 5.0)}


def test_a_peer_that_is_not_installed_is_left_out() -> None:
    @contextmanager
    def start() -> Iterator[Opener]:
        raise MissingPeer("absent", "pip install absent")
        yield

    said: list[str] = []
    rows = compete([Peer("absent", start), counting("raw_socket", []), counting("x", [])], [64], 1, 0, nothing, said.append)
    assert [(row.peer, row.ratio) for row in rows] == [("raw_socket", 1.0), ("x", 0.1)]
    assert said == ["absent is left out: pip install absent"]


def test_promises_are_for_the_large_tensor_alone() -> None:
    slow = Row(TENSOR_BYTES, OURS[0], 5, 1.0, 1.0, 1.0, MOST_RATIO + 0.01, 0.003, 1.0)
    assert len(broken([slow])) == 2
    assert broken([Row(4096, OURS[0], 5, 1.0, 1.0, 1.0, 9.0, 0.003, 1.0)]) == []
    assert broken([Row(TENSOR_BYTES, "pyzmq", 5, 1.0, 1.0, 1.0, 9.0, None, 1.0)]) == []


@pytest.mark.parametrize(("option", "value"), [("--sizes", "5"), ("--sizes", "17MiB"), ("--sizes", "many"), ("--peers", "pigeon")])
def test_what_cannot_be_measured_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "runner", option, value]) == 2
    assert value in capsys.readouterr().err


def test_none_of_ours_may_be_slower_than_grpc() -> None:
    def row(peer: str, n_bytes: int, median_s: float) -> Row:
        return Row(n_bytes, peer, 5, median_s, median_s, median_s, None, None, median_s)

    grpc = [row(GRPC, 64, 1.0), row(GRPC, 128, 3.0)]
    assert broken([*grpc, row("ours", 64, 1.0), row("pyzmq", 64, 9.0), row("ours_run", 128, 2.0)]) == []
    (said,) = broken([*grpc, row("ours", 64, 0.5), row("ours_run", 64, 2.0)])
    assert said == "ours_run takes 2.00 times gRPC's time with 64 bytes; no longer than gRPC is promised"
    assert broken([row("ours", 256, 9.0), *grpc]) == []  # nobody to compare with


def test_a_rest_comes_before_each_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    turns: list[tuple[str, int]] = []
    monkeypatch.setattr("lmos.bench.exchanging.time.sleep", rests.append)
    said: list[str] = []
    whole = replace(counting("a process each", []), can_rest=False)
    rows = compete([counting("a", turns), whole], [64], IN_A_ROW + 2, 0, nothing, said.append, rest_s=0.005)
    assert [rest for rest in rests if rest] == [0.005] * (IN_A_ROW + 2)
    assert [(row.peer, row.rounds) for row in rows] == [("a", IN_A_ROW + 2)]
    assert said == ["a process each is left out: it cannot rest between exchanges, because each turn is a process of its own"]


def test_a_library_that_fails_is_named() -> None:
    @contextmanager
    def connect(n_bytes: int) -> Iterator[Session]:
        yield in_a_row(lambda: 1 / 0)  # type: ignore[arg-type, return-value]

    with pytest.raises(RunnerError, match="broken: an exchange failed: ZeroDivisionError: division by zero"):
        compete([Peer("broken", lambda: nullcontext(connect))], [64], 1, 0, nothing, nothing)


@pytest.mark.process
def test_a_rest_is_told_and_nothing_is_promised_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "runner", "--sizes", "64", "--peers", "ours,raw_socket", "-n", "2", "--rest", "2ms"]) == 0
    assert "Before each exchange: a rest of 2.00 ms" in " ".join(capsys.readouterr().out.split())
    assert main(["bench", "runner", "--rest", "2s"]) == 2
    assert "--rest: '2s' is longer than 1 s" in capsys.readouterr().err
