"""Runs without torch against a real server: outputs, reports, and every image's end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lmos.cli import main as lmos
from lmos_edge import command
from lmos_edge.plans import Plan
from lmos_edge.programs import Exported
from lmos_edge.report import Outcome
from lmos_edge.running import Options, Run
from lmos_edge.running import run_plan as run_held
from lmos_opt.errors import InputError
from lmos_opt.processes.signals import in_one_piece
from runner.errors import ConnectionLost
from runner.places.edge import run_plan as run_with_torch
from runner.watching.report import RunReport
from runner.wire.connecting import format_address
from runner.wire.timeouts import PATIENT
from tests.lmos_edge.conftest import Export
from tests.lmos_edge.test_plans import changed
from tests.runner.running import NETWORKS, ServerProcess, server_process, whole

HEAVY = ("torch", "pyomo", "pandas", "pydantic", "safetensors")
LISTING = "import sys\nsys.stderr.write(' '.join(name for name in {heavy!r} if sys.modules.get(name)))\nsys.exit(code)"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    np.save(tmp_path / "inputs.npy", np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32))
    return tmp_path / "inputs.npy"


def ran(plan: Plan, address: tuple[str, int], options: Options) -> dict[str, Any]:
    with in_one_piece() as held:
        return run_held(plan, address, options, held)


def test_the_report_is_the_runners_and_classes_the_whole_networks(one_server: ServerProcess, export: Export, inputs: Path) -> None:
    found = ran(Plan.load(export.file), one_server.address, Options(export.head, inputs, n=5, threads=1))
    report = RunReport.from_dict(json.loads(json.dumps(found)))
    values = torch.from_numpy(np.load(inputs))
    with torch.no_grad():
        expected = [int(whole(export.plan)(image[None]).argmax()) for image in values]
    assert [image.class_ for image in report.per_image] == [*expected, expected[0]]
    assert [image.file for image in report.per_image][-2:] == ["inputs.npy[3]", "inputs.npy[0]"]
    assert (report.images, report.lost, report.retries, report.fallbacks, report.complete) == (5, 0, 0, 0, True)
    assert report.plan == export.plan
    assert {*report.measured} == {*report.predicted} == {*report.errors}
    assert report.environment.edge.versions["engine"] == "onnxruntime"
    assert report.environment.server is not None
    assert report.environment.server.versions["torch"]
    for image in report.per_image:
        total = image.t_edge_s + image.t_tx_s + image.t_server_s
        assert 0 < total <= image.latency_s
        assert image.result is not None
        assert image.sent_bytes == sum(tensor.bytes for tensor in export.plan.crossing)
    with_torch = run_with_torch(export.plan, one_server.address, images=inputs, networks=NETWORKS)
    assert [image.class_ for image in with_torch.per_image] == expected
    assert [image.returns for image in with_torch.per_image] == [image.returns for image in report.per_image[:4]]


def test_numbers_that_cross_beside_tensors_are_sent_as_the_export_has_them(one_server: ServerProcess, export: Export, inputs: Path,
                                                                           tmp_path: Path) -> None:  # fmt: skip
    """The server, which needs none for this cut, says what came; tests/runner/parts/test_exporting.py has a cut that needs one."""
    folder = alone(export, tmp_path / "parts")
    changed(folder / "export.json", folder / "export.json", **{"parts.head.sizes": {"size": 3}})
    found = ran(Plan.load(export.file), one_server.address, Options(folder, inputs, n=1, threads=1))
    assert "sizes: got {'size': 3}, expected {}" in json.dumps(found)
    changed(folder / "export.json", folder / "export.json", **{"parts.head.sizes": {"size": "three"}})
    with pytest.raises(InputError, match=r"parts\.head\.sizes: got .*expected numbers by name"):
        Exported.of(Plan.load(export.file), folder)


def test_pictures_are_what_the_runner_makes_of_them(one_server: ServerProcess, export: Export) -> None:
    found = ran(Plan.load(export.file), one_server.address, Options(export.folder, threads=1))
    theirs = run_with_torch(export.plan, one_server.address, networks=NETWORKS)
    report = RunReport.from_dict(json.loads(json.dumps(found)))
    assert [(i.file, i.class_) for i in report.per_image] == [(i.file, i.class_) for i in theirs.per_image]
    assert report.environment.images == theirs.environment.images
    assert report.environment.preprocessing == theirs.environment.preprocessing


@pytest.mark.parametrize(("codec", "least", "most"), [("fp16", 0.5, 0.5), ("int8", 0.25, 0.35)])
def test_fewer_bytes_are_sent_where_the_plan_says_it(one_server: ServerProcess, export: Export, inputs: Path, tmp_path: Path,
                                                    codec: str, least: float, most: float) -> None:  # fmt: skip
    plan = Plan.load(changed(export.file, tmp_path / "plan.json", codec=codec))
    report = RunReport.from_dict(ran(plan, one_server.address, Options(export.head, inputs, threads=1)))
    assert report.lost == 0
    assert report.codec is not None
    assert report.codec.codec == codec
    assert least <= report.codec.ratio <= most


def alone(export: Export, folder: Path) -> Path:
    """The export without the whole network."""
    folder.mkdir()
    (folder / "head.onnx").write_bytes(export.head.read_bytes())
    return changed(export.folder / "export.json", folder / "export.json", **{"parts.whole": None}).parent


def test_a_server_that_is_not_there_is_said_at_once(export: Export, inputs: Path) -> None:
    with pytest.raises(ConnectionLost, match="connection refused; is 'lmos serve' running there"):
        ran(Plan.load(export.file), ("127.0.0.1", 1), Options(export.head, inputs, threads=1))


@pytest.mark.process
def test_a_server_that_goes_loses_nothing(export: Export, inputs: Path, tmp_path: Path) -> None:
    """It comes back, and images wait for it; or it does not, and they are finished by the whole network."""
    plan, stopped = Plan.load(export.file), list[ServerProcess]()
    with ExitStack() as stack:
        server = stack.enter_context(server_process(tmp_path / "first.log"))

        def comes_back(what: str) -> None:
            if what == "2 of 6":
                server.stop(signal.SIGKILL)
                stopped.append(stack.enter_context(server_process(tmp_path / "second.log", port=server.port)))

        folder = alone(export, tmp_path / "alone")
        found = ran(plan, server.address, Options(folder, inputs, n=6, threads=1, tell=comes_back))
        report = RunReport.from_dict(json.loads(json.dumps(found)))
        assert (report.images, report.lost, report.fallbacks) == (6, 0, 0)
        assert "server_lost" in {one.event for one in report.happened}

        def goes(what: str) -> None:
            if what == "2 of 6":
                stopped[0].stop(signal.SIGKILL)

        found = ran(plan, server.address, Options(export.head, inputs, n=6, threads=1, deadline_s=1.0, tell=goes))
    after = RunReport.from_dict(json.loads(json.dumps(found)))
    assert (after.images, after.lost, after.fallbacks) == (6, 0, 4)
    assert [image.class_ for image in after.per_image] == [image.class_ for image in report.per_image]
    assert all(image.t_tail_s > 0 and image.reason for image in after.per_image[2:])


@pytest.mark.process
@pytest.mark.parametrize("content", [None, b"half of it"])
def test_images_wait_for_the_server_where_the_whole_networks_file_is_not_what_was_written(
        export: Export, inputs: Path, tmp_path: Path, content: bytes | None) -> None:
    folder = alone(export, tmp_path / "parts")
    (folder / "export.json").write_bytes((export.folder / "export.json").read_bytes())
    if content is not None:
        (folder / "whole.onnx").write_bytes(content)
    with ExitStack() as stack:
        server = stack.enter_context(server_process(tmp_path / "first.log"))

        def comes_back(what: str) -> None:
            if what == "1 of 3":
                server.freeze()
                thaw = threading.Timer(1.0, server.process.send_signal, [signal.SIGCONT])
                thaw.start()
                stack.callback(thaw.join)

        options = Options(folder, inputs, n=3, threads=1, deadline_s=0.1, tell=comes_back)
        found = ran(Plan.load(export.file), server.address, options)
    assert (found["images"], found["lost"], found["fallbacks"], found["failed"]) == (3, 0, 0, [])


@pytest.mark.parametrize(("limit", "said"), [(1, "B at the edge, the plan's limit is 1 B"), (10**9, None), (None, None)])
def test_the_whole_network_runs_here_only_within_the_plans_limit(export: Export, tmp_path: Path, limit: int | None,
                                                                said: str | None) -> None:  # fmt: skip
    file = export.file if limit is None else changed(export.file, tmp_path / "plan.json", **{"setting.memory_limit_bytes": limit})
    plan = Plan.load(file)
    found = Run(plan, Exported.of(plan, export.head), None, PATIENT, 1, Outcome()).why_not_here()
    assert found is None if said is None else found is not None and found.endswith(said)
    without = Run(plan, Exported.of(plan, alone(export, tmp_path / "alone")), None, PATIENT, 1, Outcome()).why_not_here()
    assert without == "the whole network is not here ('lmos export --whole' writes it)"


def edge(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command of the edge in a process of its own; at the end it says which large packages it has."""
    module = "lmos.cli" if arguments[0] == "lmos" else "lmos_edge.command"
    program = f"from {module} import main\ncode = main({[str(one) for one in arguments[1:]]!r})\n" + LISTING.format(heavy=HEAVY)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.parametrize("name", ["lmos", "lmos-edge"])
