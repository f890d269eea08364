"""An edge and a server on this machine as if they were two; where root, ip, tc and control groups are to be had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmos.cli import main
from runner.lab.emulation.cgroups import Limits, group
from runner.lab.emulation.command import CannotEmulate, do
from runner.lab.emulation.link import EDGE_ADDRESS, SERVER_ADDRESS, Wire, chain, goodput_bytes_per_s
from tests.processes import started

LMOS = [sys.executable, "-m", "lmos"]
RATE = 1.25e6
PROBE = """
import socket, sys, time
server = socket.create_server((sys.argv[1], 9))
sys.stdout.write("ready\\n"); sys.stdout.flush()
peer, _ = server.accept()
begin, count = time.perf_counter(), 0  # not after the first bytes: woken late, it would find many of them
while data := peer.recv(65536):
    count += len(data)
sys.stdout.write(str(count / (time.perf_counter() - begin)))
"""
SEND = "import socket, sys\nsocket.create_connection((sys.argv[1], 9)).sendall(bytes(1_000_000))"


def why_not() -> str | None:
    if os.geteuid() != 0:
        return "takes root"
    try:
        with group(f"lmos-test-{os.getpid()}", Limits(2**30, 0.5)), chain([Wire(RATE)]):
            return None
    except CannotEmulate as error:
        return str(error)


needs_root = pytest.mark.skipif((reason := why_not()) is not None, reason=str(reason))


def there() -> list[str]:
    found = [str(path) for path in Path("/sys/fs/cgroup").glob("**/lmos-*")]
    return found + [name for name in do("ip", "netns").split() if name.startswith("lmos-")]


BEFORE = frozenset(there()) if reason is None else frozenset()
"""What tests that were killed have left."""


def left_behind() -> list[str]:
    return [one for one in there() if one not in BEFORE and not is_of_others(one)]


def is_of_others(name: str) -> bool:
    """Whether it ends in the number of a process that runs and is not this one: somebody else emulates at the same time."""
    number = name.rpartition("-")[2]
    return number.isdecimal() and int(number) != os.getpid() and Path(f"/proc/{number}").exists()


@needs_root
def test_a_group_holds_processes_to_their_share_and_their_memory_and_is_gone_afterwards() -> None:
    busy = "import time\nbegin = time.perf_counter()\nwhile time.process_time() < 0.4: pass\nprint(time.perf_counter() - begin)"
    with group(f"lmos-test-{os.getpid()}", Limits(100_000_000, 0.25)) as made:
        done = subprocess.run([*made.entering(), sys.executable, "-c", busy], capture_output=True, text=True, check=True)
        assert float(done.stdout) > 0.8
        done = subprocess.run([*made.entering(), sys.executable, "-c", "bytearray(200_000_000)"], capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL
        assert 50_000_000 < (made.peak_bytes() or 0) <= 100_000_000
        sleeper = subprocess.Popen([*made.entering(), "sleep", "100"])
        while str(sleeper.pid) not in (made.folders[0] / "cgroup.procs").read_text().split():
            time.sleep(0.01)
    assert sleeper.wait(5) == -signal.SIGKILL
    assert left_behind() == []


@needs_root
def test_a_link_passes_its_rate_between_the_namespaces_and_nowhere_else() -> None:
    with chain([Wire(RATE)]) as made:
        assert "lmos0" not in do("ip", "link")
        listener = subprocess.Popen([*made.inside(2), sys.executable, "-c", PROBE, SERVER_ADDRESS],
                                    stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        subprocess.run([*made.inside(1), sys.executable, "-c", SEND, SERVER_ADDRESS], check=True)
        rate = float(listener.communicate()[0])
        assert 0.8 * RATE < rate < 1.05 * RATE
        assert goodput_bytes_per_s(RATE) == pytest.approx(0.9564 * RATE, rel=1e-3)
        outside = subprocess.run([*made.inside(1), "ip", "route", "get", "192.0.2.1"], capture_output=True, check=False)
        assert outside.returncode != 0
        assert EDGE_ADDRESS in do("ip", "-n", made.namespaces[0], "address")
    assert left_behind() == []


EMULATING = """
import sys, time
from contextlib import nullcontext
from runner.lab.emulation.cgroups import Limits, group
from runner.lab.emulation.link import Wire, chain
from runner.lab.emulation.signals import held_signals
import os
with held_signals() as signals, group(f"lmos-test-{os.getpid()}", Limits(None, 0.5)), chain([Wire(1e6)] * 3):
    sys.stdout.write("made\\n"); sys.stdout.flush()
    if sys.argv[1] == "long":
        with signals.heeded():
            time.sleep(100)
