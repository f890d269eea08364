"""Measuring a link: the fit against lines that are known, the measurement against links that are shaped."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt import Front
from lmos_opt.link import Link, load_link
from runner.client.probe_client import ProbeClient
from runner.errors import RunnerError
from runner.lab.probing.exchanges import Budget, measure
from runner.lab.probing.fit import ProbeTime, fit_link
from runner.wire.protocol import Probe, Received
from runner.wire.shaping import Pacer, parse_shape
from tests.runner.client.playing import ADDRESS, TIMEOUTS, PlayedStream, PlayedStreams, after, honest
from tests.runner.running import ServerProcess


def exchanges(rate: float, base: float, noise: float = 0.0, rounds: int = 6) -> list[ProbeTime]:
    drawn = random.Random(3)
    return [ProbeTime(n, base + n / rate + drawn.expovariate(1 / noise) if noise else base + n / rate)
            for _ in range(rounds) for n in (0, 25_000, 50_000, 75_000, 100_000)]  # fmt: skip


@pytest.mark.parametrize(("rate", "base"), [(1.25e6, 0.02), (96_000.0, 0.3), (1e9, 0.0001)])
def test_a_line_is_found_again(rate: float, base: float) -> None:
    fit = fit_link(exchanges(rate, base))
    assert fit.bandwidth_bytes_per_s == pytest.approx(rate)
    assert fit.base_s == pytest.approx(base)
    assert fit.bandwidth_interval == pytest.approx((rate, rate))
    assert fit.worst_residual_s < 1e-9


def test_a_fifth_of_the_exchanges_held_up_for_long_changes_little() -> None:
    found = exchanges(1.25e6, 0.02, noise=0.0005)
    held = [ProbeTime(one.n_bytes, one.seconds + (0.5 if k % 5 == k // 5 % 5 else 0.0)) for k, one in enumerate(found)]
    fit = fit_link(held)
    assert fit.bandwidth_bytes_per_s == pytest.approx(1.25e6, rel=0.05)
    assert fit.base_s == pytest.approx(0.0205, abs=0.003)
    assert fit.residual_s < 0.01 < fit.worst_residual_s


def test_the_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    drawn, missed = random.Random(0), [0, 0]
    for _ in range(200):
        found = [ProbeTime(one.n_bytes, one.seconds + drawn.gauss(0, 0.002)) for one in exchanges(1.25e6, 0.02, rounds=5)]
        fit = fit_link(found)
        missed[0] += not fit.bandwidth_interval[0] <= 1.25e6 <= fit.bandwidth_interval[1]
        missed[1] += not fit.base_interval[0] <= 0.02 <= fit.base_interval[1]
    assert 1 <= missed[0] <= 24  # 10 expected of 200
    assert missed[1] <= 60  # its interval takes the slope as known


def test_times_that_do_not_grow_are_refused() -> None:
    with pytest.raises(RunnerError, match="take no longer than empty ones"):
        fit_link([ProbeTime(n, 0.1 - n * 1e-9) for n in (0, 10, 20, 30)])
    with pytest.raises(RunnerError, match="one size"):
        fit_link([ProbeTime(0, 0.1)] * 9)


def test_a_server_that_speaks_something_else_is_named() -> None:
    def answer_in_tls(stream: PlayedStream, event: Received) -> None:
        stream.send_bytes(bytes((0x15, 3, 1, 0, 2, 2, 40)))

    with (pytest.raises(RunnerError, match=r"^192\.0\.2\.1:7070: the server speaks TLS, .*--ca"),
          ProbeClient(ADDRESS, None, TIMEOUTS, streams=PlayedStreams(deque([after(0, answer_in_tls)]))) as remote):  # fmt: skip
        remote.probe(0, 0)


@pytest.mark.parametrize(("shape", "seconds", "volume"), [
    ("20Mbps,10ms", 1.5, 32_000_000),
    ("768kbps,100ms", 2.5, 32_000_000),
    ("200Mbps", 1.0, 6_000_000),
])  # fmt: skip
def test_a_shaped_link_is_measured_within_its_budget(shape: str, seconds: float, volume: int) -> None:
    """Messages, pacing and protocol are the real ones; time is played."""
    held, streams = parse_shape(shape), PlayedStreams(deque([honest]))
    with ProbeClient(ADDRESS, Pacer(held, streams.now), TIMEOUTS, streams=streams) as remote:
        begin = streams.time
        found = measure(remote, Budget(seconds, volume))
    fit = fit_link(found)
    assert fit.bandwidth_bytes_per_s == pytest.approx(held.rate_bytes_per_s, rel=0.01)
    assert held.delay_s <= fit.base_s <= held.delay_s + 0.001
    assert sum(one.n_bytes for one in found) <= volume
    assert streams.time - begin <= seconds + 0.01
    sent = [one for one in streams.streams[0].heard if isinstance(one, Probe)]
    assert [one.probe_bytes for one in sent] == [one.n_bytes for one in found]


class ByFormula:
    """A link of 20 Mbit/s and 10 ms in place of a server, with noise, in a time of its own; some exchanges are held up."""

    name = "a link"

    def __init__(self, held_up: Mapping[int, float], seed: int) -> None:
        self.time, self._held_up, self._drawn, self._count = 0.0, held_up, random.Random(seed), 0

    def now(self) -> float:
        return self.time

    def probe(self, probe_bytes: int, echo_bytes: int, within_s: float | None = None) -> tuple[float, float]:
        seconds = 0.01 + probe_bytes / 2.5e6 + self._drawn.uniform(0, 0.0004) + self._held_up.get(self._count, 0.0)
        self.time, self._count = self.time + seconds, self._count + 1
        return seconds, 0.0


@pytest.mark.parametrize("held_up", [{}, {3: 0.03}, {4: 0.5}, {3: 0.03, 4: 0.03}, {0: 0.1, 3: 0.05, 5: 0.2}], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_a_machine_that_holds_up_small_exchanges_changes_nothing(held_up: dict[int, float], seed: int) -> None:
    """A small exchange that took long was held for what the link's bytes take; all others were then as small, and told nothing."""
    link = ByFormula(held_up, seed)
    found = measure(link, Budget(1.5))  # type: ignore[arg-type]
    assert max(one.n_bytes for one in found) > 0.03 * 2.5e6
    assert fit_link(found).bandwidth_bytes_per_s == pytest.approx(2.5e6, rel=0.01)
    assert sum(one.seconds for one in found) <= 1.5


