"""Models that were written to fool the engine: each is answered rightly, marked as incomplete with its cause, or refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyomo.environ as pyo
import pytest

from lmos_opt import InfeasibleError, InputError, trace_front

Built = tuple[Any, list[Any]]


def _model(upper: float | None = 4, n: int = 2, domain: Any = pyo.Integers) -> Any:
    m = pyo.ConcreteModel("trap")
    m.x = pyo.Var(range(n), domain=domain, bounds=(0, upper))
    return m


def _over(m: Any, f: Any, g: Any) -> Built:
    m.f, m.g = pyo.Objective(expr=f), pyo.Objective(expr=g)
    return m, [m.f, m.g]


def _covering(build: Callable[[Any, Any], Any]) -> Callable[[], Built]:
    def built() -> Built:
        m = _model()
        m.row = pyo.Constraint(expr=build(m, m.x))
        return _over(m, m.x[0], m.x[1])

    return built


def terms_below_tolerances() -> Built:
    m = _model(20)
    m.y = pyo.Var(domain=pyo.Integers, bounds=(0, 2))
    m.row = pyo.Constraint(expr=9e-6 * m.y + 1e-10 * m.x[0] + 2e-10 * m.x[1] >= 9e-6 + 2e-9)
    return _over(m, m.y, m.x[0] + m.x[1])


def constants_that_cancel() -> Built:
    m = _model(1, 1)
    return _over(m, 1e17 + m.x[0] - 1e17, 1 - m.x[0])


def unbounded_but_irrelevant() -> Built:
    m = _model(2, 1)
    m.w, m.k = pyo.Var(), pyo.Var([0, 1])
    m.row = pyo.Constraint(expr=m.k[0] - m.k[1] >= 3)
    return _over(m, m.x[0], -m.x[0])


def a_distance() -> Built:
    m = _model(3, 1)
    m.w = pyo.Var()
    m.over, m.under = pyo.Constraint(expr=m.w >= m.x[0] - 2), pyo.Constraint(expr=m.w >= 2 - m.x[0])
    return _over(m, 0.1 * m.x[0], m.w)


def stock_of_a_big_m() -> Built:
    m = pyo.ConcreteModel("trap")
    m.y, m.q, m.s = pyo.Var([0, 1], domain=pyo.Binary), pyo.Var([0, 1], bounds=(0, None)), pyo.Var([0, 1], bounds=(0, None))
    m.all = pyo.Constraint([0, 1], rule=lambda m, i: m.q[i] + m.s[i] == 1e9 * m.y[i])
    m.demand = pyo.Constraint(expr=m.q[0] + m.q[1] >= 1)
    return _over(m, m.y[0], m.y[1])


def stale_values() -> Built:
    m, objectives = _covering(lambda m, x: x[0] + x[1] >= 2)()
    m.x[0].set_value(17.5, skip_validation=True)
    m.x[1].set_value(math.nan, skip_validation=True)
    return m, objectives


def parity() -> Built:
    m = _model(1, 11)
    m.row = pyo.Constraint(expr=sum(2 * math.pi * m.x[i] for i in range(11)) == 11 * math.pi)
    return _over(m, m.x[0], m.x[1])


def names_alike() -> Built:
    m = _model(1)
    m.add_component("x[0]", pyo.Var(domain=pyo.Binary))
    z = m.component("x[0]")
    m.row = pyo.Constraint(expr=m.x[0] + z == 1)
    return _over(m, m.x[0], 3 * m.x[0] + 5 * z)


def a_ratio_of_fixed_ones() -> Built:
    m = _model(1)
    m.x[1].fix(2)
    return _over(m, 2 * (m.x[0] / m.x[1]), 10 - m.x[0] * m.x[1])


def rounding_of_fixed_ones() -> Built:
    m = _model(1, 4)
    for k in (1, 2, 3):
        m.x[k].fix(1)
    m.row = pyo.Constraint(expr=1e5 * (0.1 * m.x[1] + 0.2 * m.x[2]) == 0.3e5 * m.x[3])
    return _over(m, m.x[0], -m.x[0])


ANSWERED: dict[str, tuple[Callable[[], Built], list[tuple[float, float]]]] = {
    "terms below tolerances": (terms_below_tolerances, [(1, 10), (2, 0)]),
    "tiny row": (_covering(lambda m, x: 1e-10 * (3 * x[0] + 5 * x[1]) >= 7e-10), [(0, 2), (1, 1), (3, 0)]),
    "almost three": (_covering(lambda m, x: x[0] + x[1] >= 2 + 1e-7), [(0, 3), (1, 2), (2, 1), (3, 0)]),
    "almost two": (_covering(lambda m, x: x[0] + x[1] >= 2 - 1e-10), [(0, 2), (1, 1), (2, 0)]),
    "decimals": (_covering(lambda m, x: 0.1 * x[0] + 0.2 * x[1] == 0.1 * 3 + 0.2), [(1, 2), (3, 1)]),
    "constants that cancel": (constants_that_cancel, [(0, 1), (1, 0)]),
    "unbounded but irrelevant": (unbounded_but_irrelevant, [(0, 0), (1, -1), (2, -2)]),
    "a distance": (a_distance, [(0, 2), (0.1, 1), (0.2, 0)]),
    "stock of a big M": (stock_of_a_big_m, [(0, 1), (1, 0)]),
    "stale values": (stale_values, [(0, 2), (1, 1), (2, 0)]),
    "names alike": (names_alike, [(0, 5), (1, 3)]),
    "a ratio of fixed ones": (a_ratio_of_fixed_ones, [(0, 10), (1, 8)]),
    "rounding of fixed ones": (rounding_of_fixed_ones, [(0, 0), (1, -1)]),
}


@pytest.mark.parametrize("algorithm", ["epsilon_constraint", "balanced_box", "local_upper_bounds"])
@pytest.mark.parametrize("name", ANSWERED)
def test_a_trap_that_is_answered_is_answered_rightly(name: str, algorithm: str) -> None:
    build, expected = ANSWERED[name]
    front = trace_front(*build(), algorithm=algorithm)
    assert front.complete, front.reason
    assert len(front.points) == len(expected)
    found = [value for point in front.points for value in point.values.values()]
    assert found == pytest.approx([value for point in expected for value in point], rel=1e-9, abs=1e-12)


def fine_term_in_an_equality() -> Built:
    m = _model()
    m.y = pyo.Var(domain=pyo.Binary)
    m.row = pyo.Constraint(expr=1e15 * m.y + math.pi * m.x[0] + math.e * m.x[1] == 1e15)
    return _over(m, -m.x[0], -m.x[1])


def beyond_doubles() -> Built:
    m = _model(2)
    m.row = pyo.Constraint(expr=m.x[0] + m.x[1] == 2)
    return _over(m, (2**52 + 1) * m.x[0] + 2**52 * m.x[1] - 2**53, m.x[1])


def one_slice() -> Built:
    m = pyo.ConcreteModel("trap")
    m.y, m.z, m.w = pyo.Var(domain=pyo.Integers, bounds=(0, 3)), pyo.Var(domain=pyo.Binary), pyo.Var(bounds=(0, 1))
    m.on, m.least, m.most = (pyo.Constraint(expr=e) for e in (m.w <= m.z, m.y >= 2 * m.z, m.y <= 3 - m.z))
    return _over(m, m.y + 0.5 * m.w, -m.y - 0.9 * m.w)


MARKED: dict[str, tuple[Callable[[], Built], str]] = {
    "fine term in an equality": (fine_term_in_an_equality, r"constraint row: its term 2.71828 \* x\[1\] is finer than what"),
    "beyond doubles": (beyond_doubles, "objective f: it has whole numbers such as 4503599627370497, and adds up more of them"),
    "a trade-off in one slice": (one_slice, "the continuous variables w trade the objectives off"),
}


@pytest.mark.parametrize("name", MARKED)
def test_a_trap_that_cannot_be_proved_is_marked_with_its_cause(name: str) -> None:
    build, reason = MARKED[name]
    front = trace_front(*build())
    assert not front.complete
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(front.reason)


def deactivated() -> Built:
    m, objectives = _covering(lambda m, x: x[0] + x[1] >= 3)()
    m.deactivate()
    return m, objectives


def missed_by_little() -> Built:
    m = _model(1)
    m.x[0].fix(0)
    m.row = pyo.Constraint(expr=1e-10 * m.x[0] >= 1e-10)
    return _over(m, m.x[1], -m.x[1])


def without_a_number() -> Built:
    m = _model(1)
    m.x[1].fix(0)
    return _over(m, m.x[0] / m.x[1], m.x[0])


def in_steps() -> Built:
    m = _model(domain=pyo.RangeSet(0, 9, 3))
    return _over(m, m.x[0], m.x[1])


def _tiny_objective() -> Built:
    m = _model()
    return _over(m, 1e-310 * m.x[0], -m.x[0])


REFUSED: dict[str, tuple[Callable[[], Built], type[Exception], str]] = {
    "deactivated": (deactivated, InputError, r"is deactivated, so that nothing in it counts; activate\(\) it"),
    "missed by little": (missed_by_little, InfeasibleError, "constraint row"),
    "parity": (parity, InfeasibleError, "infeasible"),
    "without a number": (without_a_number, InputError, "cannot be evaluated: ZeroDivisionError"),
    "in steps": (in_steps, InputError, "a domain that is neither an interval nor integers"),
    "denormal objective": (_tiny_objective, InputError, r"objective f has the coefficient 1e-310 of x\[0\]; expected a size from"),
    "huge row": (_covering(lambda m, x: 1e308 * x[0] + 1e308 * x[1] >= 1.5e308), InputError, "row has the coefficient 1e.308"),
    "no double": (_covering(lambda m, x: (2**53 + 1) * x[0] >= 2**53 * x[1]), InputError, "9007199254740993 is no double"),
    "far side": (_covering(lambda m, x: x[0] + x[1] >= 1e21), InputError, r"row asks for 1e\+21; expected a side below 1e\+20"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_trap_that_is_refused_is_refused_in_a_line(name: str) -> None:
    build, kind, message = REFUSED[name]
    model, objectives = build()
    with pytest.raises(kind, match=message) as raised:
        trace_front(model, objectives)
    assert "\n" not in str(raised.value)