def test_the_commands_import_no_large_package(one_server: ServerProcess, export: Export, inputs: Path, tmp_path: Path,
                                             name: str) -> None:  # fmt: skip
    report = tmp_path / "report.json"
    done = edge(name, "run", export.file, "--head", export.head, "--server", format_address(one_server.address), "--images", inputs,
                "-o", report, "--threads", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = {*done.stderr.split()}
    assert loaded <= ({"pydantic"} if name == "lmos" else set())
    assert "4 images of" in done.stdout
    assert RunReport.load(report).images == 4


def test_options_that_need_torch_are_refused_by_name(export: Export, capfd: pytest.CaptureFixture[str]) -> None:
    assert lmos(["run", str(export.file), "--head", str(export.head), "--pipeline"]) == 2
    assert capfd.readouterr().err == "lmos: --pipeline: does not go with --head, which runs without torch\n"


@pytest.mark.parametrize(("arguments", "said"), [
    (["none.json"], "none.json: no such file or directory"),
    (["{plan}"], "--head: is missing: the plan has layers at the edge, which 'lmos export' writes into a file"),
    (["{plan}", "--head", "none/head.onnx"], "none/head.onnx: no such file or folder"),
    (["{plan}", "--head", "{head}", "--images", "none"], "none: no such file or folder"),
    (["{plan}", "--head", "{head}", "-o", "report.txt"], "report.txt: has the suffix '.txt'; expected .json"),
    (["{plan}", "--head", "{head}", "-o", "none/report.json"], "none/report.json: cannot be written: no such file or directory"),
    (["{plan}", "--head", "{head}", "-o", "{plan}"], "{plan}: is the file of the plan too; name another one"),
    (["{plan}", "-n", "²"], "-n: '²' is not a whole number of at least 1"),
    (["{plan}", "--threads", "9999"], "--threads: '9999' is more than 1024"),
    (["{plan}", "--pipeline"], "unrecognized arguments: --pipeline"),
    ([], "the following arguments are required: PLAN"),
    (["{plan}", "--head", "{head}", "--server", "here:x"], "--server: 'here:x' is not HOST:PORT"),
    (["{plan}", "--head", "{head}", "--shape", "fast"], "shape: 'fast' is not a rate"),
    (["{plan}", "--head", "{head}", "--token-file", "none"], "--token-file: none: no such file or directory; expected a file"),
    (["{plan}", "--head", "{head}", "--cert", "c.pem"], "--ca: is missing; --cert and --key need it"),
])  # fmt: skip
def test_what_cannot_be_used_is_one_line(export: Export, capfd: pytest.CaptureFixture[str], arguments: list[str],
                                        said: str) -> None:  # fmt: skip
    code = command.main(["run", *(one.format(plan=export.file, head=export.head) for one in arguments)])
    err = capfd.readouterr().err
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"lmos-edge: {said.format(plan=export.file)}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_by_signal_still_writes_the_report(one_server: ServerProcess, export: Export, inputs: Path, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
                                                 number: signal.Signals) -> None:  # fmt: skip
    def told(what: str) -> None:
        if what.startswith("3 of "):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(command, "_tell", told)
    report, address = tmp_path / "report.json", format_address(one_server.address)
    line = ["run", export.file, "--head", export.head, "--server", address, "--images", inputs, "-n", "1000", "-o", report]
    assert command.main([*map(str, line)]) == 1
    assert capfd.readouterr().err == "lmos-edge: interrupted after 3 images\n"
    found = RunReport.load(report)
    assert (found.images, found.complete, found.reason) == (3, False, "interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_input_does_not_take_the_report(
    one_server: ServerProcess, export: Export, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def told(what: str) -> None:
        if not what:  # the last thing before the report is printed
            os.kill(os.getpid(), number)

    monkeypatch.setattr(command, "_tell", told)
    report, address = tmp_path / "report.json", format_address(one_server.address)
    line = ["run", export.file, "--head", export.head, "--server", address, "--images", inputs, "-o", report]
    assert command.main([*map(str, line)]) == 1
    assert RunReport.load(report).images == 4


def test_an_input_that_has_gone_ends_the_run_with_its_report(one_server: ServerProcess, export: Export, tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (9, 9)).save(tmp_path / f"{name}.png")

    def told(what: str) -> None:
        if what == "2 of 3":
            (tmp_path / "c.png").unlink()

    found = ran(Plan.load(export.file), one_server.address, Options(export.folder, tmp_path, threads=1, tell=told))
    assert (found["images"], found["complete"]) == (2, False)
    assert found["reason"].startswith(f"{tmp_path / 'c.png'}: is not a picture that can be read: no such file")


def test_a_missing_onnxruntime_is_one_line(export: Export, monkeypatch: pytest.MonkeyPatch,
                                          capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert command.main(["run", str(export.file), "--head", str(export.head)]) == 1
    assert capfd.readouterr().err == (
        "lmos-edge: running an exported head (onnxruntime) needs the extra 'export': pip install 'lmos[export]'\n"
    )