@pytest.mark.process
@pytest.mark.parametrize("budget", [Budget(0.3), Budget(5.0, 1000)])
def test_a_budget_that_does_not_do_is_said(server: ServerProcess, budget: Budget) -> None:
    slow = parse_shape("100kbps,100ms")
    with ProbeClient(server.address, slow) as remote, pytest.raises(RunnerError, match="give --budget or --volume more"):
        measure(remote, budget)


@pytest.mark.process
def test_the_command_writes_a_link_that_fronts_are_traced_for(server: ServerProcess, tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    file = tmp_path / "link.json"
    held = ["--shape", "40Mbps,5ms", "--budget", "1s"]
    assert main(["probe", "--server", f"127.0.0.1:{server.port}", *held, "-o", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    link = Link.load(file)
    assert told["link"] == link.to_dict()
    assert link.bandwidth_interval_bytes_per_s is not None
    assert f"127.0.0.1:{server.port}, held to 40 Mbps, 5.00 ms" in link.sources[0].source
    assert main(["front", "alexnet", "--link", str(file), "--json"]) == 0
    front = Front.from_dict(json.loads(capsys.readouterr().out))
    main(["front", "alexnet", "--bandwidth", str(link.bandwidth_bytes_per_s) + "B/s", "--rtt", str(link.rtt_s), "--json"])
    assert front.points == Front.from_dict(json.loads(capsys.readouterr().out)).points


@pytest.mark.parametrize(("arguments", "message"), [
    (["--server", "127.0.0.1:1"], "connection refused"),
    (["--budget", "soon"], "--budget: 'soon' is not a time"),
    (["--volume", "much"], "--volume: 'much' is not a size"),
    (["-o", "link.csv"], "expected .json"),
])  # fmt: skip
def test_what_goes_wrong_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", *arguments]) in {1, 2}
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_a_link_without_a_round_trip_says_that_it_counts_as_0(capsys: pytest.CaptureFixture[str]) -> None:
    name = next(name for name in ("ethernet-100", "wifi-n-20mhz") if load_link(name).rtt_s is None)
    assert main(["front", "alexnet", "--link", name]) == 0
    assert f"link {name}: its round trip is not known and counts as 0" in capsys.readouterr().err
    assert main(["front", "alexnet", "--link", name, "--rtt", "1ms"]) == 0
    assert capsys.readouterr().err == ""
