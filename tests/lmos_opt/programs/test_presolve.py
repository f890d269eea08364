"""Presolve against looking at every assignment: no non-dominated vector is lost, none is gained; and what it is for happens."""

from __future__ import annotations

import itertools

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmos_opt import Instance, Objective, pareto_front, trace_front
from lmos_opt.errors import InfeasibleError
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.programs.presolve import presolve
from tests.lmos_opt.documents import instance_data, layer

INF = np.inf


def _milp(rows, sides, lower, upper, integer=None):
    n = len(lower)
    forms = tuple(LinearForm(np.flatnonzero(row), np.array(row, dtype=float)[np.flatnonzero(row)]) for row in rows)
    whole = np.ones(n, dtype=bool) if integer is None else np.array(integer)
    return Milp("toy", tuple(f"x{k}" for k in range(n)), np.array(lower, dtype=float), np.array(upper, dtype=float), whole,
                forms, np.array([s[0] for s in sides], dtype=float), np.array([s[1] for s in sides], dtype=float),
                tuple(f"r{k}" for k in range(len(rows))))  # fmt: skip


def _cost(*coefficients):
    return LinearForm(np.arange(len(coefficients)), np.array(coefficients, dtype=float))


def _front(milp, costs, box):
    """The non-dominated vectors over the whole numbers of a box that the program's bounds and rows admit."""
    found = set()
    for x in itertools.product(*(range(int(low), int(high) + 1) for low, high in box)):
        if milp.satisfied(np.array(x, dtype=float)):
            found.add(tuple(cost.at(np.array(x, dtype=float)) for cost in costs))
    return {p for p in found if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in found)}


number = st.one_of(st.integers(-5, 5), st.sampled_from([0.1, 0.25, -0.7, 1e-3, 1e6, -1e9]))
side = st.integers(-6, 12)


@st.composite
def programs(draw):
    n, m = draw(st.integers(1, 4)), draw(st.integers(0, 4))
    rows = [[draw(number) for _ in range(n)] for _ in range(m)]
    sides = []
    for _ in range(m):
        low = draw(st.one_of(st.just(-INF), side))
        high = draw(st.one_of(st.just(INF), side.filter(lambda s, low=low: s >= low), st.just(low if np.isfinite(low) else INF)))
        sides.append((low, high))
    lower = [draw(st.integers(-3, 1)) for _ in range(n)]
    upper = [low + draw(st.integers(0, 4)) for low in lower]
    costs = [_cost(*(draw(st.integers(-3, 3)) for _ in range(n))) for _ in range(draw(st.integers(1, 3)))]
    return _milp(rows, sides, lower, upper), costs


@given(programs())
def test_no_vector_that_nothing_dominates_is_lost_or_gained(drawn):
    milp, costs = drawn
    box = list(zip(milp.lower, milp.upper, strict=True))
    before = _front(milp, costs, box)
    try:
        after = _front(presolve(milp, costs), costs, box)
    except InfeasibleError:
        after = set()
    assert after == before


@given(programs())
def test_wide_bounds_keep_every_vector_that_nothing_dominates(drawn):
    """The same program without upper bounds: what dual bounds leave is compared over a box that holds what is needed."""
    milp, costs = drawn
    costs = [LinearForm(cost.columns, np.abs(cost.coefficients)) for cost in costs]
    wide = _milp([_dense(row, len(milp.lower)) for row in milp.rows], list(zip(milp.row_lower, milp.row_upper, strict=True)),
                 milp.lower, np.full(len(milp.lower), 1e9))  # fmt: skip
    box = [(low, low + 7) for low in milp.lower]
    try:
        narrowed = presolve(wide, costs)
    except InfeasibleError:
        assert _front(wide, costs, box) == set()
        return
    if np.all(narrowed.upper <= [high for _, high in box]):
        assert _front(narrowed, costs, box) == _front(wide, costs, box)


def _dense(row, n):
    found = np.zeros(n)
    found[row.columns] = row.coefficients
    return found


def test_a_big_m_becomes_what_its_row_needs():
    milp = presolve(_milp([[1, -1e12]], [(-INF, 0)], [0, 0], [3, 1]), [_cost(1, 1)])
    assert milp.rows[0].coefficients.tolist() == [1, -3]
    assert milp.row_upper.tolist() == [0]


def test_a_knapsack_item_that_fits_beside_all_others_weighs_less():
    milp = presolve(_milp([[2, 3, 100]], [(-INF, 104)], [0, 0, 0], [1, 1, 1]), [_cost(-1, -1, -1)])
    assert milp.rows[0].coefficients.tolist() == [1, 1, 1]  # of three items any two fit
    assert milp.row_upper.tolist() == [2]


def test_a_row_that_holds_anyway_has_no_side_left():
    milp = presolve(_milp([[1, 1]], [(-INF, 5)], [0, 0], [2, 3]), [_cost(-1, -1)])
    assert milp.row_upper.tolist() == [INF]


def test_a_cover_bounds_what_no_objective_wants_larger():
    milp = presolve(_milp([[2, 3]], [(30, INF)], [0, 0], [INF, 1e30]), [_cost(1, 0), _cost(0, 1)])
    assert milp.upper.tolist() == [15, 10]


