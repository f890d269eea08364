"""`lmos bench placement`: published workloads, ours beside the literature's program, and answers that are wrong are found out."""

import csv
import json
from dataclasses import replace

import pytest

from lmos.bench import placement
from lmos.bench.placement import Placement, measure
from lmos.bench.raw_placement import solve
from lmos.bench.workloads import Workload, bundled_workloads, find_workload
from lmos.cli import main
from lmos_opt import InputError

LAYERS = [{"name": f"n{k}", "inputs": [f"n{k - 1}"] if k else [], "t_s": t, "weight_bytes": 1, "output_bytes": 10}
          for k, t in enumerate((1.0, 2.0, 0.5, 2.5))]  # fmt: skip
TOY = {"schema": "lmos.workload/1", "name": "toy", "source": "by hand", "port_bytes_per_s": 100.0, "layers": LAYERS,
       "together": [["n1", "n2"]], "optimum_s": {"2": 3.6}}  # fmt: skip


def test_published_least_loads_are_found_and_proved():
    found = list(measure([find_workload("bert24_layers")], [2, 6], 60.0, 0.0))
    assert [one.mistakes for one in found] == [[], []]
    assert [one.is_proved for one in found] == [True, True]
    assert [one.load_s for one in found] == pytest.approx([one.optimum_s for one in found], rel=1e-12)


def test_bundled_workloads_have_four_published_loads_each():
    loads = {name: find_workload(name).optimum_s for name in bundled_workloads()}
    assert {tuple(found) for found in loads.values()} == {(2, 3, 4, 6)}
    assert loads["bert3_operators"][2] == 0.033989101556140086


def test_the_literatures_program_has_the_same_least_load():
    instance = Workload.from_dict(TOY).instance(2)
    raw = solve(instance, 30.0)
    assert raw.is_optimal
    assert raw.load_s == pytest.approx(3.6)
    assert raw.bound_s == pytest.approx(3.6)


def test_the_literatures_program_prints_nothing(capfd, monkeypatch):
    monkeypatch.setattr("highspy.Highs", None)  # it prints a banner once in a process: in the midst of --json
    assert solve(Workload.from_dict(TOY).instance(2), 30.0).is_optimal
    assert capfd.readouterr() == ("", "")


def test_the_table_and_the_file(tmp_path, capsys):
    (tmp_path / "toy.json").write_text(json.dumps(TOY))
    output = tmp_path / "found.csv"
    asked = ["bench", "placement", "--workload", str(tmp_path / "toy.json"), "--places", "2", "--raw-limit", "10s"]
    assert main([*asked, "-o", str(output)]) == 0
    assert "1 of 1 proved to be least" in capsys.readouterr().out
    (row,) = csv.DictReader(output.open())
    assert float(row["load_s"]) == float(row["bound_s"]) == pytest.approx(3.6)
    assert row["raw_is_optimal"] == "True"
    (tmp_path / "toy.json").write_text(json.dumps({**TOY, "optimum_s": {"2": 3.0}}))
    assert main([*asked[:-1], "0s", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "more than 1% above" in err
    assert json.loads(out)["placements"][0]["is_proved"]


RIGHT = Placement("toy", 2, 4, 3.6, 3.6, 0.1, True, 3.6, None)


@pytest.mark.parametrize(("change", "mistake"), [
    ({"load_s": 3.5, "bound_s": 3.5}, "the load is below the least one"),
    ({"load_s": 3.7}, "the load is more than 1% above the least one"),
    ({"load_s": 3.61, "bound_s": 3.605}, "the bound is above the least load"),
    ({"bound_s": 3.63, "optimum_s": None}, "the bound is above the load"),
])  # fmt: skip
def test_what_is_wrong_is_named(change, mistake):
    assert RIGHT.mistakes == []
    assert mistake in replace(RIGHT, **change).mistakes
    assert placement.NEAR == 0.01


def test_what_is_no_workload_is_refused():
    with pytest.raises(InputError, match="neither a file nor a bundled workload"):
        find_workload("nowhere")
    with pytest.raises(InputError, match=r"together\[0\]\[1\]: 'n9' names no layer"):
        Workload.from_dict({**TOY, "together": [["n1", "n9"]]})
    assert main(["bench", "placement", "--places", "2,x"]) == 2


def test_a_command_out_of_time_prints_and_writes_what_is_proved(tmp_path, capsys):
    Workload.from_dict(TOY).instance(3).save(tmp_path / "toy.json")
    arguments = ["front", str(tmp_path / "toy.json"), "--objectives", "load", "--time-limit", "0s"]
    assert main([*arguments, "-o", str(tmp_path / "front.json")]) == 1
    out, err = capsys.readouterr()
    assert "1 non-dominated split" in out
    assert "proved: no load below 2.600 s (3.85% from what was found)" in " ".join(out.split())
    assert "incomplete: the time limit of 0 s is reached" in err
    assert json.loads((tmp_path / "front.json").read_text())["bound"] == pytest.approx(2.6)
