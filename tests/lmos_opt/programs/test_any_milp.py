"""What people write beyond binaries: every model is answered exactly, marked as incomplete with its cause, or refused by name."""

from __future__ import annotations

import math

import pyomo.environ as pyo
import pytest
from pyomo import gdp, mpec, network

from lmos_opt import InfeasibleError, InputError, Instance, pareto_front, trace_front


def _values(front):
    assert front.complete, front.reason
    return [tuple(point.values.values()) for point in front.points]


def _half_and_quarter(bounds, domain=pyo.Integers):
    m = pyo.ConcreteModel("halves")
    m.x = pyo.Var(domain=domain, bounds=bounds)
    m.half = pyo.Objective(expr=0.5 * m.x, sense=pyo.maximize)
    m.quarter = pyo.Objective(expr=0.25 * m.x, sense=pyo.maximize)
    return m


@pytest.mark.parametrize(("bounds", "values"), [
    ((0, 3.7), (1.5, 0.75)), ((-2.5, -0.5), (-0.5, -0.25)), ((-0.5, 0.5), (0, 0)), ((0.2, 3), (1.5, 0.75)),
    ((0, 3 - 1e-15), (1.5, 0.75)), ((0, 2.9999), (1, 0.5)),
])  # fmt: skip
def test_fault_01_integers_with_fractional_bounds_are_those_with_the_bounds_rounded_inwards(bounds, values):
    m = _half_and_quarter(bounds)
    assert _values(trace_front(m, [m.half, m.quarter])) == [values]


def test_fault_01_an_integer_with_no_whole_number_between_its_bounds_is_infeasible():
    m = _half_and_quarter((0.2, 0.8))
    with pytest.raises(InfeasibleError, match=r"variable x: no whole number between 0.2 and 0.8"):
        trace_front(m, [m.half, m.quarter])
    m = _half_and_quarter((3, 1), pyo.Reals)
    with pytest.raises(InfeasibleError, match="variable x: no value between 3 and 1"):
        trace_front(m, [m.half, m.quarter])


def test_fault_01_a_splits_own_integer_keeps_its_fractional_bounds():
    layers = [{"name": n, "inputs": [i], "t_edge_s": 0.5, "t_server_s": 0.1, "weight_bytes": 8, "output_bytes": 4}
              for n, i in (("a", "input"), ("b", "a"))]
    instance = Instance.from_dict({"schema": "lmos.instance/1", "name": "toy", "input_bytes": 100, "rtt_s": 0.0,
                                   "bandwidth_bytes_per_s": 1000.0, "memory_limit_bytes": None, "layers": layers})

    def clock(m, inst):
        m.clock = pyo.Var(domain=pyo.Integers, bounds=(0, 2.7))
        return m.clock >= m.edge["a"]

    from lmos_opt import Objective

    speed = Objective("speed", unit="", sense="max", expression=lambda m, inst: m.clock)
    front = pareto_front(instance, objectives=["latency", speed], constraints=[clock])
    assert front.complete
    assert {point.values["speed"] for point in front.points} == {2}


def _two(kind=pyo.Integers, upper=4):
    m = pyo.ConcreteModel("two")
    m.x = pyo.Var([0, 1], domain=kind, bounds=(0, upper))
    m.f = pyo.Objective(expr=m.x[0] + 2 * m.x[1])
    m.g = pyo.Objective(expr=2 * m.x[0] + m.x[1])
    return m


def _with_disjunction(m):
    m.either = gdp.Disjunction(expr=[[m.x[0] >= 3], [m.x[1] >= 3]])


def _with_logic(m):
    m.b = pyo.BooleanVar([0, 1])
    m.logic = pyo.LogicalConstraint(expr=pyo.lor(m.b[0], m.b[1]))


def _with_arc(m):
    m.p, m.q = network.Port(initialize={"x": m.x[0]}), network.Port(initialize={"x": m.x[1]})
    m.arc = network.Arc(source=m.p, destination=m.q)