def test_a_free_column_below_a_maximum_is_bounded_by_it():
    milp = presolve(_milp([[1, -2, 0], [1, 0, -3]], [(0, INF), (0, INF)], [-INF, 0, 0], [INF, 1, 1], [False, True, True]),
                    [_cost(1, 0, 0), _cost(0, -1, -1)])  # fmt: skip
    assert 3 <= milp.upper[0] <= 3 + 1e-7
    assert -1e-7 <= milp.lower[0] <= 0


def test_nothing_to_find_gives_the_program_itself():
    milp = _milp([[1, 1]], [(-INF, 1)], [0, 0], [1, 1])
    assert presolve(milp, [_cost(-1, -1)]) is milp


def test_infeasibility_names_a_constraint():
    with pytest.raises(InfeasibleError, match="constraint r1"):
        presolve(_milp([[1, 1], [1, 0]], [(-INF, 3), (4, INF)], [0, 0], [9, 9]), [_cost(1, 1)])


@pytest.mark.parametrize(("row", "side", "is_met"), [
    ([2, -4], 1, False), ([2, -4], 6, True), ([0.2, -0.4], 0.1, False), ([0.1, -0.4], 0.3, True), ([3, 2], 1, True),
    ([1 / 3, -2 / 3], 0.5, False), ([1 / 3, -0.7], 0.5, True),
])  # fmt: skip
def test_an_equation_is_infeasible_where_no_multiple_of_its_granule_meets_it(row, side, is_met):
    """1/3 and 0.7 are whole multiples of no number that is known, so nothing is said of them."""
    milp = _milp([row], [(side, side)], [-99, -99], [99, 99])
    if is_met:
        presolve(milp, [_cost(1, 0)])
    else:
        with pytest.raises(InfeasibleError, match="constraint r0"):
            presolve(milp, [_cost(1, 0)])


@pytest.mark.parametrize("coefficient", [4.75, 0.1, 1 / 3, 1e6 + 0.5])
def test_a_row_that_is_met_exactly_at_a_bound_takes_nothing_from_it(coefficient: float) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(domain=pyo.Integers, bounds=(0, 3))
    model.row = pyo.Constraint(expr=-coefficient * model.x >= -3 * coefficient)
    model.most = pyo.Objective(expr=model.x, sense=pyo.maximize)
    front = trace_front(model, [model.most])
    assert front.complete
    assert [p.values["most"] for p in front.points] == [3]


def test_a_row_that_holds_but_for_rounding_takes_nothing_from_its_columns() -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(3), domain=pyo.Integers, bounds=lambda _, k: (0, 3 - k // 2))
    model.mixed = pyo.Constraint(expr=-0.8 * model.x[0] + 3.7 * model.x[1] - 2 * model.x[2] >= 1.0000000000000002)
    model.count = pyo.Constraint(expr=0.25 * (model.x[0] + model.x[1] + model.x[2]) >= 1.75)
    model.least = pyo.Objective(expr=model.x[1])
    front = trace_front(model, [model.least])
    assert front.complete
    assert [p.values["least"] for p in front.points] == [2]


def test_small_rows_of_continuous_columns_hold_to_a_share_of_their_own_size() -> None:
    model = pyo.ConcreteModel()
    model.z = pyo.Var(domain=pyo.NonNegativeReals)
    model.on = pyo.Var(range(2), domain=pyo.Binary)
    model.row = pyo.Constraint(expr=model.z + 1.2110218e-6 * model.on[0] + 1.2110218759e-6 * model.on[1] >= 4.8440873334e-6)
    model.z_least = pyo.Objective(expr=model.z)
    model.cost = pyo.Objective(expr=3.7 * model.on[0] + 3.7000033 * model.on[1])
    front = trace_front(model, [model.z_least, model.cost])
    assert front.complete
    found = [(p.values["z_least"], p.values["cost"]) for p in front.points]
    expected = [(4.8440873334e-6 - 1.2110218e-6 - 1.2110218759e-6, 7.4000033), (4.8440873334e-6 - 1.2110218759e-6, 3.7000033),
                (4.8440873334e-6 - 1.2110218e-6, 3.7), (4.8440873334e-6, 0)]
    assert len(found) == len(expected)
    for point, true in zip(sorted(found), sorted(expected), strict=True):
        assert point == pytest.approx(true, rel=1e-11, abs=1e-20)


def test_rounding_in_a_row_of_large_numbers_moves_no_bound_of_a_tiny_coefficient():
    """Everything runs at the server. The link's stage is 11 ms, of which the round trip takes 1e-10 s."""
    layers = layer("a", "input", out=5000), layer("b", "a", out=7000), layer("c", "b", "a", "input")
    data = instance_data(*({**one, "t_edge_s": 0.001, "t_server_s": 0.001} for one in layers), input_bytes=4000, rtt_s=1e-10,
                         bandwidth_bytes_per_s=367733, memory_limit_bytes=0)  # fmt: skip
    twice = Objective("twice", "s", "min", lambda m, instance: 2 * m.throughput)
    (point,) = pareto_front(Instance.from_dict(data, "toy"), [twice]).points
    assert point.values["twice"] == pytest.approx(2 * (4000 / 367733 + 1e-10), rel=1e-14)
