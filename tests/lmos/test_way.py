"""One plan's way through `lmos run`, as CONTRIBUTING draws it: the modules on the call stack, down to the socket and back up."""

from __future__ import annotations

import re
import socket
import sys
from itertools import groupby
from pathlib import Path
from types import FrameType

import pytest

from lmos.cli import main
from runner.watching import report as reports
from runner.wire.protocol import Connection, Received, Result
from tests.runner.running import ServerProcess

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("lmos_opt", "measurement", "runner", "lmos")
MOST_MODULES, MOST_VISITS = 12, 2
COMMAND = "lmos/cli/running.py"
REHEARSED = "runner/wire/landing.py"
"""From here an answer of zeros is read that came over no socket."""
Stack = list[str]


def drawn() -> list[str]:
    """The modules of the drawing, from its top to its bottom."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    block = page.partition("### One plan through `lmos run`")[2].split("```")[1]
    return re.findall(r"^ *(\S+\.py)  ", block, re.MULTILINE)


def stack_of(frame: FrameType | None) -> Stack:
    """Our modules from the command, or a thread's first call, to this one; calls inside one module are one visit."""
    found = []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PACKAGES:
            found.append(str(path.relative_to(ROOT)))
            if found[-1] == COMMAND:  # the way begins with the command
                break
        frame = frame.f_back
    return [module for module, _ in groupby(reversed(found))]


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Stack]]:
    """Where the bytes of a crossing tensor reach the socket, where its answer is complete, and where the report is made."""
    found: dict[str, list[Stack]] = {"sent": [], "answered": [], "reported": []}
    send, receive, take, report = socket.socket.sendmsg, Connection.received, Connection.take, reports.make_report

    def sendmsg(sock: socket.socket, parts: list[memoryview], *rest: object) -> int:
        if any(part.nbytes == CROSSING_BYTES for part in parts):
            found["sent"].append(stack_of(sys._getframe(1)))
        return send(sock, parts, *rest)  # type: ignore[arg-type]

    def note(event: object) -> None:
        way = stack_of(sys._getframe(2))
        if isinstance(event, Received) and isinstance(event.message, Result) and REHEARSED not in way:
            found["answered"].append([*way, "runner/wire/protocol/side.py"])

    def received(connection: Connection, n_bytes: int) -> object:
        event = receive(connection, n_bytes)
        note(event)
        return event

    def taken(connection: Connection, data: memoryview) -> object:
        event, n_bytes = take(connection, data)
        note(event)
        return event, n_bytes

    def make_report(*arguments: object) -> object:
        found["reported"].append([*stack_of(sys._getframe(1)), "runner/watching/report.py"])
        return report(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "sendmsg", sendmsg, raising=False)
    monkeypatch.setattr(Connection, "received", received)
    monkeypatch.setattr(Connection, "take", taken)
    monkeypatch.setattr("runner.places.connected.make_report", make_report)
    return found


CROSSING_BYTES = 16 * 55 * 55 * 4
"""SqueezeNet's after its first four layers: few enough that they are sent in one piece."""


@pytest.mark.process
@pytest.mark.parametrize("options", [[], ["--pipeline"]], ids=["one after another", "pipelined"])
def test_a_plan_goes_the_way_that_is_drawn(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str], stacks: dict[str, list[Stack]], options: list[str]
) -> None:
    plan = str(tmp_path / "plan.json")
    assert main(["plan", "squeezenet1_1", "--select", "cut:4", "-o", plan]) == 0
    crossing = re.search(r'"bytes": (\d+)', Path(plan).read_text())
    assert crossing is not None
    assert int(crossing[1]) == CROSSING_BYTES
    assert main(["run", plan, "--server", f"127.0.0.1:{server.port}", "-n", "2", *options]) == 0
    capsys.readouterr()
    assert len(stacks["sent"]) >= 3  # the one that warms up, and the two
    assert len(stacks["answered"]) == 3
    on_the_way = set()
    for ways in stacks.values():
        for way in ways:
            on_the_way |= {*way}
            assert {module for module in way if way.count(module) > MOST_VISITS} == set(), way
            assert len({*way}) <= MOST_MODULES, way
    assert len(on_the_way) <= MOST_MODULES, sorted(on_the_way)
    if options:
        assert on_the_way <= set(drawn())
        assert {way[0] for way in stacks["sent"][1:]} == {"runner/client/server_connection.py"}
    else:
        assert on_the_way == set(drawn())


def test_the_drawing_is_read_as_it_is_drawn() -> None:
    found = drawn()
    assert len(found) == len({*found}) <= MOST_MODULES
    assert all((ROOT / module).is_file() for module in found)
    assert found[0] == COMMAND
