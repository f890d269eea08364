"""What happens to images when something happens: short scenes of `lmos bench faults`, and the bad link that they use."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lmos.bench.faults import scenes
from lmos.bench.faults.disk import NotHere, play_disk
from lmos.bench.faults.proxy import Proxy, Trouble
from lmos.bench.faults.refusals import CASES, refusals
from lmos.bench.faults.scenes import SCENES, SLOW, Scene, play, undisturbed
from lmos.bench.faults.stage import ServerProcess, networks_of, planned, planned_over
from lmos.cli import main
from lmos.commands.bench_faults import NETWORK, PATH, X1, X2
from lmos_opt.plan import Plan
from lmos_opt.preprocessing import usual_preprocessing
from runner.places.edge import run_plan
from runner.wire.connecting import listen
from runner.wire.timeouts import Timeouts
from tests.runner import running
from tests.runner.running import Plans

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def small() -> Plans:
    """A network that tells the pictures apart, and costs no process the import of torchvision."""
    return Plans("tests.runner.runner_networks:branched", "seeded:5")


@pytest.fixture(scope="module")
def plan(small: Plans) -> Plan:
    found = small(2).to_dict()
    found["network"]["preprocessing"] = {**usual_preprocessing("seeded:5", 3, 8, 8).model_dump(), "origin": "given"}
    return Plan.from_dict(found)


@pytest.fixture(scope="module")
def classes(small: Plans) -> list[int | None]:
    found = undisturbed(small(-1), 12)
    assert len(set(found)) >= 4
    return found


def scene(name: str) -> Scene:
    return next(scene for scene in SCENES if scene.name == name)


@contextmanager
def echoing() -> Iterator[tuple[str, int]]:
    """Sends everything back, on any number of connections."""
    with listen("127.0.0.1", 0) as listener:

        def echo(peer: socket.socket) -> None:
            with peer:
                try:
                    while data := peer.recv(65536):
                        peer.sendall(data)
                except OSError:
                    pass

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(peer,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def exchanged(address: tuple[str, int], data: bytes) -> bytes:
    with socket.create_connection(address, 5) as peer:
        peer.settimeout(5)
        sender = threading.Thread(target=peer.sendall, args=(data,))
        sender.start()
        found = bytearray()
        while len(found) < len(data) and (more := peer.recv(65536)):
            found += more
        sender.join()
        return bytes(found)


def test_a_link_without_trouble_changes_nothing() -> None:
    data = torch.randint(256, (300_000,), dtype=torch.uint8).numpy().tobytes()
    with echoing() as address, Proxy(address, Trouble()) as proxy:
        assert exchanged(proxy.address, data) == data
    assert (proxy.connections, proxy.flipped, proxy.dropped) == (1, 0, 0)


def test_a_link_changes_one_byte_in_so_many() -> None:
    data = bytes(1_000_000)
    with echoing() as address, Proxy(address, Trouble(flip_every=1000)) as proxy:
        found = exchanged(proxy.address, data)
    changed = sum(byte != 0 for byte in found)
    assert len(found) == len(data)
    assert 1700 < changed <= proxy.flipped < 2300  # on the way there and back


def test_a_link_delays_each_direction() -> None:
    with echoing() as address, Proxy(address, Trouble(delay_s=0.1)) as proxy:
        begin = time.monotonic()
        assert exchanged(proxy.address, b"x" * 100_000) == b"x" * 100_000
        assert time.monotonic() - begin >= 0.2  # there and back; how much longer is the machine's affair


def test_a_link_drops_connections_and_lets_others_in() -> None:
    with echoing() as address, Proxy(address, Trouble(drop_every_s=0.3)) as proxy:
        with socket.create_connection(proxy.address, 5) as peer:
            peer.settimeout(5)
            peer.sendall(b"x")
            assert peer.recv(1) == b"x"
            with pytest.raises(ConnectionResetError):
                peer.recv(1)
        assert exchanged(proxy.address, b"x") == b"x"
    assert proxy.dropped >= 1


def test_a_link_swallows_and_says_nothing() -> None:
    trouble = Trouble(swallow_every_s=0.3)
    with echoing() as address, Proxy(address, trouble) as proxy, socket.create_connection(proxy.address, 5) as peer:
        peer.settimeout(0.3)
        peer.sendall(b"x")
        assert peer.recv(1) == b"x"
        time.sleep(0.4)
        peer.sendall(b"x")
        with pytest.raises(TimeoutError):
            peer.recv(1)
    assert proxy.swallowed >= 1


@pytest.mark.process
def test_a_server_started_again_finishes_what_the_first_began(plan: Plan, classes: list[int | None], tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(scenes, "AWAY_S", 0.3)
    found = play(replace(scene("restart"), shape=SLOW), plan, 12, classes, tmp_path, pipelined=True)
    assert found.is_good
    assert found.images == 12
    assert found.fallbacks == 0
    assert found.retries > 0
    assert "Traceback" not in (tmp_path / "restart.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("name", [scene.name for scene in SCENES])
def test_every_scene_in_full(name: str, pipelined: bool, tmp_path: Path) -> None:
    expected = undisturbed(planned("squeezenet1_1", None)[0], 40)
    plan = planned("squeezenet1_1", 35)[0] if scene(name).place is None else planned_over(NETWORK, PATH, (X1, X2))
    found = play(scene(name), plan, 40, expected, tmp_path, pipelined)
    assert found.is_good
    assert found.images == 40
    assert (found.fallbacks > 0) == (name in {"flip", "all"} or name.endswith("kill"))


@pytest.mark.process
def test_full_disks_take_nothing_with_them(plan: Plan, classes: list[int | None], tmp_path: Path) -> None:
    try:
        found = play_disk(plan, 12, classes, tmp_path)
    except NotHere as error:
        pytest.skip(str(error))
    assert found.is_good
    assert found.images == 12


@pytest.mark.process
def test_who_may_not_come_in_is_told_so_on_both_sides(tmp_path: Path) -> None:
    cases = [case for case in CASES if case.name in {"no TLS", "the next version"}]
    found = {one.case: one for one in refusals(tmp_path, cases)}
    for one in found.values():
        assert one.is_clear, one
    assert "speaks TLS" in found["no TLS"].edge[0]
    assert "speaks version 3" in found["the next version"].server[0]


@pytest.mark.slow
def test_nobody_comes_in_who_may_not(tmp_path: Path) -> None:
    assert all(one.is_clear for one in refusals(tmp_path))


def test_the_command_plays_what_is_named(server: running.ServerProcess, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    running_on = SimpleNamespace(address=server.address, is_running=True)
    monkeypatch.setattr(scenes, "ServerProcess", lambda *_: nullcontext(running_on))  # nothing happens to it
    assert main(["bench", "faults", "--only", "nothing", "-n", "3", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["scenes"]
    assert (found["scene"], found["images"], found["lost"]) == ("nothing", 3, 0)
    monkeypatch.setattr(scenes, "undisturbed", lambda plan, n: [0] * n)
    assert main(["bench", "faults", "--only", "nothing", "-n", "3"]) == 1
    assert "not as it should be: nothing" in capsys.readouterr().err
    assert main(["bench", "faults", "--only", "nonsense"]) == 2
    assert "--only: 'nonsense' is not one of nothing" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize("pipelined", [False, True])
def test_where_the_edge_may_not_finish_images_each_is_reported_with_its_reason(plan: Plan, pipelined: bool, tmp_path: Path) -> None:
    little = plan.to_dict()
    little["setting"]["memory_limit_bytes"] = 10_000  # the head fits, the whole network does not
    networks = networks_of(plan)
    with ServerProcess(tmp_path / "log", networks) as server:

        def kill(what: str, done: int, total: int) -> None:
            if what == "running" and done >= 4 and server.is_running:
                server.kill()

        hasty = Timeouts(connect_s=5, ready_s=30, result_s=0.5, give_up_s=1)
        report = run_plan(Plan.from_dict(little), server.address, n=20, timeouts=hasty, pipelined=pipelined, progress=kill,
                          shape=SLOW, networks=networks)
    assert report.images == len(report.per_image) + len(report.failed) == 20
    assert report.lost == len(report.failed) >= 10
    assert report.fallbacks == 0
    assert all("the plan's limit is 10.0 kB" in failed.reason for failed in report.failed)
    assert all("connection" in failed.reason or "no answer" in failed.reason for failed in report.failed)
