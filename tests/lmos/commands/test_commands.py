"""What `lmos front` and `lmos plan` say and write, through the command line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lmos.cli import main
from lmos_opt import Front, Instance, Plan, pareto_front
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.errors import SubproblemError
from lmos_opt.data import bundled_names
from lmos_opt.device import load_device
from lmos_opt.rules.selection import select
from lmos_opt.solvers import Status
from lmos_opt.sources import load_source
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer, listed, profile_data

POWER = {"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in a folder with a chain (`toy.json`) and nothing else."""
    monkeypatch.chdir(tmp_path)
    Instance.from_dict(chain_data()).save("toy.json")
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """A command's standard output; standard error must stay empty where it succeeds."""
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert code or err == ""
    return out


def front_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Front:
    return Front.from_dict(json.loads(printed(capsys, "front", *arguments, "--json")))


def plan_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Plan:
    return Plan.from_dict(json.loads(printed(capsys, "plan", *arguments, "--json")))


def values(front: Front) -> list[tuple[float, ...]]:
    return [tuple(point.values[name] for name in front.names) for point in front.points]


CHAIN = [(0.4415, 0), (0.633, 12100), (1.001, 13100), (1.75, 63140)]
"""Latency and memory of the chain's four splits, by hand; none dominates another."""


def test_the_json_on_standard_output_is_the_file(folder, capsys):
    out = printed(capsys, "front", "toy.json", "-o", "front.json", "--json", "--algorithm", "epsilon_constraint")
    assert out == (folder / "front.json").read_text()
    found = Front.load("front.json")
    assert values(found) == CHAIN
    assert [(p.x1, p.x2, p.edge_layers) for p in found.points] == [
        (0, 3, ()), (1, 2, ("a",)), (2, 1, ("a", "b")), (3, 0, ("a", "b", "c"))]  # fmt: skip
    assert (found.instance, found.complete, found.constrained, found.solver.name) == ("toy", True, "latency", "highs")
    assert found.solves > 0
    assert set(json.loads(out)) == {"schema", "instance", "objectives", "points", "solves", "seconds", "solver", "complete",
                                    "constrained"}  # fmt: skip
    assert listed(folder) == ["front.json", "toy.json"]


def test_statistics_a_log_and_options_of_the_solver(folder, capsys):
    found = front_of(capsys, "toy.json", "--statistics", "--log", "log.jsonl", "--solver-option", "random_seed=3",
                     "--solver-option", "presolve=off", "-o", "front.json")  # fmt: skip
    assert Front.load("front.json") == found
    assert (found.statistics.seed, found.statistics.solver_options) == (3, {"random_seed": 3, "presolve": "off"})
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert lines == [one.model_dump(mode="json") for one in found.statistics.subproblems]
    table = printed(capsys, "front", "toy.json", "--statistics")
    assert "linear programs, nodes" in table
    assert "certified" in table
    for option, complaint in (("speed=1", "'speed' is not an option of HiGHS"), ("threads", "'threads': expected NAME=VALUE"),
                              ("threads=\udcff", "expected letters that UTF-8 has")):  # fmt: skip
        assert main(["front", "toy.json", "--solver-option", option]) == 2
        assert complaint in capsys.readouterr().err


def test_the_table_for_people(folder, capsys):
    """Scaled: (0, 1), (0.146, 0.808), (0.428, 0.793), (1, 0): only the second is below the line, the third is farther off."""
    lines = printed(capsys, "front", "toy.json", "-o", "front.csv", "--select", "knee").splitlines()
    assert lines[0].startswith("toy: 4 non-dominated splits of 3 layers at 8 Mbps; ")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert cells == [
        ["", "0", "3", "441.50 ms", "0 B", "4.0 kB", "(none)"],
        ["chosen", "1", "2", "633.00 ms", "12.1 kB", "8.0 kB", "a"],
        ["", "2", "1", "1.001 s", "13.1 kB", "1.0 kB", "b"],
        ["", "3", "0", "1.750 s", "63.1 kB", "0 B", "c"],
    ]
    assert listed(folder) == ["front.csv", "toy.json"]


