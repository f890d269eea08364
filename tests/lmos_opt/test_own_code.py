"""What a user brings along: variables whose values come back, and mistakes that are one clear line each."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest

from lmos_opt import Front, InfeasibleError, InputError, Instance, LmosError, Objective, pareto_front, trace_front
from lmos_opt.objectives import get
from lmos_opt.split import Split, down_closed_sets
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer


def _toy():
    return Instance.from_dict(chain_data())


# the user's decisions


def half_clock(m, inst):
    return {"half": pyo.Var(m.layers, domain=pyo.Binary)}


def only_here(m, inst):
    return [m.half[v] <= m.edge[v] for v in m.layers]


LATENCY = Objective("latency", "s", "min", lambda m, inst: get("latency").expression(m, inst) + sum(
    inst.layer(v).t_edge_s * m.half[v] for v in m.layers))
JOULES = Objective("joules", "J", "min", lambda m, inst: sum(
    inst.layer(v).t_edge_s * (4 * m.edge[v] - 2.5 * m.half[v]) for v in m.layers))


def _uneven():
    """A diamond whose layers all take different times."""
    return Instance.from_dict(instance_data(
        layer("a", "input", edge=0.25, server=0.0625, out=5000), layer("b", "a", edge=0.5, out=300),
        layer("c", "a", edge=0.375, out=70), layer("d", "b", "c", edge=1.0, server=0.25, out=10)))


def _values(instance, edge, half):
    split = Split(instance, edge)
    slow = sum(instance.layer(v).t_edge_s for v in half)
    power = sum(instance.layer(v).t_edge_s * 4 for v in edge) - 2.5 * slow
    return split.times.latency_s + slow, -split.memory_bytes, power


def test_fault_09_a_users_decisions_come_back_with_every_point(tmp_path):
    """Half clock takes twice the time: every front point beside brute force over edge sets times clocks."""
    instance = _uneven()
    front = pareto_front(instance, [LATENCY, "memory", JOULES], variables=[half_clock], constraints=[only_here])
    every = {_values(instance, edge, half) for edge in down_closed_sets(instance)
             for n in range(len(edge) + 1) for half in itertools.combinations(sorted(edge), n)}
    best = sorted(v for v in every if not any(w != v and all(a <= b for a, b in zip(w, v, strict=True)) for w in every))
    assert front.complete
    assert np.allclose(sorted(front.costs()), best)
    assert any(any(point.solution.values()) for point in front.points)
    for point in front.points:
        assert list(point.solution) == [f"half[{v}]" for v in instance.names]
        assert set(map(type, point.solution.values())) == {int}
        half = [v for v in instance.names if point.solution[f"half[{v}]"]]
        found = _values(instance, frozenset(point.edge_layers), half)
        assert found == pytest.approx((point.values["latency"], -point.values["memory"], point.values["joules"]))
    front.save(tmp_path / "front.json")
    assert Front.load(tmp_path / "front.json") == front
    front.save(tmp_path / "front.csv")
    assert "half[a]=" in pd.read_csv(tmp_path / "front.csv")["solution"][0]
    front.save(tmp_path / "front.parquet")
    assert [dict(s) for s in pd.read_parquet(tmp_path / "front.parquet")["solution"]] == [p.solution for p in front.points]
    part = front.model_copy(update={"points": front.points[:3], "complete": False, "reason": "test"})
    again = pareto_front(instance, [LATENCY, "memory", JOULES], variables=[half_clock], constraints=[only_here], resume=part)
    assert [p.values for p in again.points] == [p.values for p in front.points]


def test_what_a_constraint_or_an_objective_adds_comes_back_too():
    def added(m, inst):
        m.leases = pyo.Var(domain=pyo.Integers, bounds=(0, 9))
        return m.leases >= sum(m.edge[v] for v in m.layers)

    rent = Objective("rent", "EUR", "min", lambda m, inst: 3 * m.leases)
    for point in pareto_front(_toy(), ["latency", "memory", rent], constraints=[added]).points:
        assert point.solution == {"leases": point.x1}
    longest = Objective("longest", "s", "min", get("throughput").expression)
    shipped = pareto_front(_toy(), ["throughput", "memory"])
    own = pareto_front(_toy(), [longest, "memory"])
    assert [p.values["longest"] for p in own.points] == pytest.approx([p.values["throughput"] for p in shipped.points])
    assert [p.solution["slowest"] for p in own.points] == [p.values["longest"] for p in own.points]
    assert all(point.solution is None for point in shipped.points)


def test_a_front_file_without_decisions_is_as_it_was():
    front = pareto_front(_toy())
    assert "solution" not in json.dumps(front.to_dict())
    assert Front.from_dict(front.to_dict()) == front


def test_rows_of_a_users_objective_hold_for_every_point():
    def dear(m, inst):
        m.floor = pyo.Constraint(expr=m.edge["a"] == 1)
        return 2 * m.edge["b"] + m.edge["c"]

    assert all("a" in p.edge_layers for p in pareto_front(_toy(), ["latency", Objective("dear", "", "min", dear)]).points)


def test_what_is_infeasible_is_named_where_constraints_share_a_variable():
    def added(m, inst):
        m.extra = pyo.Var(domain=pyo.Binary)
        return m.extra == 1

    def never(m, inst):
        return m.extra + m.offload <= 0

    with pytest.raises(InfeasibleError, match=r"infeasible: constraint never"):
        pareto_front(_toy(), constraints=[added, never])


# value and expression


@pytest.mark.parametrize("name", ["edge_time", "latency", "memory", "server_time", "throughput", "tx_bytes"])
@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_fault_10_a_value_that_contradicts_its_expression_is_refused(name, memory_model):
    shipped = get(name)
    wrong = Objective("wrong", shipped.unit, shipped.sense, shipped.expression, lambda split: shipped.value(split) * 1.001 + 1e-3)
    right = Objective("right", shipped.unit, shipped.sense, shipped.expression, shipped.value)
    instance = Instance.from_dict(diamond_data())
    with pytest.raises(InputError, match=r"objective wrong: value gives \S+, and expression \S+, with .* at the edge"):
        pareto_front(instance, [wrong, "latency"] if name != "latency" else [wrong, "memory"], memory_model=memory_model)
    other = "memory" if name != "memory" else "latency"
    found = pareto_front(instance, [right, other], memory_model=memory_model).costs()
    assert found == pareto_front(instance, [name, other], memory_model=memory_model).costs()


def test_the_contradiction_names_the_edge_set_and_both_numbers():
    wrong = Objective("wrong", "", "min", lambda m, inst: m.edge["a"] + 2 * m.edge["b"], lambda split: 7.0)
    with pytest.raises(InputError) as caught:
        pareto_front(_toy(), [wrong], constraints=[lambda m, inst: m.edge["b"] == 1])
    assert str(caught.value) == ("objective wrong: value gives 7.0, and expression 3.0, with 2 of 3 layers at the edge: a, b; "
                                 "expected one number")


# mistakes


def _constraint(function):
    return lambda: pareto_front(_toy(), constraints=[function])


def _objective(expression, **more):
    return lambda: pareto_front(_toy(), [Objective("mine", "", "min", expression, **more), "memory"])


def _variables(*functions):
    return lambda: pareto_front(_toy(), variables=functions)


def _model():
    m = pyo.ConcreteModel("two")
    m.x = pyo.Var(["a", "b"], domain=pyo.Binary)
    m.p = pyo.Param(mutable=True)
    m.one = pyo.Objective(expr=m.x["a"])
    m.other = pyo.Objective(expr=-m.x["a"] - m.x["b"])
    m.many = pyo.Objective(["p", "q"], rule=lambda m, k: m.x["a"])
    m.none = pyo.Objective()
    m.unknown = pyo.Objective(expr=m.p * m.x["a"])
    return m


def _replaces(m, inst):
    m.edge = pyo.Var(m.layers, domain=pyo.Binary)
    return m.edge["a"] >= 0


def _several(m, inst):
    yield m.edge["a"] <= 1
    yield m.edge["zz"] <= 1


def _if(m, inst):
    return m.edge["a"] == 1 if m.edge["b"] else m.edge["a"] == 0


NAN = math.nan
M, N = _model(), _model()
LINEAR = get("latency").expression
MISTAKES = {
    "strict": (_constraint(lambda m, inst: m.edge["a"] < 1), "gave edge[a] < 1, which is strict; expected <=, >= or =="),
    "strict range": (_constraint(lambda m, inst: pyo.inequality(0, m.edge["a"], 1, strict=True)), "which is strict"),
    "chain": (_constraint(lambda m, inst: 0 <= m.edge["a"] <= 1), "no `if`, `and`, `or`, `not` or chain such as 0 <= x <= 1"),
    "unequal": (_constraint(lambda m, inst: m.edge["a"] != 1), "asks whether (edge[a] == 1) is true"),
    "if": (_constraint(_if), "asks whether (edge[b]) is true, which only the solution tells"),
    "no return": (_constraint(lambda m, inst: None), "gave nothing (None); is a `return` missing?"),
    "true": (_constraint(lambda m, inst: inst.rtt_s <= 1), "gave True: the relation holds no variable of the model"),
    "numpy's true": (_constraint(lambda m, inst: np.float64(1) <= 2), "gave True: the relation holds no variable"),
    "infeasible": (_constraint(lambda m, inst: pyo.Constraint.Infeasible), "gave Infeasible: the relation holds no variable"),
    "expression": (_constraint(lambda m, inst: m.edge["a"]), "gave the VarData edge[a]; expected a linear relation"),
    "item": (_constraint(lambda m, inst: [m.edge["a"] <= 1, 3]), "gave the int 3; expected a linear relation"),
    "tuple": (_constraint(lambda m, inst: (0, m.edge["a"], 1)), "gave the int 0; expected a linear relation"),
    "text": (_constraint(lambda m, inst: "a <= 1"), "gave the str 'a <= 1'; expected a linear relation"),
    "layer": (_constraint(lambda m, inst: m.edge["aa"] <= 1), "there is no layer 'aa' (m.edge) in toy; did you mean 'a'?"),
    "tensor": (_constraint(lambda m, inst: m.sent["inptu"] <= 1), "there is no tensor 'inptu' (m.sent) in toy; expected 'input'"),
    "second item": (_constraint(_several), "there is no layer 'zz' (m.edge) in toy"),
    "attribute": (_constraint(lambda m, inst: m.edges["a"] <= 1), "the model has no 'edges'; did you mean 'edge'"),
    "arguments": (_constraint(lambda m: m.edge["a"] <= 1), "takes 1 positional argument but 2 were given"),
    "product": (_constraint(lambda m, inst: m.edge["a"] * m.edge["b"] <= 1), "which is not linear in edge[a], edge[b]"),
    "not a number": (_constraint(lambda m, inst: NAN * m.edge["a"] <= 1), "holds a number that is not finite"),
    "bound": (_constraint(lambda m, inst: m.edge["a"] <= NAN), "holds a number that is not finite"),
    "variable bounds": (_constraint(lambda m, inst: pyo.inequality(m.edge["a"], m.edge["b"], m.edge["c"])), "variable lower bound"),
    "component": (_constraint(lambda m, inst: pyo.Constraint(expr=m.edge["a"] <= 1)), "expected a linear relation"),
    "whole component": (_constraint(lambda m, inst: m.edge <= 1), "failed with TypeError: '<=' not supported"),
    "replaces": (_constraint(_replaces), "replaces m.edge, which is there already; expected another name"),
    "no function": (_constraint(3), "got the int 3; expected blocks by name or functions (m, instance)"),
    "no list": (lambda: pareto_front(_toy(), constraints=_replaces), "constraints: got <function _replaces"),
    "a name alone": (lambda: pareto_front(_toy(), constraints="proper_split"), "constraints: got 'proper_split'; expected a list"),
    "o none": (_objective(lambda m, inst: None), "gave nothing (None); expected a linear expression over the model's variables"),
    "o number": (_objective(lambda m, inst: 5), "gave the int 5; expected a linear expression"),
    "o false": (_objective(lambda m, inst: False), "gave the bool False; expected a linear expression"),
    "o text": (_objective(lambda m, inst: "latency"), "gave the str 'latency'; expected a linear expression"),
    "o relation": (_objective(lambda m, inst: m.edge["a"] <= 1), "gave the InequalityExpression edge[a] <= 1; expected a linear"),
    "o list": (_objective(lambda m, inst: [m.edge["a"]]), "gave a list; expected a linear expression"),
    "o component": (_objective(lambda m, inst: m.edge), "gave the IndexedVar edge; expected a linear expression"),
    "o product": (_objective(lambda m, inst: m.edge["a"] * m.edge["b"]), "which is not linear in edge[a], edge[b]"),
    "o nan": (_objective(lambda m, inst: m.edge["a"] * NAN), "holds a number that is not finite"),
    "o infinite": (_objective(lambda m, inst: m.edge["a"] + float("inf")), "holds a number that is not finite"),
    "o layer": (_objective(lambda m, inst: m.edge["conv0"] + m.edge["b"]), "there is no layer 'conv0' (m.edge) in toy"),
    "o instance": (_objective(lambda m, inst: inst.layer("cc").t_edge_s * m.offload), "has no layer 'cc'; did you mean 'c'?"),
    "o extra": (_objective(lambda m, inst: inst.layer("b").extra["price"] * m.offload), "layer b: has no number 'price' of"),
    "o parameter": (_objective(lambda m, inst: pyo.Param(mutable=True) * m.offload), "which cannot be evaluated: "),
    "o value raises": (_objective(LINEAR, value=lambda s: s.speed), "mine, value (*): failed with AttributeError"),
    "o value none": (_objective(LINEAR, value=lambda s: None), "gave nothing (None); expected a finite number"),
    "o value nan": (_objective(LINEAR, value=lambda s: NAN), "gave the float nan; expected a finite number"),
    "o granule": (_objective(LINEAR, granule=lambda inst: 0), "granule (*): gave the int 0; expected a number above zero"),
    "o no function": (lambda: Objective("x", "", "min", 5), "objective x: expression is 5; expected a function (m, instance)"),
    "o no value": (lambda: Objective("x", "", "min", LINEAR, 5), "objective x: value is 5; expected a function (split), or None"),
    "o name": (lambda: Objective("", "", "min", LINEAR), "objective: name is ''; expected text"),
    "o unit": (lambda: Objective("x", None, "min", LINEAR), "objective x: unit is None; expected text"),
    "two of a name": (lambda: pareto_front(_toy(), ["latency", Objective("latency", "", "min", LINEAR)]), "expected each once"),
    "one name": (lambda: pareto_front(_toy(), "latency"), "objectives: got 'latency'; expected a list of them"),
    "a function": (lambda: pareto_front(_toy(), [LINEAR]), "is not an objective; there are edge_time, "),
    "no instance": (lambda: pareto_front("toy.json"), "instance: got 'toy.json'; expected an Instance"),
    "memory model": (lambda: pareto_front(_toy(), memory_model="top"), "memory model: 'top' is not one of sum, peak"),
    "time limit": (lambda: pareto_front(_toy(), time_limit_s="1s"), "time_limit_s: '1s' is not a number of seconds"),
    "v none": (_variables(None), "variables: got nothing (None); expected functions (m, instance)"),
    "v list": (_variables(lambda m, inst: [pyo.Var()]), "gave a list; expected names to Pyomo components"),
    "v number": (_variables(lambda m, inst: {"x": 3}), "gave 'x': the int 3; expected a name and a Pyomo component"),
    "v name": (_variables(lambda m, inst: {"edge": pyo.Var()}), "gives the name 'edge', which is there already"),
    "v twice": (_variables(half_clock, half_clock), "gives the name 'half', which is there already"),
    "t indexed": (lambda: trace_front(M, [M.one, M.many]), "objective many: is indexed; expected its members, one by one: many[p]"),
    "t other": (lambda: trace_front(M, [M.one, N.other]), "objective other: is no component of this model, two"),
    "t loose": (lambda: trace_front(M, [M.one, pyo.Objective(expr=M.x["a"])]), "is no component of this model, two"),
    "t text": (lambda: trace_front(M, ["one", "other"]), "got the str 'one'; expected Objective components of the model"),
    "t empty": (lambda: trace_front(M, [M.one, M.none]), "objective none: has no expression"),
    "t parameter": (lambda: trace_front(M, [M.one, M.unknown]), "objective unknown: gave p*x[a], which cannot be evaluated"),
    "t alone": (lambda: trace_front(M, M.one), "got the ScalarObjective one; expected a list of the model's Objective"),
    "t variable": (lambda: trace_front(M, [M.one, M.x["a"]]), "got the VarData x[a]; expected Objective components"),
    "t no model": (lambda: trace_front(3, [M.one]), "model: got the int 3; expected a Pyomo model"),
    "t abstract": (lambda: trace_front(pyo.AbstractModel(), [M.one]), "is an abstract model; expected a concrete one"),
    "t none": (lambda: trace_front(M, [M.one, None]), "got nothing (None); expected Objective components"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_fault_17_a_users_mistake_is_one_clear_line(name):
    make, message = MISTAKES[name]
    with pytest.raises(LmosError) as caught:
        make()
    text = str(caught.value)
    assert all(part in text for part in message.split("*"))
    assert len(text.splitlines()) == 1
    assert len(text) < 400


def test_what_is_no_mistake_is_taken():
    m = _model()
    m.other.deactivate()  # as scripts do that solve for one objective after another
    assert [p.values for p in trace_front(m, [m.one, m.other]).points] == [{"one": 0, "other": -1}, {"one": 1, "other": -2}]
    toy = _toy()
    assert len(pareto_front(toy, ["latency", Objective("free", "", "min", lambda m, inst: sum(()))]).points) == 1
    plain = pareto_front(toy, constraints=[lambda m, inst: m.edge["a"] == 1]).points

    def itself(m, inst):
        m.mine = pyo.Constraint(expr=m.edge["a"] == 1)

    def generated(m, inst):
        yield m.edge["a"] == 1
        yield pyo.Constraint.Skip

    for same in (itself, generated, lambda m, inst: (m.edge["a"] == 1, m.edge["a"] >= 1)):
        assert pareto_front(toy, constraints=[same]).points == plain
