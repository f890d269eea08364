"""The program as a file: another reader finds the optimum that the front has."""

from __future__ import annotations

from pathlib import Path

import highspy
import pytest

from lmos.cli import main
from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.model_files import save_model
from lmos_opt.sources import Options, instance_of, load_source
from tests.lmos_opt.documents import chain_data, diamond_data


def optimum(path: Path) -> tuple[float, set[str]]:
    """What HiGHS finds in a file: the value, and the variables that are one."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    columns = highs.getSolution().col_value
    return highs.getInfo().objective_function_value, {n for n, x in zip(highs.getLp().col_names_, columns, strict=True) if x > 0.5}


@pytest.mark.parametrize("suffix", [".lp", ".mps"])
@pytest.mark.parametrize("objective", ["latency", "memory"])
def test_the_optimum_of_the_file_is_the_fronts_ideal(tmp_path, suffix, objective):
    instance = instance_of(load_source("alexnet"), Options(bandwidth="20Mbps"))
    save_model(instance, tmp_path / f"m{suffix}", objective=objective)
    value, ones = optimum(tmp_path / f"m{suffix}")
    front = pareto_front(instance)
    assert value == pytest.approx(front.ideal[objective], rel=1e-9)
    best = front.select("min_latency" if objective == "latency" else "lmos")
    edge = {name.removeprefix("edge(").strip("_)") for name in ones if name.startswith("edge(")}
    assert edge == {name.replace(".", "_") for name in best.edge_layers}


@pytest.mark.parametrize("suffix", [".lp", ".mps"])
@pytest.mark.parametrize("data", [chain_data(), diamond_data()])
@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_bounds_are_algorithm_1s_epsilon(tmp_path, suffix, data, memory_model):
    instance = Instance.from_dict(data)
    for point in pareto_front(instance, memory_model=memory_model).points:
        file = tmp_path / f"m{suffix}"
        save_model(instance, file, bounds={"memory": point.values["memory"]}, memory_model=memory_model)
        assert optimum(file)[0] == pytest.approx(point.values["latency"], rel=1e-7)
        save_model(instance, file, objective="memory", bounds={"latency": point.values["latency"] * (1 + 1e-9)},
                   memory_model=memory_model)
        assert optimum(file)[0] == pytest.approx(point.values["memory"], rel=1e-7)


def test_names_that_a_format_forbids_stay_apart(tmp_path):
    data = chain_data()
    data["layers"][0]["name"] = "a b/c"
    data["layers"][1] |= {"name": "a_b_c", "inputs": ["a b/c"]}
    data["layers"][2]["inputs"] = ["a_b_c"]
    plain, strange = Instance.from_dict(chain_data()), Instance.from_dict(data)
    save_model(plain, tmp_path / "plain.lp", objective="memory")
    for suffix in (".lp", ".mps"):
        save_model(strange, tmp_path / f"m{suffix}", objective="memory")
        assert optimum(tmp_path / f"m{suffix}")[0] == optimum(tmp_path / "plain.lp")[0]


def test_a_constraint_of_ones_own_is_in_the_file(tmp_path):
    instance = Instance.from_dict(chain_data())
    save_model(instance, tmp_path / "m.lp", constraints=[lambda m, inst: m.edge["c"] == 1])
    assert optimum(tmp_path / "m.lp")[0] == pytest.approx(sum(layer.t_edge_s for layer in instance.layers))


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has the suffix '\.nl'; expected one of \.lp, \.mps"):
        save_model(Instance.from_dict(chain_data()), tmp_path / "m.nl")


@pytest.mark.parametrize(("options", "message"), [
    (["--bound", "memory"], "'memory' is not a bound; expected NAME=NUMBER such as latency=0.5"),
    (["--bound", "memory=much"], "'memory=much' is not a bound"),
    (["--bound", "price=1"], "'price' is not an objective"),
    (["--objective", "latency,memory"], "'latency,memory' is not one objective"),
])
def test_the_command_refuses_in_one_line(tmp_path, capfd, options, message):
    assert main(["model", "alexnet", "-o", str(tmp_path / "m.lp"), *options]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_command_writes_it(tmp_path):
    assert main(["model", "alexnet", "-o", str(tmp_path / "m.mps"), "--bandwidth", "20Mbps", "--bound", "memory=1e8"]) == 0
    instance = instance_of(load_source("alexnet"), Options(bandwidth="20Mbps"))
    point = min((p for p in pareto_front(instance).points if p.values["memory"] >= 1e8), key=lambda p: p.values["latency"])
    assert optimum(tmp_path / "m.mps")[0] == pytest.approx(point.values["latency"])