def _with_complementarity(m):
    m.comp = mpec.Complementarity(expr=mpec.complements(m.x[0] >= 0, m.x[1] >= 0))


def _with_sos(m):
    m.sos = pyo.SOSConstraint(var=m.x, sos=1)


@pytest.mark.parametrize(("add", "named", "way_out"), [
    (_with_disjunction, "either: Disjunction", 'TransformationFactory("gdp.bigm")'),
    (_with_logic, "logic: LogicalConstraint", 'TransformationFactory("core.logical_to_linear")'),
    (_with_arc, "arc: Arc", 'TransformationFactory("network.expand_arcs")'),
    (_with_complementarity, "comp: Complementarity", 'TransformationFactory("mpec.simple_disjunction")'),
    (_with_sos, "sos: SOSConstraint", "write it with binary variables"),
])  # fmt: skip
def test_fault_02_active_components_that_are_no_part_of_a_milp_are_refused_by_name(add, named, way_out):
    m = _two()
    add(m)
    with pytest.raises(InputError) as refused:
        trace_front(m, [m.f, m.g])
    assert named in str(refused.value)
    assert way_out in str(refused.value)


def test_fault_02_the_way_out_gives_the_right_front_and_what_is_inactive_does_not_count():
    m = _two()
    _with_disjunction(m)
    m.either.deactivate()
    for disjunct in m.component_data_objects(gdp.Disjunct, descend_into=(pyo.Block, gdp.Disjunct)):
        disjunct.deactivate()
    assert _values(trace_front(m, [m.f, m.g])) == [(0, 0)]
    m = _two()
    _with_disjunction(m)
    pyo.TransformationFactory("gdp.bigm").apply_to(m)
    assert _values(trace_front(m, [m.f, m.g])) == [(3, 6), (6, 3)]


@pytest.mark.parametrize("big", [1e3, 1e6, 1e9, 1e10, 1e12])
@pytest.mark.parametrize("share", [1, 0.7])
def test_fault_03_a_big_m_is_replaced_by_what_its_row_needs(big, share):
    m = pyo.ConcreteModel("big-m")
    m.y = pyo.Var([0, 1], domain=pyo.Binary)
    m.q = pyo.Var([0, 1], domain=pyo.Integers, bounds=lambda m, i: (0, (3, 5)[i]))
    m.link = pyo.Constraint([0, 1], rule=lambda m, i: m.q[i] <= big * m.y[i])
    m.demand = pyo.Constraint(expr=m.q[0] + m.q[1] == 5)
    m.rent = pyo.Objective(expr=7 * m.y[0] + 7 * m.y[1])
    m.cost = pyo.Objective(expr=5 * share * m.q[0] + 4 * share * m.q[1])
    (point,) = trace_front(m, [m.rent, m.cost]).points
    assert (point.values["rent"], point.values["cost"]) == (7, pytest.approx(20 * share))


@pytest.mark.parametrize("upper", [1e9, 1e12, 1e20, 1e30, None])
def test_fault_04_huge_bounds_do_not_coarsen_what_can_be_told_apart(upper):
    m = pyo.ConcreteModel("wide")
    m.x = pyo.Var([0, 1], domain=pyo.Integers, bounds=(0, upper))
    m.demand = pyo.Constraint(expr=2 * m.x[0] + 3 * m.x[1] >= 30)
    m.first, m.second = pyo.Objective(expr=0.1 * m.x[0]), pyo.Objective(expr=0.7 * m.x[1])
    every = [(a, b) for a in range(16) for b in range(11) if 2 * a + 3 * b >= 30]
    best = [p for p in every if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in every)]
    found = _values(trace_front(m, [m.first, m.second]))
    assert [(round(f / 0.1), round(g / 0.7)) for f, g in found] == sorted(best)