def test_names_are_printed_as_they_are(folder, capsys):
    odd = instance_data(layer("a[/b]", "input"), layer(":cat:", "a[/b]", out=1), name="[red]x[/green]")
    Instance.from_dict(odd).save("odd.json")
    out = printed(capsys, "front", "odd.json", "--select", "lmos", "--plot", "odd.png")
    assert out.startswith("[red]x[/green]: ")
    assert ":cat:" in out
    assert "a[/b]" in printed(capsys, "plan", "odd.json", "--select", "cut:1", "-o", "plan.json")


@pytest.mark.parametrize(
    ("name", "read"),
    [("f.csv", lambda path: pd.read_csv(path, keep_default_na=False)), ("f.parquet", pd.read_parquet),
     ("f.CSV", lambda path: pd.read_csv(path, keep_default_na=False))],
)  # fmt: skip
def test_tables_hold_the_front(name, read, capsys):
    printed(capsys, "front", "toy.json", "-o", name)
    frame = read(name)
    last = ["front"] if name.lower().endswith(".csv") else []  # what is said of the front as a whole
    assert list(frame.columns) == ["latency", "memory", "x1", "x2", "edge_layers", *last]
    assert values(Front.load(name)) == CHAIN
    assert list(frame[["latency", "memory"]].itertuples(index=False, name=None)) == CHAIN
    assert [" ".join(e) if not isinstance(e, str) else e for e in frame["edge_layers"]] == ["", "a", "a b", "a b c"]


