"""Values that a range of its variables' bounds would make one are told apart."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from lmos_opt import Instance, pareto_front, trace_front

VALUES = (0.0, 0.31000007, 0.31, 0.52000003, 0.52)


@pytest.mark.parametrize("penalty", [1e7, 1e9])
def test_what_no_point_of_the_front_pays_hides_none(penalty):
    """One of five choices, or none of them at a penalty that both objectives pay: the choices differ by far less than that."""
    m = pyo.ConcreteModel("penalty")
    m.x = pyo.Var(range(5), domain=pyo.Binary)
    m.none = pyo.Var(domain=pyo.Binary)
    m.one = pyo.Constraint(expr=sum(m.x.values()) + m.none == 1)
    m.f = pyo.Objective(expr=sum(v * m.x[k] for k, v in enumerate(VALUES)) + penalty * 3**0.5 * m.none)
    m.g = pyo.Objective(expr=sum((1 - v * 2**0.5) * m.x[k] for k, v in enumerate(VALUES)) + penalty * m.none)
    front = trace_front(m, [m.f, m.g])
    assert front.complete
    assert [p.values["f"] for p in front] == sorted(VALUES)


def slow_server() -> Instance:
    """A chain one layer of which nobody would run at the server; of the others each is a little faster at the edge."""
    layers = [{"name": name, "inputs": [before], "t_edge_s": 0.0, "t_server_s": t, "weight_bytes": 8, "output_bytes": 0}
              for name, before, t in zip("abcd", ("input", *"abc"), (1e12, 0.31, 0.2, 0.1), strict=True)]  # fmt: skip
    return Instance.from_dict({"schema": "lmos.instance/1", "name": "slow", "input_bytes": 4, "bandwidth_bytes_per_s": 1e3,
                               "rtt_s": 0.0, "memory_limit_bytes": None, "layers": layers})  # fmt: skip


@pytest.mark.parametrize("algorithm", [None, "enumeration", "epsilon_constraint"])
def test_a_layer_that_is_slow_without_measure_hides_no_split(algorithm):
    front = pareto_front(slow_server(), ["latency", "footprint"], algorithm=algorithm)
    assert front.complete
    assert [p.values["latency"] for p in front][:4] == pytest.approx([0.0, 0.1, 0.3, 0.61], rel=1e-9)
    assert [p.values["footprint"] for p in front] == [36, 28, 20, 12, 0]
