"""The command line: help, exit codes, and what a bad file or option gets: one clear line and nothing else."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lmos.cli import command_line, main
from lmos.cli.application import app
from lmos_opt.processes.signals import handled
from tests import warm
from tests.lmos_opt.documents import chain_data, instance_data, layer, listed
from tests.processes import started

LMOS = [sys.executable, "-m", "lmos"]
COMMANDS = ("profile", "calibrate", "front", "plan", "policy", "fidelity", "ui", "serve", "certs", "run", "generate",
            "probe", "trace-link", "scenarios", "trace", "report", "regions", "export", "model", "demo", "emulate", "doctor",
            "cache", "reproduce", "sweep", "bench")


def ends(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int) -> str:
    """Run a command that must fail with the code: one line on standard error, which comes back, nothing elsewhere."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("lmos: ")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    return err


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed(**changes: object) -> dict[str, Any]:
    """The chain with other values in its second layer."""
    data = chain_data()
    data["layers"][1] |= changes
    return data


def without(key: str) -> dict[str, Any]:
    data = chain_data()
    del data["layers"][1][key]
    return data


def text(data: object) -> bytes:
    return json.dumps(data).encode()


CHAIN = text(chain_data())
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "negative": (text(changed(t_edge_s=-0.5)), "layers[1].t_edge_s: got -0.5, expected greater than or equal to 0"),
    "nan": (text(changed(t_edge_s=float("nan"))), "layers[1].t_edge_s: got NaN, expected a finite number"),
    "infinity": (text(changed(t_edge_s=float("inf"))), "layers[1].t_edge_s: got Infinity, expected a finite number"),
    "1e400": (CHAIN.replace(b"0.125", b"1e400"), "layers[1].t_server_s: got inf, expected"),
    "string": (text(changed(t_server_s="0.5")), 'layers[1].t_server_s: got "0.5", expected a valid number'),
    "bool": (text(changed(weight_bytes=True)), "layers[1].weight_bytes: got true, expected a valid integer"),
    "null": (text(changed(output_bytes=None)), "layers[1].output_bytes: got null, expected a valid integer"),
    "missing key": (text(without("t_server_s")), "layers[1].t_server_s: is missing"),
    "unknown key": (text(chain_data(colour="red")), "colour: is not a key of this schema"),
    "unknown input": (text(changed(inputs=["a", "z"])), "layers[1].inputs[1]: 'z' is neither an earlier layer nor 'input'"),
    "cycle": (text(instance_data(layer("a", "b"), layer("b", "a"))), "layers[0].inputs[0]: 'b' makes a cycle with 'a'"),
    "self-loop": (text(changed(inputs=["b"])), "layers[1].inputs[0]: 'b' makes a cycle with 'b'"),
    "later input": (text(instance_data(layer("a", "b"), layer("b", "input"))), "layers[0].inputs[0]: 'b' stands later"),
    "name twice": (text(changed(name="a")), "layers[1].name: 'a' is already the name of layers[0]"),
    "named input": (text(changed(name="input")), "layers[1].name: 'input' is reserved for an input"),
    "unprintable name": (text(changed(name="b\x1b[31m\n")), r'layers[1].name: got "b\u001b[31m\n", expected printable text'),
    "no layers": (text(instance_data()), "layers: is empty"),
    "layers an object": (text(chain_data(layers={})), "layers: got an object of 0, expected"),
    "wrong schema": (text(chain_data(schema="lmos.instance/9")), "schema: got \"lmos.instance/9\", expected"),
    "no schema": (text({"layers": []}), "schema: is missing; expected 'lmos.instance/1' or"),
    "zero bandwidth": (text(chain_data(bandwidth_bytes_per_s=0)), "bandwidth_bytes_per_s: got 0, expected"),
    "not json": (b"layers: 3", "is not JSON: Expecting value (line 1, column 1)"),
    "half a file": (CHAIN[:100], "is not JSON: "),
    "empty": (b"", "is empty; expected JSON"),
    "deep nesting": (b'{"schema": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is nested too deeply"),
    "a list as a name": (text(changed(name=[[[[]]]])), "layers[1].name: got a list of 1, expected a valid string"),
    "huge integer": (CHAIN.replace(b"8000", b"8" + 399 * b"0"), "layers[0].output_bytes: got 8000"),
    "endless integer": (CHAIN.replace(b"8000", b"8" * 5000), "is not usable JSON"),
    "huge time": (CHAIN.replace(b"0.125", b"8" + 399 * b"0"), "layers[1].t_server_s: got 8000"),
    "fraction of a byte": (text(changed(output_bytes=0.5)), "layers[1].output_bytes: got 0.5, expected a valid integer"),
    "key twice": (CHAIN.replace(b'"rtt_s"', b'"rtt_s": 1, "rtt_s"'), 'the key "rtt_s" stands twice'),
    "not utf-8": (CHAIN.replace(b"toy", b"to\xff"), "is not UTF-8 text (byte "),
    "utf-16": (CHAIN.decode().encode("utf-16"), "is not UTF-8 text (byte 0)"),
    "half a character": (CHAIN.replace(b"toy", rb"to\ud800"), "name: got "),
    "a list": (text([chain_data()]), "a JSON object with schema 'lmos.instance/1' or 'lmos.instance/2' or "),
    "extra that is no number": (text(changed(price="cheap")), 'layers[1].price: got "cheap", expected a valid number'),
    "extra with a newline": (text(changed(**{"a\nb": "x"})), "layers[1].a b"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_instance_file_gets_one_line_and_no_output(name, folder, capsys):
    content, complaint = BAD_FILES[name]
    (folder / "bad.json").write_bytes(content)
    line = ends(["front", "bad.json", "-o", "out.json"], capsys, 2)
    assert line.startswith("lmos: bad.json: ")
    assert complaint in line
    assert len(line) < 1000
    assert listed(folder) == ["bad.json"]


@pytest.mark.parametrize("command", ["front", "plan"])
def test_everything_wrong_stands_in_the_one_line(command, folder, capsys):
    (folder / "bad.json").write_bytes(text(changed(t_edge_s=-1, t_server_s="x", inputs=[5])))
    line = ends([command, "bad.json", "-o", "out.json", *(["--select", "knee"] if command == "plan" else [])], capsys, 2)
    assert all(f"layers[1].{key}: got " in line for key in ("t_edge_s", "t_server_s", "inputs[0]"))
    assert listed(folder) == ["bad.json"]


def test_a_folder_and_a_missing_file(folder, capsys):
    (folder / "dir.json").mkdir()
    assert "dir.json: is a directory" in ends(["front", "dir.json", "-o", "out.json"], capsys, 2)
    assert "none.json: no such file" in ends(["front", "none.json", "-o", "out.json"], capsys, 2)
    assert listed(folder) == ["dir.json"]


@pytest.mark.parametrize("name", ["negative", "deep nesting", "not utf-8"])
def test_bad_files_in_a_real_process(name, folder):
    (folder / "bad.json").write_bytes(BAD_FILES[name][0])
    done = warm.run([*LMOS, "front", "bad.json", "-o", "out.json"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert BAD_FILES[name][1] in done.stderr
    assert listed(folder) == ["bad.json"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--edge", "rpi99"], "rpi99: is neither a file nor a bundled device; bundled are i7-8700"),
        (["--server", "none.json"], "none.json: no such file"),
        (["--edge", ""], "is neither a file nor a bundled device"),
        (["--edge", "rpi4"], "has no number 'macs'"),
        (["--edge", "local"], "has no number 'macs'"),
        (["--memory", "-1"], "memory: '-1' is not a size"),
        (["--memory", "0.5"], "memory: '0.5' is a fraction of a byte"),
        (["--memory", "1e300"], "memory_limit_bytes: got 1000"),
        (["--bandwidth", "0Mbps"], "bandwidth: '0Mbps' is not a rate greater than zero"),
        (["--bandwidth", "10"], "bandwidth: '10' is not a rate; expected a number with a unit such as 10Mbps"),
        (["--bandwidth", ""], "bandwidth: '' is not a rate"),
        (["--rtt", "x"], "rtt: 'x' is not a time"),
        (["--rtt", "1e300s"], "rtt_s: got 1e+300"),
        (["--memory-model", "most"], "--memory-model: 'most' is not one of sum, peak"),
        (["--objectives", "latency,speed"], "objectives: 'speed' is not an objective; there are "),
        (["--objectives", "latency,latency"], "--objectives: 'latency,latency' names 'latency' twice"),
        (["--objectives", "latency,,memory"], "--objectives: 'latency,,memory' has an empty entry; expected a list such as a,b,c"),
        (["--objectives", ","], "--objectives: ',' names none; expected a list"),
        (["--memory", ","], "memory: ',' names no size"),
        (["--objectives", "latency,memory,energy"], "the objective energy needs the edge device's powers"),
        (["--constrain", "energy"], "constrain: 'energy' is not among the objectives latency, memory"),
        (["--solver", "magic"], "solver: 'magic' is not a solver; there are "),
        (["--speed", "1"], "No such option: --speed"),
        (["--memory"], "--memory"),
        (["another.json"], "unexpected extra argument"),
    ],
)
@pytest.mark.parametrize("command", ["front", "plan"])
def test_bad_options_get_one_line_and_no_output(command, options, complaint, folder, capsys):
    (folder / "toy.json").write_bytes(CHAIN)
    rule = ["--select", "knee"] if command == "plan" else []
    assert complaint in ends([command, "toy.json", "-o", "out.json", *rule, *options], capsys, 2)
    assert listed(folder) == ["toy.json"]


@pytest.mark.parametrize("rule", ["cut:99", "cut:-1", "cut:x", "cut:", "RS:x", "budget:", "budget:x", "slack:", "slack:-1",
                                  "best", "", "knee:1", "ECO:1"])  # fmt: skip
def test_bad_rules_get_one_line_and_no_output(rule, folder, capsys):
    (folder / "toy.json").write_bytes(CHAIN)
    ends(["plan", "toy.json", "--select", rule, "-o", "plan.json"], capsys, 2)
    ends(["front", "toy.json", "--select", rule, "-o", "front.json", "--plot", "front.png"], capsys, 2)
    assert listed(folder) == ["toy.json"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["front", "toy.json", "-o", "out.txt"], "out.txt: has the suffix '.txt'; expected one of .json, .csv, .parquet"),
        (["front", "toy.json", "-o", "out"], "expected one of .json, .csv, .parquet"),
        (["front", "toy.json", "-o", "out.json", "--plot", "out.jpg"], "expected one of .png, .svg, .pdf, .html"),
        (["front", "toy.json", "-o", "none/out.json"], "none/out.json: cannot be written: no such file or directory"),
        (["front", "toy.json", "-o", "toy.json/out.csv"], "toy.json/out.csv: cannot be written: not a directory"),
        (["front", "toy.json", "--plot", "none/out.png"], "none/out.png: cannot be written: no such file or directory"),
        (["front", "toy.json", "-o", "out.json", "--objectives", "latency", "--plot", "out.png"], "has no picture"),
        (["plan", "toy.json", "--select", "knee", "-o", "out.csv"], "out.csv: has the suffix '.csv'; expected .json"),
        (["plan", "toy.json", "--select", "knee", "-o", "none/out.json"], "none/out.json: cannot be written: no such file"),
        (["front", "toy.json", "-o", "toy.json"], "toy.json: is the file of the source too; name another one"),
        (["front", "toy.json", "--log", "./toy.json"], "toy.json: is the file of the source too"),
        (["front", "toy.json", "-o", "out.json", "--log", "out.json"], "out.json: is the file of the log too"),
        (["plan", "toy.json", "--select", "knee", "-o", "toy.json"], "toy.json: is the file of the source too"),
        (["run", "toy.json", "-o", "r.json", "--trace", "r.json"], "r.json: is the file of the trace too"),
        (["trace", "toy.json", "-o", "toy.json"], "toy.json: is the file of the report too"),
        (["front", "x" * 3000], f"{'x' * 90}: file name too long"),
        (["front", "vgg19", "--link", "x" * 3000], f"{'x' * 90}: file name too long"),
        (["policy", "toy.json", "--select", "knee", "--over", "memory:²"], "--over: 'memory:²' is not one of bandwidth"),
        (["front", "toy.json", "--objectives", f"tx_bytes:{'9' * 5000}"], "is not a whole number from 1 on"),
        (["plan", "toy.json"], "--select"),
        (["front"], "SOURCE"),
        (["front", "vgg20"], "vgg20: is neither a file nor a bundled network; bundled are alexnet"),
        (["front", "vgg19", "--edge", "toy.json"], "toy.json: schema: got \"lmos.instance/1\", expected 'lmos.device/1'"),
        (["profile", "nosuchnetwork"], "nosuchnetwork"),
        (["profile", "alexnet", "--granularity", "fine"], "--granularity: 'fine' is not one of module, paper"),
        (["profile", "alexnet", "--input", "3x224"], "--input: '3x224' is not a shape such as 3x224x224"),
        (["profile", "alexnet", "--threads", "0"], "--threads"),
        (["profile", "alexnet", "--engine", "torch:cuda"], "--time: is missing; --engine needs it"),
        (["profile", "alexnet", "--budget", "2s"], "--time or --at: is missing; --budget needs it"),
        (["profile", "alexnet", "--token-file", "token"], "--at: is missing; --token-file needs it"),
        (["profile", "alexnet", "-n", "2"], "--fidelity: is missing; -n needs it"),
        (["front", "toy.json", "--at-most", "latenci=1s"], "--at-most: 'latenci' is not an objective"),
        (["front", "toy.json", "--objectives", "latenci,memory"], "did you mean 'latency'?"),
        (["front", "toy.json", "--solver", "HiGS"], "glpk, gurobi, highs, scip; did you mean 'highs'?"),
        (["regions", "alexnet", "-o", "page.html", "--floor", "200%"], "--floor: a loss of 200 % is more than everything"),
        (["serve", "--weights", "none.pt"], "none.pt: no such file"),
        (["profile", "alexnet", "-o", "alexnet.txt"], "expected .json"),
        (["run", "toy.json"], "toy.json: schema: got \"lmos.instance/1\", expected 'lmos.plan/1'"),
        (["run", "none.json"], "none.json: no such file"),
        (["demo", "-o", "toy.json"], "toy.json: cannot be a folder: file exists"),
        (["demo", "-n", "0"], "-n"),
        (["demo", "-n", "many"], "'-n': expected a valid integer, unable to parse"),
        (["serve", "--listen", "127.0.0.1:http"], "127.0.0.1:http"),
        (["serve", "--listen", "[::1]:0:1"], "--listen: '[::1]:0:1' is not HOST:PORT"),
        (["serve", "--next", "[::1]:0:1"], "--next: '[::1]:0:1' is not HOST:PORT"),
        (["probe", "--server", "here:x"], "--server: 'here:x' is not HOST:PORT"),
        (["profile", "alexnet", "--at", "here:x"], "--at: 'here:x' is not HOST:PORT"),
        (["serve", "--token-file", "none"], "--token-file: none: no such file or directory; expected a file that holds a token"),
        (["serve", "--listen", "127.0.0.1:0", "--network", "toy.py:thing"], "installed ones; did you mean 'toy:thing'?"),
        (["serve", "--listen", "127.0.0.1:0", "--network", "no.such:thing"], "no.such:thing: there is no module 'no' in"),
        (["serve", "--listen", "127.0.0.1:0", "--network", "onnx:none.onnx"], "onnx:none.onnx: no such file"),
        (["nosuchcommand"], "No such command 'nosuchcommand'."),
        (["frnt"], "No such command 'frnt'. Did you mean 'front'?"),
        (["--nosuchoption"], "No such option: --nosuchoption"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments, complaint, folder, capsys):
    (folder / "toy.json").write_bytes(CHAIN)
    assert complaint in ends(arguments, capsys, 2)
    assert listed(folder) == ["toy.json"]


def test_a_plan_of_numbers_alone_cannot_be_run(folder, capsys):
    (folder / "toy.json").write_bytes(CHAIN)
    assert main(["plan", "toy.json", "--select", "cut:1", "-o", "plan.json", "--json"]) == 0
    capsys.readouterr()
    assert "plan.json: network: is null" in ends(["run", "plan.json"], capsys, 2)
    assert "plan.json: network: is null" in ends(["export", "plan.json", "-o", "parts"], capsys, 2)


def test_a_front_of_another_problem_is_not_resumed(folder, capsys):
    (folder / "toy.json").write_bytes(CHAIN)
    assert main(["front", "toy.json", "-o", "front.json", "--json"]) == 0
    capsys.readouterr()
    assert "front.json: the front is of another problem: alexnet: has no layer" in ends(
        ["front", "alexnet", "--resume", "front.json"], capsys, 2)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "constraint"),
    [
        (["front", "toy.json", "--proper-split", "--memory", "12099"], "memory limit 12099 B (12.1 kB, model sum)"),
        (["front", "toy.json", "--proper-split", "--memory", "12099"], "proper split (1 <= x1 <= L-1)"),
        (["front", "toy.json", "--proper-split", "--memory", "12099", "--memory-model", "peak"], "model peak"),
        (["front", "one.json", "--proper-split"], "proper split (1 <= x1 <= L-1)"),
        (["plan", "toy.json", "--select", "knee", "--proper-split", "--memory", "0"], "memory limit 0 B"),
        (["plan", "toy.json", "--select", "cut:1", "--memory", "12099"], "memory limit 12099 B (the split needs 12100 B)"),
        (["plan", "toy.json", "--select", "ECO", "--proper-split"], "proper split (1 <= x1 <= L-1)"),
        (["plan", "toy.json", "--select", "budget:0.4"], "latency budget 0.4 (the least latency is 0.4415 s)"),
        (["front", "toy.json", "--select", "budget:0.4"], "latency budget 0.4"),
    ],
)
def test_an_infeasible_problem_ends_with_3_and_names_the_constraint(arguments, constraint, folder, capsys):
    (folder / "toy.json").write_bytes(CHAIN)
    (folder / "one.json").write_bytes(text(instance_data(layer("a", "input"))))
    line = ends([*arguments, "-o", "out.json"], capsys, 3)
    assert "infeasible: " in line
    assert constraint in line
    assert listed(folder) == ["one.json", "toy.json"]


def test_a_limit_that_a_split_just_meets_is_feasible(folder, capsys):
    (folder / "toy.json").write_bytes(CHAIN)
    assert main(["plan", "toy.json", "--select", "knee", "--proper-split", "--memory", "12100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["x1"] == 1


def test_a_failure_while_running_ends_with_1(capsys):
    """A port that somebody else holds."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "address already in use" in ends(["serve", "--listen", address], capsys, 1)


def test_an_interruption_ends_with_1_and_one_line(capsys, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lmos.commands.front.read", interrupt)
    assert ends(["front", "vgg19", "-o", "out.json"], capsys, 1) == "lmos: interrupted\n"


def test_an_operating_systems_complaint_is_one_line(capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "disk")

    monkeypatch.setattr("lmos.commands.front.read", fail)
    assert ends(["front", "vgg19"], capsys, 1) == "lmos: disk: input/output error\n"


def test_a_folder_that_is_gone_is_named(tmp_path, capsys, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["plan", "alexnet", "--select", "cut:3", "-o", "plan.json"]) == 2
    assert capsys.readouterr().err == "lmos: the current folder: no such file or directory\n"


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    listed = out.partition("Commands:")[2].partition("Exit codes:")[0]
    assert [line.split()[0] for line in listed.splitlines() if line.strip()] == list(COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["bench"]])
def test_a_list_of_commands_says_each_ones_first_sentence_whole(arguments, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*arguments, "--help"]) == 0
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(command, option, capsys):
    assert main([command, option]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: lmos {command} ")
    assert "--help" in out
    assert err == ""


def test_a_command_alone_is_the_one_among_all():
    """Only what is named is made ready to be read."""
    every = command_line._command(app, None).commands
    assert set(every) == set(COMMANDS)
    for name in COMMANDS:
        (alone,) = command_line._command(app, name).commands.items()
        assert (alone[0], [one.name for one in alone[1].params]) == (name, [one.name for one in every[name].params])
        assert getattr(alone[1], "commands", {}).keys() == getattr(every[name], "commands", {}).keys()


@pytest.mark.parametrize("command", ["front", "plan"])
def test_the_options_of_front_and_plan(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("--edge", "--server", "--bandwidth", "--rtt", "--memory", "--memory-model", "--objectives", "--constrain",
                   "--proper-split", "--solver", "--output", "--json"):  # fmt: skip
        assert option in out


def test_no_command_prints_the_help_as_it_is_and_ends_with_2(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: lmos [OPTIONS] COMMAND [ARGS]...\n")
    assert len(err.splitlines()) > 10
    assert all(f"\n  {command} " in err for command in COMMANDS)


def test_the_version(capsys):
    assert main(["--version"]) == 0
    import lmos_opt

    assert capsys.readouterr() == (f"lmos {lmos_opt.__version__}\n", "")


def test_help_imports_nothing_heavy():
    code = ("import sys; from lmos.cli import main; main(['--help']); "
            "print([m for m in ('pyomo', 'torch', 'numpy', 'pandas', 'pydantic', 'matplotlib') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_ctrl_c_in_a_real_process(folder):
    """Interrupted while it waits for its instance in a pipe."""
    with started([*LMOS, "front", "/dev/stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        waiting = Path(f"/proc/{process.pid}/wchan")
        for _ in range(6000):  # not every system says what a process waits for
            if "pipe" in waiting.read_text():
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (1, "", "lmos: interrupted\n")


def test_an_interruption_in_a_finalizer_comes_again(monkeypatch):
    class Ends:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(sys, "unraisablehook", command_line._come_again)
    with handled([signal.SIGALRM], signal.SIG_IGN):
        Ends()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(60)


def test_an_interruption_of_code_from_a_string_leaves_the_exit_code(folder):
    """As of a dataclass that is made while it comes; Python's own `-m` ended as if killed."""
    (folder / "interrupted.py").write_text(
        "import sys\nfrom lmos.cli import command_line, main\n"
        "command_line._command = lambda app, named: exec('raise KeyboardInterrupt')\nsys.exit(main())\n")  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "interrupted"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "lmos: interrupted\n")


@pytest.mark.usefixtures("nothing_settled")
def test_what_a_command_imports_is_left_alone_by_the_collector_while_it_runs(folder, capsys):
    asked = "import gc; from lmos.commands import front; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True"]
    assert main(["front", "vgg19"]) == 0
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        from lmos.commands import nonsense  # noqa: F401