@pytest.mark.parametrize(
    ("name", "start", "least"),
    [("p.png", b"\x89PNG\r\n\x1a\n", 10_000), ("p.svg", b"<?xml", 10_000), ("p.pdf", b"%PDF-1.", 5_000),
     ("p.html", b"<", 10**6)],
)  # fmt: skip
def test_pictures_of_the_front(name, start, least, folder, capsys):
    printed(capsys, "front", "toy.json", "--plot", name, "--select", "ideal")
    data = (folder / name).read_bytes()
    assert data.startswith(start)
    assert len(data) > least
    assert listed(folder) == sorted([name, "toy.json"])


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that gives up after the sixth subproblem."""
    calls = iter(range(1000))
    solve = FrontProblem.best

    def best(self: FrontProblem, *arguments: Any) -> Any:
        if next(calls) >= 6:
            raise SubproblemError(Status.TIME_LIMIT, "a subproblem ended with the status time limit")
        return solve(self, *arguments)

    monkeypatch.setattr(FrontProblem, "best", best)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("name", ["front.json", "front.csv", "front.parquet"])
def test_a_front_cut_short_is_written_marked_and_ends_with_1(name, folder, capsys):
    chain = [layer(f"v{k}", f"v{k - 1}" if k else "input", edge=1.0, out=1000 - k) for k in range(12)]
    Instance.from_dict(instance_data(*chain)).save("long.json")
    assert main(["front", "long.json", "-o", name, "--json", "--algorithm", "epsilon_constraint"]) == 1
    out, err = capsys.readouterr()
    assert err == "lmos: the front is incomplete: a subproblem ended with the status time limit\n"
    found = Front.from_dict(json.loads(out))
    assert not found.complete
    assert 1 <= len(found.points) < 13
    if name == "front.json":
        assert Front.load(name) == found
    else:
        frame = pd.read_csv(name) if name.endswith("csv") else pd.read_parquet(name)
        assert list(frame["complete"]) == [False] * len(found.points)


def test_options_override_the_files_own(capsys):
    for path, options in (("t1.json", ["--bandwidth", "16Mbps"]), ("t2.json", ["--rtt", "500ms"]), ("t3.json", [])):
        changes = {"t1.json": {"bandwidth_bytes_per_s": 2e6}, "t2.json": {"rtt_s": 0.5}, "t3.json": {}}[path]
        Instance.from_dict(chain_data(**changes)).save(path)
        assert values(front_of(capsys, "toy.json", *options)) == values(front_of(capsys, path))
    assert values(front_of(capsys, "toy.json", "--rtt", "500ms"))[0] == (0.9415, 0)
    assert values(front_of(capsys, "toy.json", "--memory", "13.1kB")) == CHAIN[:3]
    assert values(front_of(capsys, "toy.json", "--memory", "13099")) == CHAIN[:2]
    assert values(front_of(capsys, "toy.json", "--proper-split")) == CHAIN[1:3]
    assert values(front_of(capsys, "toy.json", "--constrain", "memory")) == CHAIN


def test_a_files_own_limit_stands_unless_overridden(capsys):
    Instance.from_dict(chain_data(memory_limit_bytes=12100)).save("small.json")
    assert values(front_of(capsys, "small.json")) == CHAIN[:2]
    assert values(front_of(capsys, "small.json", "--memory", "1GB")) == CHAIN


def test_the_peak_model(capsys):
    """By peak, cuts 1 and 2 need the same, so that the slower is dominated."""
    found = front_of(capsys, "toy.json", "--memory-model", "peak")
    assert values(found) == [(0.4415, 0), (0.633, 12100), (1.75, 62100)]


def test_a_device_file_and_a_bundled_device_give_an_instance_its_times(capsys):
    work = instance_data(layer("a", "input", macs=6e9), layer("b", "a", macs=12e9))
    Instance.from_dict(work).save("work.json")
    found = plan_of(capsys, "work.json", "--select", "cut:1", "--edge", "rpi4-literal", "--server", "rpi4-literal")
    assert (found.predicted["t_edge_s"], found.predicted["t_server_s"]) == (1.0, 2.0)
    assert (found.setting.edge, found.setting.server) == ("rpi4-literal", "rpi4-literal")
    Path("mine.json").write_text(json.dumps({
        "schema": "lmos.device/1", "name": "mine", "description": "", "cores": 1, "hz": 3e9, "ops_per_cycle": 1.0,
        "memory_bytes": None, "sources": [{"what": "all", "source": "made up"}]}))  # fmt: skip
    found = plan_of(capsys, "work.json", "--select", "cut:1", "--edge", "mine.json")
    assert (found.predicted["t_edge_s"], found.predicted["t_server_s"]) == (2.0, 0.125)
    assert (found.setting.edge, found.setting.server) == ("mine.json", "instance file")


def test_three_objectives_where_the_powers_are_known(capsys):
    """Energy by hand: 4 W at the edge, 2 W for the bytes, 1 W while the server works and for the rtt."""
    Instance.from_dict(chain_data(power=POWER, rtt_s=0.5)).save("power.json")
    found = front_of(capsys, "power.json", "--objectives", "latency,memory,energy")
    assert found.names == ("latency", "memory", "energy")
    energy = [0.008 + 0.4375 + 0.5, 1.0 + 0.016 + 0.375 + 0.5, 3.0 + 0.002 + 0.25 + 0.5, 7.0]
    latency = [0.9415, 1.133, 1.501, 1.75]
    assert [point.x1 for point in found.points] == [0, 1, 2, 3]
    for point, (t, e) in zip(found.points, zip(latency, energy, strict=True), strict=True):
        assert (point.values["latency"], point.values["energy"]) == (pytest.approx(t), pytest.approx(e))
    assert "energy" in printed(capsys, "front", "power.json", "--objectives", "latency, memory ,energy").splitlines()[2]
    plan = plan_of(capsys, "power.json", "--objectives", "latency,memory,energy", "--select", "cut:2")
    assert plan.predicted["energy"] == pytest.approx(3.752)


def test_a_devices_powers_come_with_it(capsys):
    device = load_device("rpi4").to_dict() | {"name": "metered", "power": POWER}
    device["sources"] = [*device["sources"], {"what": "power", "source": "made up"}]
    Path("metered.json").write_text(json.dumps(device))
    found = front_of(capsys, "alexnet", "--edge", "metered.json", "--objectives", "latency,energy")
    assert all(point.values["energy"] > 0 for point in found.points)


STAGES = [(0.0, 0.004, 0.4375), (0.25, 0.008, 0.375), (0.75, 0.001, 0.25), (1.75, 0.0, 0.0)]


@pytest.mark.parametrize("n", range(4))
def test_every_cut_gives_its_plan(n, folder, capsys):
    found = plan_of(capsys, "toy.json", "--select", f"cut:{n}", "-o", "plan.json")
    edge, tx, server = STAGES[n]
    assert (found.x1, found.x2, found.edge_layers) == (n, 3 - n, ("a", "b", "c")[:n])
    assert found.predicted == {"t_edge_s": edge, "t_tx_s": tx, "t_server_s": server, "latency_s": CHAIN[n][0],
                               "edge_memory_bytes": CHAIN[n][1]}  # fmt: skip
    assert [(t.name, t.bytes) for t in found.crossing] == [[("input", 4000)], [("a", 8000)], [("b", 1000)], []][n]
    assert (found.network, found.setting.rule, found.setting.edge) == (None, f"cut:{n}", "instance file")
    assert Plan.load("plan.json") == found


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v2"])
def test_every_cut_of_a_paper_network(name, capsys):
    """Equations (1) to (4) written out again from the profile."""
    layers = load_source(name).layers
    instance = Instance.from_profile(load_source(name))
    outputs = [instance.input_bytes, *(v.output_bytes for v in layers)]
    for n in (0, 1, len(layers) // 2, len(layers) - 1, len(layers)):
        found = plan_of(capsys, name, "--select", f"cut:{n}")
        assert (found.x1, found.x2) == (n, len(layers) - n)
        edge, server = sum(v.t_edge_s for v in instance.layers[:n]), sum(v.t_server_s for v in instance.layers[n:])
        tx = outputs[n] / 1.25e6 if n < len(layers) else 0.0
        assert found.predicted["t_edge_s"] == pytest.approx(edge)
        assert found.predicted["t_tx_s"] == pytest.approx(tx)
        assert found.predicted["t_server_s"] == pytest.approx(server)
        assert found.predicted["latency_s"] == pytest.approx(edge + tx + server)
        held = sum(v.weight_bytes + v.output_bytes for v in layers[:n]) + (instance.input_bytes if n else 0)
        assert found.predicted["edge_memory_bytes"] == held
        assert sum(t.bytes for t in found.crossing) == (outputs[n] if n < len(layers) else 0)
        assert found.network is not None


@pytest.mark.parametrize("rule", ["lmos", "knee", "ideal", "min_latency", "budget:1", "slack:50"])
def test_a_rules_plan_is_its_point_of_the_front(rule, capsys):
    front = front_of(capsys, "toy.json")
    point = select(front, rule)
    plan = plan_of(capsys, "toy.json", "--select", rule)
    assert (plan.x1, plan.edge_layers) == (point.x1, point.edge_layers)
    assert (plan.predicted["latency_s"], plan.predicted["edge_memory_bytes"]) == (
        point.values["latency"], point.values["memory"])  # fmt: skip
    assert plan.setting.rule == rule


@pytest.mark.parametrize(("rule", "x1"), [("ECO", 3), ("SCO", 0)])
def test_the_papers_baselines(rule, x1, capsys):
    assert plan_of(capsys, "toy.json", "--select", rule).x1 == x1


def test_a_plan_of_a_graph_may_leave_the_topological_order(capsys):
    """c is free at the edge and dear at the server: a and c run at the edge, b before c in the order does not."""
    data = copy.deepcopy(diamond_data())
    data["layers"][2]["t_server_s"] = 100.0
    data["layers"][2]["t_edge_s"] = 0.0
    data["layers"][1]["t_edge_s"] = 100.0
    Instance.from_dict(data).save("diamond.json")
    plan = plan_of(capsys, "diamond.json", "--select", "min_latency")
    assert plan.edge_layers == ("a", "c")
    assert [t.name for t in plan.crossing] == ["input", "a", "c"]


def test_the_plans_table_says_what_crosses(capsys):
    out = printed(capsys, "plan", "toy.json", "--select", "cut:1", "-o", "plan.json")
    for words in ("1 of 3, after a", "a [8000] 8.0 kB", "250.00 ms", "8.00 ms", "375.00 ms", "633.00 ms", "12.1 kB (sum)"):
        assert words in out
    assert "3 of 3, after c" in (whole := printed(capsys, "plan", "toy.json", "--select", "cut:3", "-o", "plan.json"))
    assert "nothing" in whole


def test_fault_18_a_plan_of_more_than_the_runner_carries_is_said_and_no_run_begins(capsys):
    data = copy.deepcopy(profile_data())
    large = {"shape": [1, 3, 10_000, 10_000], "dtype": "float32"}
    data["layers"][0] |= {"outputs": [large], "output_shape": large["shape"], "output_bytes": 1_200_000_000}
    Path("large.json").write_text(json.dumps(data))
    crosses = "tensor 'split' of 1200000000 bytes crosses; the runner carries at most 1073741824 bytes an image"
    assert main(["plan", "large.json", "--select", "cut:1", "--memory", "100GB", "-o", "plan.json"]) == 0
    assert capsys.readouterr().err == f"lmos: this plan cannot be run: {crosses}\n"
    assert main(["run", "plan.json", "--server", "127.0.0.1:1"]) == 2
    assert capsys.readouterr() == ("", f"lmos: plan.json: crossing: {crosses}; choose another split\n")
    assert main(["plan", "large.json", "--select", "cut:0", "-o", "plan.json"]) == 0
    assert capsys.readouterr().err == ""


def test_a_plan_that_goes_nowhere_is_shown_and_says_so(folder, capsys):
    assert main(["plan", "toy.json", "--select", "cut:1"]) == 0
    out, err = capsys.readouterr()
    assert "1 of 3, after a" in out
    assert err == "nothing was written; name a file with -o\n"
    assert listed(folder) == ["toy.json"]


def test_local_times_of_a_timed_profile(capsys):
    Path("timed.json").write_text(json.dumps(profile_data()))
    plan = plan_of(capsys, "timed.json", "--select", "cut:1", "--edge", "local", "--server", "local")
    assert (plan.predicted["t_edge_s"], plan.predicted["t_server_s"]) == (1e-6, 0.25)


def test_local_times_of_a_profile_that_cannot_be_timed(capsys):
    data = copy.deepcopy(profile_data()) | {"network": None, "timing": None}
    for one in data["layers"]:
        one |= {"t_local_s": None, "t_local_low_s": None, "t_local_high_s": None}
    Path("untimed.json").write_text(json.dumps(data))
    assert main(["front", "untimed.json", "--edge", "local"]) == 2
    assert "lmos profile NETWORK --time" in capsys.readouterr().err


def test_vgg19_as_the_paper_sets_it(capsys):
    found = front_of(capsys, "vgg19")
    assert len(found.points) >= 6
    assert (found.points[0].x1, found.points[-1].x1) == (0, 44)
    assert (found.points[0].x2, found.points[-1].x2) == (44, 0)
    cuts = [point.x1 or 0 for point in found.points]
    assert cuts == sorted(set(cuts))
    instance = Instance.from_profile(load_source("vgg19"))
    assert found.points == pareto_front(instance).points
    assert values(front_of(capsys, "vgg19", "--bandwidth", "10Mbps", "--edge", "rpi4", "--server", "paper-server", "--rtt", "0",
                           "--memory-model", "sum")) == values(found)  # fmt: skip


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v2"])
def test_other_bundled_networks_have_fronts_that_end_at_both_sides(name, capsys):
    found = front_of(capsys, name)
    assert found.points[-1].x2 == 0
    latencies = [point.values["latency"] for point in found.points]
    memories = [point.values["memory"] for point in found.points]
    assert latencies == sorted(set(latencies))
    assert memories == sorted(set(memories))


def test_every_bundled_profile_loads_and_every_one_is_a_problem():
    for name in bundled_names("profiles"):
        instance = Instance.from_profile(load_source(name))
        assert instance.layers
        assert instance.crossing(frozenset()) == tuple(instance.inputs)
        assert instance.crossing(frozenset(instance.names)) == ()
