"""A researcher's own file on the command line: an objective, a constraint, and what is wrong with one in a line."""

from __future__ import annotations

import json
import sys

import pytest

from lmos_opt import Instance
from lmos_opt.baselines import baseline
from runner.cli import main
from tests.lmos_opt.documents import chain_data

CODE = '''
from lmos_opt import Objective

price = Objective("price", "EUR", "min", lambda m, inst: sum(inst.layer(v).extra["price"] * (1 - m.edge[v]) for v in m.layers))
dear = Objective("dear", "EUR", "min", lambda m, inst: inst.layer(inst.names[0]).extra["dear"] * m.offload)


def private(m, inst):
    return m.edge[inst.names[0]] == 1


def never(m, inst):
    return m.offload >= 2


def faulty(m, inst):
    return m.edges
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
