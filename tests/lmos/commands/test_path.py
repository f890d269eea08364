"""Commands along a path of three places: each works, or says in one line what it knows of two alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos.cli import main
from lmos.pages.summary.subject import gather
from lmos_opt import Front, Instance, Plan, Policy
from lmos_opt.profile import Timing
from lmos_opt.sources import Options, load_source
from tests.lmos_opt.documents import chain_data, path_data, placed

PATH = "rpi4 > 20Mbps,5ms > jetson-orin-nano-cpu > 1Gbps,1ms > i7-8700"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands run: the path of two layers in `toy.json`."""
    Instance.from_dict(path_data(placed("a", "input", t=(1.0, 0.25, 0.125), out=1000), placed("b", "a", t=(2.0, 0.5, 0.25)))
                       ).save(tmp_path / "toy.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def table(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    """The cells of what a command prints."""
    assert main([*arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines if line[:1] in "│┃"]


def test_a_fronts_table_and_files_have_the_places(capsys, folder):
    header, *rows = table(capsys, "front", "toy.json", "-o", "front.csv")
    assert header == ["x1", "x2", "x3", "latency", "memory", "crosses hop 1", "crosses hop 2", "last at place 1", "last at place 2"]
    assert [row[:3] for row in rows] == [["0", "0", "2"], ["1", "0", "1"], ["2", "0", "0"]]
    assert rows[1][5:] == ["1.0 kB", "1.0 kB", "a", "(none)"]
    assert (folder / "front.csv").read_text().splitlines()[0] == "latency,memory,x1,x2,x3,edge_layers,places,front"
    assert main(["front", "toy.json", "--json"]) == 0
    assert [point.places for point in Front.from_dict(json.loads(capsys.readouterr().out))][1] == (("a",), (), ("b",))


def test_a_front_of_a_network_names_its_way(capsys):
    assert main(["front", "alexnet", "--path", PATH, "--memory", "3MB"]) == 0
    assert "along rpi4 > 20 Mbps, 5.00 ms > jetson-orin-nano-cpu > 1 Gbps, 1.00 ms > i7-8700" in capsys.readouterr().out


def test_memory_limits_any_place(capsys):
    """Of a path and of an instance file; the policy over a place's memory admits limits of the others."""
    asked = ["alexnet", "--path", PATH, "--memory", "9MB,,1MB", "--select", "min_latency"]
    assert main(["plan", *asked, "--json"]) == 0
    places = json.loads(capsys.readouterr().out)["setting"]["places"]
    assert [place["memory_limit_bytes"] for place in places] == [9_000_000, None, 1_000_000]
    rows = table(capsys, "front", "toy.json", "--memory", ", 1GB ,0")
    assert [row[:3] for row in rows[1:]] == [["0", "2", "0"], ["1", "1", "0"], ["2", "0", "0"]]
    assert main(["front", "toy.json", "--memory", "1,2,3,4"]) == 2
    assert "memory: '1,2,3,4' has 4 sizes, but there are 3 places" in capsys.readouterr().err
    over = ["policy", "toy.json", "--select", "min_latency", "--over", "memory:2", "--range", "0..1GB", "--memory"]
    assert main([*over, "1GB,,0"]) == 0
    assert main([*over, "1GB,5MB"]) == 2
    assert "--memory: is what the policy is over; expected --range LOW..HIGH instead of 5MB" in capsys.readouterr().err


def test_baselines_stand_beside_the_front(capsys):
    rows = table(capsys, "front", "toy.json", "--baselines")
    rows = rows[rows.index(["rule", "x1", "x2", "x3", "latency", "memory", "beside the front"]) + 1 :]
    assert {row[0]: row[-1] for row in rows} | {"RS:0": ""} == {
        "at:1": "on the front", "at:2": "dominated by 1 point", "at:3": "on the front", "DADS:1,2": "dominated by 1 point",
        "DADS:1,3": "on the front", "DADS:2,3": "on the front", "Neurosurgeon:1,2": "dominated by 1 point",
        "Neurosurgeon:1,3": "on the front", "Neurosurgeon:2,3": "on the front", "pair:1,2": "dominated by 1 point",
        "pair:1,3": "on the front", "pair:2,3": "on the front", "even:layers": "on the front",
        "even:time": "dominated by 1 point", "RS:0": ""}  # fmt: skip
    assert main(["front", "toy.json", "--baselines", "--json"]) == 2
    assert "--baselines: is a table" in capsys.readouterr().err


def test_a_page_of_a_front_has_every_place(folder):
    pytest.importorskip("jinja2")
    assert main(["front", "toy.json", "-o", "front.json"]) == 0
    assert main(["report", "front.json", "--source", "toy.json", "--select", "min_latency", "-o", "page.html"]) == 0
    page = (folder / "page.html").read_text()
    assert "What the baselines choose" in page
    for text in ("even:layers", "DADS:2,3", "<th class=\"n\">x3</th>", "0 at phone, 0 at box, 2 at cloud"):
        assert text in page


def test_a_page_of_a_plan_has_every_place_and_hop(folder):
    pytest.importorskip("jinja2")
    assert main(["plan", "toy.json", "--select", "cut:1,1", "-o", "plan.json"]) == 0
    assert main(["report", "plan.json", "--source", "toy.json", "-o", "page.html"]) == 0
    page = (folder / "page.html").read_text()
    for text in ("A network over 3 places: 1, 0 and 1 layers", "<dt>hop 2: bandwidth</dt>", "<td>hop 2</td><td>a</td>",
                 "What crosses each hop", "<td>place 2, box</td>", "last at place 2", "1 at phone, 0 at box, 1 at cloud"):
        assert text in page


def test_a_page_of_a_plan_of_a_network_finds_its_devices_again(folder):
    pytest.importorskip("jinja2")
    twice = "rpi4 > 20Mbps,5ms > i7-8700 > 1Gbps,1ms,1Gbps > i7-8700"
    assert main(["plan", "alexnet", "--path", twice, "--memory", "9MB", "--select", "cut:3,9", "-o", "plan.json"]) == 0
    plan = Plan.load("plan.json")
    assert plan.setting.devices == ("rpi4", "i7-8700", "i7-8700")
    subject = gather(Path("plan.json"), None, Options(), "sum", None)
    assert subject.instance == Instance.from_profile(load_source("alexnet"), path=twice, memory="9MB")
    assert subject.split is not None
    assert subject.split.times.latency_s == plan.predicted["latency_s"]
    assert subject.split.places == plan.named_places


def test_a_source_of_other_places_is_no_plans(folder, capsys):
    assert main(["plan", "toy.json", "--select", "cut:1,1", "-o", "plan.json"]) == 0
    Instance.from_dict(chain_data()).save("two.json")
    assert main(["report", "plan.json", "--source", "two.json", "-o", "page.html"]) == 2
    assert "has 2 places; the plan has 3" in capsys.readouterr().err


def test_a_plan_of_a_path_draws_its_graph_and_has_a_policy_for_each_hop_that_has_a_range(folder, capsys):
    assert main(["plan", "toy.json", "--select", "cut:1,1", "--plot", "graph.svg"]) == 0
    assert "at cloud (1)" in (folder / "graph.svg").read_text() or (folder / "graph.svg").stat().st_size > 5000
    capsys.readouterr()
    ranges = ",1kbps..1Mbps"
    assert main(["plan", "toy.json", "--select", "min_latency", "--policy", ranges, "-o", "plan.json"]) == 0
    assert "adapts to hop 2" in capsys.readouterr().out
    first, second = Plan.load("plan.json").policies
    assert (first, second and second.over) == (None, "bandwidth:2")
    for ranges, message in (("1Mbps..2Mbps,,1Mbps..2Mbps", "names 3 ranges, but there are 2 hops"), (",", "',' names no range"),
                            (",1Mbps", "'1Mbps' is not a range")):  # fmt: skip
        assert main(["plan", "toy.json", "--select", "knee", "--policy", ranges]) == 2
        assert f"--policy: {message}" in capsys.readouterr().err


def test_a_policy_over_the_second_hop_and_over_the_third_places_limit(capsys):
    asked = ("--select", "min_latency", "--over", "bandwidth:2", "--range", "1kbps..1Mbps", "-o", "policy.json")
    header, *rows = table(capsys, "policy", "toy.json", *asked)
    assert header == ["from", "to", "x1", "x2", "x3", "latency, from", "to", "memory", "crosses hop 2"]
    assert Policy.load("policy.json").over == "bandwidth:2"
    assert [row[2:5] for row in rows] == [["0", "2", "0"], ["0", "1", "1"], ["0", "0", "2"]]
    assert main(["policy", "toy.json", "--select", "knee", "--over", "memory:3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["over"] == "memory:3"


def test_a_table_of_five_places_has_columns_that_can_be_read(capsys):
    path = " > 20Mbps > ".join(["rpi4", "jetson-orin-nano-cpu", "i7-8700", "paper-server", "i7-8700"])
    header, *_ = table(capsys, "front", "alexnet", "--path", path)
    assert header == [*(f"x{p}" for p in range(1, 6)), "latency", "memory", *(f"crosses hop {h}" for h in range(1, 5))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "alexnet", "--select", "cut:1,2"], "rule: 'cut:1,2': expected 1 number for 2 places, as in cut:1"),
        (["front", "toy.json", "--objectives", "latency,tx_bytes:3"], "tx_bytes:3: toy has 2 hops; expected 1 to 2"),
        (["policy", "toy.json", "--select", "knee", "--over", "bandwidth:3"], "hop: got 3, but toy has 2 hops; expected 1 to 2"),
        (["policy", "toy.json", "--select", "knee", "--over", "memory:x"], "--over: 'memory:x' is not one of bandwidth, "),
        (["policy", "alexnet", "--select", "knee", "--over", "bandwidth:2"], "hop: got 2, but alexnet has 1 hop; expected 1"),
        (["front", "toy.json", "--path", PATH], "--path: is for networks and profiles; the instance file of toy"),
        (["front", "toy.json", "--server", "i7-8700"], "--server: is of two places; the instance file of toy has 3"),
        (["front", "toy.json", "--objectives", "latency,place_time:4"], "place_time:4: toy has 3 places; expected 1 to 3"),
    ],
)
def test_what_is_of_two_places_says_so_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_a_plan_says_what_each_places_times_were_measured_with(folder):
    profile = load_source("alexnet")
    layers = tuple(layer.model_copy(update={"t_local_s": 1e-4}) for layer in profile.layers)
    timing = Timing(torch="2.11.0", engine="torch:cuda", engine_precision="float32", device="NVIDIA T4")
    profile.model_copy(update={"layers": layers, "timing": timing}).save(folder / "gpu.json")
    path = "rpi4 > 20Mbps > i7-8700 > 1Gbps > gpu.json"
    assert main(["plan", "alexnet", "--select", "cut:1,2", "--path", path, "-o", "three.json"]) == 0
    assert main(["plan", "gpu.json", "--select", "cut:3", "--server", "local", "-o", "two.json"]) == 0
    assert main(["plan", "gpu.json", "--select", "cut:3", "-o", "none.json"]) == 0
    said = {name: Plan.load(folder / f"{name}.json").setting.timed_with for name in ("three", "two", "none")}
    gpu, model = "torch:cuda float32 on NVIDIA T4, torch 2.11.0", "a cost model"
    assert said == {"three": (model, model, gpu), "two": (model, gpu), "none": ()}