def test_fault_04_what_has_no_bound_is_marked_with_its_name():
    m = pyo.ConcreteModel("open")
    m.x = pyo.Var([0, 1], domain=pyo.NonNegativeIntegers)
    m.y = pyo.Var(domain=pyo.NonNegativeIntegers)
    m.row = pyo.Constraint(expr=m.x[0] + m.x[1] - m.y >= 3)
    m.f, m.g = pyo.Objective(expr=m.x[0] - 0.3 * m.y + 2 * m.x[1]), pyo.Objective(expr=m.x[1])
    front = trace_front(m, [m.f, m.g])
    assert not front.complete
    assert "has no upper bound, and none follows from the constraints" in front.reason


def _shares():
    m = pyo.ConcreteModel("shares")
    m.w = pyo.Var([0, 1], bounds=(0, 1))
    m.all = pyo.Constraint(expr=m.w[0] + m.w[1] == 1)
    m.f, m.g = pyo.Objective(expr=m.w[0]), pyo.Objective(expr=m.w[1])
    return m


@pytest.mark.parametrize("algorithm", ["epsilon_constraint", "balanced_box", "local_upper_bounds"])
def test_fault_14_a_continuous_trade_off_stops_and_names_its_variables(algorithm):
    m = _shares()
    front = trace_front(m, [m.f, m.g], algorithm=algorithm)
    assert not front.complete
    assert "the continuous variables w[0], w[1] trade the objectives off" in front.reason
    assert "step=" in front.reason
    assert 2 <= len(front.points) <= 3


@pytest.mark.parametrize("algorithm", ["epsilon_constraint", "balanced_box", "local_upper_bounds"])
def test_fault_14_a_step_is_the_way_out(algorithm):
    m = _shares()
    front = trace_front(m, [m.f, m.g], step=[0.1, 0.1], algorithm=algorithm)
    assert front.complete
    found = [point.values["f"] for point in front.points]
    assert 6 <= len(found) <= 21
    assert all(any(abs(k / 100 - f) <= 0.1 + 1e-6 for f in found) for k in range(101))


@pytest.mark.parametrize("step", [[0.1], [0.1, 0], [0.1, math.inf], [0.1, -1]])
def test_fault_14_a_step_that_is_none_is_refused(step):
    m = _shares()
    with pytest.raises(InputError, match=r"step: .* for the objectives f, g; expected a positive number for each"):
        trace_front(m, [m.f, m.g], step=step)


@pytest.mark.parametrize("seed", range(8))
def test_fault_14_continuous_columns_beside_binary_ones_finish(seed):
    import random

    rng = random.Random(seed)
    n = 5
    m = pyo.ConcreteModel("lots")
    m.y = pyo.Var(range(n), domain=pyo.Binary)
    m.q = pyo.Var(range(n), bounds=(0, 10))
    most = [rng.uniform(2, 9) for _ in range(n)]
    price, rent, other = ([rng.uniform(1, 9) for _ in range(n)] for _ in range(3))
    demand = rng.uniform(5, 12)
    m.link = pyo.Constraint(range(n), rule=lambda m, i: m.q[i] <= most[i] * m.y[i])
    m.demand = pyo.Constraint(expr=sum(m.q.values()) >= demand)
    m.cost = pyo.Objective(expr=sum(price[i] * m.q[i] + rent[i] * m.y[i] for i in range(n)))
    m.other = pyo.Objective(expr=sum(other[i] * m.y[i] for i in range(n)))
    every = []
    for mask in range(2**n):
        on = [i for i in range(n) if mask >> i & 1]
        left, cost = demand, sum(rent[i] for i in on)
        for i in sorted(on, key=lambda i: price[i]):
            cost, left = cost + price[i] * min(left, most[i]), left - min(left, most[i])
        if left <= 1e-12:
            every.append((cost, sum(other[i] for i in on)))
    best = sorted(p for p in every if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in every))
    found = _values(trace_front(m, [m.cost, m.other]))
    assert len(found) == len(best)
    assert [v for p in found for v in p] == pytest.approx([v for p in best for v in p], rel=1e-8)


