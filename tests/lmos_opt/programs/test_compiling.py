"""From Pyomo models to arrays: columns, rows, sides and bounds; what is no MILP is refused by its name."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from lmos_opt import InfeasibleError, InputError
from lmos_opt.programs.compiling import compile_model


def model() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel("toy")
    m.n = pyo.Var(domain=pyo.Integers, bounds=(0.5, 3.2))
    m.x = pyo.Var(bounds=(None, 1e30))
    m.fixed = pyo.Var(domain=pyo.Binary, initialize=1)
    m.fixed.fix()
    m.cap = pyo.Constraint(expr=(-1, 2 * m.n + m.x + 3 * m.fixed + 1, 7))
    m.cost = pyo.Objective(expr=m.n - 4 * m.x + 5 * m.fixed)
    return m


def test_columns_rows_sides_and_bounds():
    m = model()
    milp, (cost,), columns = compile_model(m, [m.cost])
    assert milp.variables == ("n", "x", "fixed")
    assert [columns[id(v)] for v in (m.n, m.x, m.fixed)] == [0, 1, 2]
    assert milp.integer.tolist() == [True, False, True]
    assert milp.lower.tolist() == [1, -float("inf"), 1], "bounds of integers are rounded inwards, 1e30 is none"
    assert milp.upper.tolist() == [3, float("inf"), 1]
    assert milp.row_names == ("cap",)
    assert (milp.rows[0].columns.tolist(), milp.rows[0].coefficients.tolist()) == ([0, 1], [2, 1])
    assert (milp.row_lower.tolist(), milp.row_upper.tolist()) == ([-5], [3]), "what is fixed stands in the sides"
    assert (cost.columns.tolist(), cost.coefficients.tolist(), cost.constant) == ([0, 1], [1, -4], 5)


def test_the_model_stays_as_it_was():
    m = model()
    before = str(m.cap.expr), str(m.cost.expr), m.n.bounds
    compile_model(m, [m.cost])
    assert (str(m.cap.expr), str(m.cost.expr), m.n.bounds) == before


def test_what_is_deactivated_does_not_count():
    m = model()
    m.cap.deactivate()
    assert compile_model(m, [m.cost])[0].rows == ()


def test_an_empty_integer_interval_is_infeasible():
    m = model()
    m.n.setlb(0.2)
    m.n.setub(0.8)
    with pytest.raises(InfeasibleError) as caught:
        compile_model(m, [m.cost])
    assert caught.value.constraints == ("variable n: no whole number between 0.2 and 0.8",)


@pytest.mark.parametrize(("change", "message"), [
    (lambda m: m.add_component("square", pyo.Constraint(expr=m.x * m.n <= 1)), "constraint square is not linear"),
    (lambda m: m.add_component("tiny", pyo.Constraint(expr=1e-101 * m.x + m.n <= 1)),
     r"constraint tiny has the coefficient 1e-101 of x; expected a size from 1e-100 to 1e\+100"),
    (lambda m: m.add_component("far", pyo.Constraint(expr=m.x >= 1e20)),
     r"constraint far asks for 1e\+20; expected a side below 1e\+20 in size"),
    (lambda m: m.n.fix(1.5), "variable n is fixed at 1.5, but is an integer"),
    (lambda m: m.x.fix(float("inf")), "variable x is fixed at inf; expected a finite number"),
    (lambda m: (m.add_component("y", pyo.Var([1, 2])), m.add_component("sos", pyo.SOSConstraint(var=m.y, sos=1))),
     r"SOSConstraint.*write it with binary variables"),
])  # fmt: skip
def test_what_is_no_milp_is_refused_by_its_name(change, message):
    m = model()
    change(m)
    with pytest.raises(InputError, match=message):
        compile_model(m, [m.cost])


def test_a_variable_of_another_model_is_refused():
    m, other = model(), model()
    with pytest.raises(InputError, match="uses the variable x, which is not part of this model"):
        compile_model(m, [other.x + m.n])


def test_a_whole_number_that_no_double_holds_is_refused():
    m = model()
    with pytest.raises(InputError, match="the whole number 9007199254740993 is no double"):
        compile_model(m, [(2**53 + 1) * m.x])