sys.stdout.write("never here\\n")
"""


@needs_root
@pytest.mark.process
@pytest.mark.parametrize("how", ["long", "ending"])
def test_signals_that_come_while_it_cleans_up_leave_nothing_behind(how: str) -> None:
    with started([sys.executable, "-c", EMULATING, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        for number in [signal.SIGTERM, signal.SIGINT, signal.SIGHUP] * 40:
            process.send_signal(number)
            time.sleep(0.005)
            if process.poll() is not None:
                break
        out, _ = process.communicate(timeout=30)
    assert out == ""
    assert process.returncode != 0  # one that comes after the block ends the process as it would any
    assert left_behind() == []


@needs_root
def test_what_was_made_is_gone_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), group("lmos-test-failing", Limits(None, None)), chain([Wire(RATE)]):
        raise ZeroDivisionError
    assert left_behind() == []
    with group("lmos-test-twice", Limits(None, None)):  # noqa: SIM117 - the second must not remove the first
        with pytest.raises(CannotEmulate, match="file exists"), group("lmos-test-twice", Limits(None, None)):
            pass
    assert left_behind() == []


def test_without_root_or_tc_it_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["emulate", "squeezenet1_1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lmos: cannot emulate here: root is needed")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert main(["emulate", "squeezenet1_1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lmos: cannot emulate here: there is no command")


@needs_root
def test_places_in_a_row_reach_the_next_one_alone() -> None:
    with chain([Wire(RATE), Wire(2 * RATE)]) as made:
        for place, names in ((1, ["lmos0"]), (2, ["lmos0", "lmos1"]), (3, ["lmos1"])):
            found = do("ip", "-n", made.namespaces[place - 1], "link")
            assert [name for name in ("lmos0", "lmos1") if name in found] == names
        for place, address, is_reached in ((1, made.address(2), True), (2, made.address(3), True), (1, made.address(3), False)):
            done = subprocess.run([*made.inside(place), "ip", "route", "get", address], capture_output=True, check=False)
            assert (done.returncode == 0) is is_reached
        assert "rate 20Mbit" in do("tc", "-n", made.namespaces[2], "qdisc")
    assert left_behind() == []


@pytest.mark.parametrize(("path", "complaint"), [
    ("1 > 10Mbps", "is not CPUS"), ("1,2,3 > 10Mbps > all", "is not CPUS"), ("0 > 10Mbps > all", "no share of processors"),
    ("x > 10Mbps > all", "no share of processors"), ("1 > fast > all", "fast"), ("1,much > 1Mbps > all", "much"),
])  # fmt: skip
def test_a_path_that_is_none_is_refused(path: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "squeezenet1_1", "--path", path]) == 2
    assert complaint in capsys.readouterr().err
    assert main(["emulate", "squeezenet1_1", "--path", "1 > 1Mbps > all", "--rate", "1Mbps"]) == 2
    assert "leave out --rate" in capsys.readouterr().err


@needs_root
@pytest.mark.slow
@pytest.mark.process
def test_a_plan_is_run_over_three_places(tmp_path: Path) -> None:
    command = [*LMOS, "emulate", "squeezenet1_1", "--path", "0.5 > 10Mbps > 0.5 > 20Mbps > all", "--select", "cut:30,50",
               "-n", "3", "-o", str(tmp_path / "out"), "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert (report["images"], report["lost"], report["fallbacks"]) == (3, 0, 0)
    assert len(report["environment"]["beyond"]) == 1
    for hop, rate, crossing in ((1, RATE, report["plan"]["crossing"][0]), (2, 2 * RATE, report["plan"]["crossing"][1])):
        assert report["measured"][f"t_hop_{hop}_s"]["p50"] > 0.9 * sum(tensor["bytes"] for tensor in crossing) / rate
    assert left_behind() == []


@pytest.mark.parametrize(("option", "value"), [("--cpus", "0"), ("--rate", "fast"), ("--memory", "much")])
def test_options_that_cannot_be_used_are_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "squeezenet1_1", option, value]) == 2
    assert value in capsys.readouterr().err


@needs_root
@pytest.mark.slow
@pytest.mark.process
def test_a_plan_is_run_between_the_namespaces(tmp_path: Path) -> None:
    command = [*LMOS, "emulate", "squeezenet1_1", "--select", "cut:30", "-n", "3", "-o", str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert (report["images"], report["lost"], report["fallbacks"]) == (3, 0, 0)
    assert report["environment"]["server_address"].startswith(SERVER_ADDRESS)
    sent = sum(tensor["bytes"] for tensor in report["plan"]["crossing"])
    assert report["measured"]["t_tx_s"]["p50"] > 0.9 * sent / RATE
    assert (tmp_path / "out" / "report.json").is_file()
    assert left_behind() == []


@needs_root
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(number: int) -> None:
    with started([*LMOS, "emulate", "squeezenet1_1"], stderr=subprocess.PIPE) as process:
        while not any(one.endswith(f"-{process.pid}") for one in there()):
            time.sleep(0.05)
        time.sleep(3)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "lmos: interrupted\n")
    assert left_behind() == []