def test_what_is_fixed_counts_as_its_value_and_must_be_one():
    m = _two()
    m.x[0].fix(2)
    assert _values(trace_front(m, [m.f, m.g])) == [(2, 4)]
    m.x[0].fix(0.5)
    with pytest.raises(InputError, match=r"variable x\[0\] is fixed at 0.5, but is an integer"):
        trace_front(m, [m.f, m.g])
    m.x[0].fixed, m.x[0].value = True, None
    with pytest.raises(InputError, match="cannot be evaluated"):
        trace_front(m, [m.f, m.g])


def test_what_cannot_be_a_model_is_refused_by_name():
    other, m = _two(), _two()
    m.mixed = pyo.Constraint(expr=m.x[0] + other.x[1] <= 3)
    with pytest.raises(InputError, match=r"constraint mixed uses the variable x\[1\], which is not part of this model"):
        trace_front(m, [m.f, m.g])
    m = _two()
    m.p = pyo.Param(initialize=math.nan, mutable=True)
    m.row = pyo.Constraint(expr=m.p * m.x[0] <= 3)
    with pytest.raises(InputError, match=r"constraint row has the coefficient nan of x\[0\], which is not finite"):
        trace_front(m, [m.f, m.g])
    m = _two()
    m.p = pyo.Param(mutable=True)
    m.row = pyo.Constraint(expr=m.p * m.x[0] <= 3)
    with pytest.raises(InputError, match="constraint row cannot be evaluated: "):
        trace_front(m, [m.f, m.g])
    abstract = pyo.AbstractModel()
    with pytest.raises(InputError, match=r"create_instance\(\)"):
        trace_front(abstract, [m.f, m.g])
    with pytest.raises(InputError, match="model: got a dict; expected a Pyomo model"):
        trace_front({}, [m.f, m.g])


def test_an_infeasible_model_names_its_constraints():
    m = _two()
    m.few, m.many = pyo.Constraint(expr=m.x[0] + m.x[1] <= 3), pyo.Constraint(expr=m.x[0] >= 4)
    with pytest.raises(InfeasibleError, match="constraint few"):
        trace_front(m, [m.f, m.g])


def test_fault_14_a_splits_own_continuous_decision_is_named_and_has_a_step():
    from lmos_opt import Objective

    layers = [{"name": n, "inputs": [i], "t_edge_s": 0.5, "t_server_s": 0.1, "weight_bytes": 8, "output_bytes": 4}
              for n, i in (("a", "input"), ("b", "a"))]
    instance = Instance.from_dict({"schema": "lmos.instance/1", "name": "toy", "input_bytes": 100, "rtt_s": 0.0,
                                   "bandwidth_bytes_per_s": 1000.0, "memory_limit_bytes": None, "layers": layers})

    def clock(m, inst):
        return {"clock": pyo.Var(bounds=(1, 2))}

    power = Objective("power", unit="W", sense="min", expression=lambda m, inst: 3 * m.clock)
    wait = Objective("wait", unit="s", sense="min", expression=lambda m, inst: 2 - m.clock)
    front = pareto_front(instance, [power, wait], variables=[clock])
    assert not front.complete
    assert "the continuous variables clock trade the objectives off" in front.reason
    front = pareto_front(instance, [power, wait], variables=[clock], step=[0.3, 0.1])
    assert front.complete
    assert 6 <= len(front) <= 21
    assert all(p.values["power"] == pytest.approx(3 * p.solution["clock"]) for p in front)


@pytest.mark.parametrize("size", [1.0, 2e5, 1e15, 1e20])
def test_an_objective_that_presolve_makes_constant_has_an_end_whatever_its_size(size: float) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(domain=pyo.Integers, bounds=(0, 4))
    model.row = pyo.Constraint(expr=4 * model.x >= 13)
    model.none = pyo.Objective(expr=0, sense=pyo.maximize)
    model.one = pyo.Objective(expr=size * model.x, sense=pyo.maximize)
    front = trace_front(model, [model.none, model.one])
    assert front.complete, front.reason
    assert [(p.values["none"], p.values["one"]) for p in front.points] == [(0, 4 * size)]
