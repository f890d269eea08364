"""A researcher's own file on the command line: an objective, a constraint, and what is wrong with one in a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt import Instance, Plan
from lmos_opt.rules.baselines import baseline
from lmos_opt.split import Split
from tests.lmos_opt.documents import chain_data

CODE = '''
import pyomo.environ as pyo

from lmos_opt import Objective
from lmos_opt.objectives import get

price = Objective("price", "EUR", "min", lambda m, inst: sum(inst.layer(v).extra["price"] * (1 - m.edge[v]) for v in m.layers))
dear = Objective("dear", "EUR", "min", lambda m, inst: inst.layer(inst.names[0]).extra["dear"] * m.offload)


def private(m, inst):
    return m.edge[inst.names[0]] == 1


def never(m, inst):
    return m.offload >= 2


def faulty(m, inst):
    return m.edges


def twice(m, inst):
    return {"half": pyo.Var(m.layers, domain=pyo.Binary)}


def only(m, inst):
    return [m.half[v] <= m.edge[v] for v in m.layers]


latency = Objective("latency", "s", "min", lambda m, inst: get("latency").expression(m, inst) + sum(
    inst.layer(v).t_edge_s * m.half[v] for v in m.layers))
joules = Objective("joules", "J", "min", lambda m, inst: sum(
    inst.layer(v).t_edge_s * (4 * m.edge[v] - 2.5 * m.half[v]) + 9 * (1 - m.edge[v]) for v in m.layers))
edge_time = Objective("edge_time", "s", "min", lambda m, inst: sum(
    inst.layer(v).t_edge_s * (m.edge[v] + m.half[v]) for v in m.layers))
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CODE)
    data = chain_data()
    for k, layer in enumerate(data["layers"]):
        layer["price"] = k + 1
    (tmp_path / "chain.json").write_text(json.dumps(data))
    yield
    sys.modules.pop("mine", None)


def _front(capsys, *more):
    assert main(["front", "chain.json", "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_price_and_a_private_layer(capsys):
    instance = Instance.load("chain.json")
    free = _front(capsys, "--objectives", "latency,memory,mine:price")
    held = _front(capsys, "--objectives", "latency,memory,mine:price", "--constraint", "mine:private")
    assert [o["name"] for o in held["objectives"]] == ["latency", "memory", "price"]
    for point in free["points"]:
        assert point["values"]["price"] == sum(layer.extra["price"] for layer in instance.layers
                                               if layer.name not in point["edge_layers"])
    assert held["points"] == [point for point in free["points"] if point["edge_layers"]]
    assert len(held["points"]) < len(free["points"])


def test_a_plan_keeps_to_them(capsys):
    assert main(["plan", "chain.json", "--select", "min_latency", "--json", "--constraint", "mine:private",
                 "--objectives", "latency,mine:price"]) == 0  # fmt: skip
    plan = json.loads(capsys.readouterr().out)
    assert plan["edge_layers"]
    assert "price" in plan["predicted"]
    assert main(["plan", "chain.json", "--select", "SCO", "--constraint", "mine:private"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("lmos: toy, SCO: infeasible: constraint private (")
    assert main(["plan", "chain.json", "--select", "ECO", "--json", "--constraint", "mine:private"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert tuple(plan["edge_layers"]) == baseline(Instance.load("chain.json"), "ECO").edge_layers


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--objectives", "mine:cheap"], 2, "mine:cheap: module 'mine' has no attribute 'cheap'"),
        (["--objectives", "latency,mine:private"], 2, "mine:private: is a value of type function, expected an Objective"),
        (["--objectives", "latency,nobody:x"], 2, "nobody:x: there is no module 'nobody' in the current directory"),
        (["--objectives", "latency,mine:dear"], 2, "): layer a: has no number 'dear' of its own; it has 'price'"),
        (["--constraint", "mine:price"], 2, "mine:price: is a value of type Objective, expected a function (m, instance)"),
        (["--constraint", "mine:faulty"], 2, "failed with AttributeError: "),
        (["--constraint", "mine:never"], 3, "toy: infeasible: constraint never ("),
        (["--constraint", "privacy"], 2, "'privacy' is not a block of constraints; there are "),
    ],
)
def test_what_is_wrong_with_it_is_one_line(capsys, options, code, message):
    assert main(["front", "chain.json", *options]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


HALF = ("--objectives", "mine:latency,mine:joules", "--variables", "mine:twice", "--constraint", "mine:only")


@pytest.mark.parametrize("select", ["ideal", "ECO"])
def test_fault_09_a_plan_holds_the_points_own_values_and_decisions(capsys, select):
    assert main(["plan", "chain.json", "--select", select, *HALF, "-o", "plan.json"]) == 0
    plan = Plan.load("plan.json")
    instance = Instance.load("chain.json")
    half = [v for v in instance.names if plan.solution[f"half[{v}]"]]
    fast = Split(instance, frozenset(plan.edge_layers)).times.latency_s
    assert list(plan.solution) == [f"half[{v}]" for v in instance.names]
    assert plan.predicted["latency_s"] == pytest.approx(fast + sum(instance.layer(v).t_edge_s for v in half))
    if half:
        assert plan.unpredicted.keys() == {"t_edge_s", "t_tx_s", "t_server_s"}
        assert not plan.unpredicted.keys() & plan.predicted.keys()
    capsys.readouterr()
    points = _front(capsys, *HALF)["points"]
    if select == "ideal":
        assert {"latency": plan.predicted["latency_s"], "joules": plan.predicted["joules"]} in [p["values"] for p in points]
    assert plan.setting.objectives == ("mine:latency", "mine:joules")
    assert (plan.setting.variables, plan.setting.constraints) == (("mine:twice",), ("mine:only",))


def test_a_plan_says_which_stages_decisions_of_ones_own_take_from_it(capsys):
    options = ["--variables", "mine:twice", "--constraint", "mine:only"]
    assert main(["plan", "chain.json", "--select", "lmos", "--objectives", "memory,mine:edge_time", *options, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["unpredicted"].keys() == {"t_tx_s", "t_server_s", "latency_s"}
    assert "the front has no objective latency" in plan["unpredicted"]["latency_s"]
    assert plan["predicted"]["t_edge_s"] == plan["predicted"]["edge_time"]
    assert main(["plan", "chain.json", "--select", "lmos", "--objectives", "memory,mine:edge_time", *options]) == 0
    assert "not predicted: " in capsys.readouterr().out
    assert main(["plan", "chain.json", "--select", "lmos", "--objectives", "memory,latency", *options, "--json"]) == 0
    assert "unpredicted" not in json.loads(capsys.readouterr().out)  # its latency is the edge set's


def test_fault_11_a_report_says_that_it_does_not_run_the_users_code(capsys):
    assert main(["plan", "chain.json", "--select", "ideal", *HALF, "-o", "plan.json"]) == 0
    assert main(["report", "plan.json", "--source", "chain.json", "-o", "page.html"]) == 0
    words = "front rests on code of its user&#39;s (mine:latency, mine:joules, mine:twice, mine:only), which this page does not run"
    assert words in Path("page.html").read_text()


def test_fault_17_a_bound_may_be_of_ones_own(capsys):
    assert main(["model", "chain.json", "-o", "model.lp", "--bound", "mine:price=4"]) == 0
    rows = " ".join(Path("model.lp").read_text().split())
    assert "epsilon(price)" in rows
    assert main(["model", "chain.json", "-o", "model.lp", "--bound", "mine:price=nan"]) == 2
    assert "--bound: 'mine:price=nan' is not a bound" in capsys.readouterr().err


def test_a_policy_of_another_front_is_refused(capsys):
    assert main(["plan", "chain.json", "--select", "ideal", "--objectives", "latency,tx_bytes", "--policy", "1Mbps..9Mbps"]) == 2
    assert "--policy: is of fronts of latency and memory" in capsys.readouterr().err


def test_a_rule_says_which_objective_its_latency_is(capsys):
    own = ["--objectives", "mine:seconds,memory"]
    added = '\nseconds = Objective("seconds", "s", "min", get("latency").expression)\n'
    Path("mine.py").write_text(Path("mine.py").read_text() + added)
    sys.modules.pop("mine", None)
    for command in ("plan", "front"):
        assert main([command, "chain.json", "--select", "slack:50", *own, "-o", "found.json"]) == 0
        assert "lmos: slack:50: the latency is the objective seconds\n" in capsys.readouterr().err
