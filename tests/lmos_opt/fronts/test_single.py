"""A front of one point says why, and names objectives that do show a trade-off."""

from __future__ import annotations

import re

import pytest

from lmos_opt import Front, Instance, Objective, pareto_front
from lmos_opt.objectives import get
from tests.lmos_opt.documents import chain_data, instance_data, layer, path_data, placed


def fast_edge(**changes) -> Instance:
    """The edge is faster at everything."""
    layers = layer("a", "input", edge=0.1, server=0.2), layer("b", "a", edge=0.1, server=0.3)
    return Instance.from_dict(instance_data(*layers, **changes))


def named(front: Front) -> list[str]:
    """The objectives that the remark names."""
    said = re.search(r"; (.*) as a further objective would show a trade-off$", front.remark)
    return re.split(r", | or ", said[1]) if said else []


@pytest.mark.parametrize("algorithm", [None, "enumeration"])
@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_the_fastest_place_is_named_and_so_is_what_would_show_a_trade_off(memory_model, algorithm):
    front = pareto_front(fast_edge(), memory_model=memory_model, algorithm=algorithm)
    assert len(front) == 1
    assert front.remark.startswith("everything at the edge is best in latency and memory: the edge is the fastest place, so "
                                   "nothing is given up by using it; ")
    assert "footprint" in named(front)
    assert {"tx_bytes", "energy", "load"}.isdisjoint(named(front))
    for name in named(front):
        assert len(pareto_front(fast_edge(), ["latency", "memory", name], memory_model=memory_model)) > 1
    for name in ("tx_bytes",):
        assert len(pareto_front(fast_edge(), ["latency", "memory", name], memory_model=memory_model)) == 1


def test_the_server_and_a_place_along_a_path():
    slow_edge = Instance.from_dict(instance_data(layer("a", "input", edge=5.0, server=0.1, out=40)))
    front = pareto_front(slow_edge, ["latency", "footprint"])
    assert "everything at the server is best in latency and footprint: the server is the fastest place" in front.remark
    assert "memory" in named(front)
    path = Instance.from_dict(path_data(placed("a", "input", t=(9.0, 0.1, 9.0)), placed("b", "a", t=(9.0, 0.1, 9.0))))
    front = pareto_front(path, ["latency", "throughput"])
    assert "everything at box is best in latency and throughput: box is the fastest place" in front.remark
    for name in named(front):
        assert len(pareto_front(path, ["latency", "throughput", name])) > 1


def test_several_points_one_objective_or_a_part_have_no_remark():
    assert pareto_front(Instance.from_dict(chain_data())).remark is None
    assert pareto_front(fast_edge(), ["latency"]).remark is None
    assert pareto_front(fast_edge(), time_limit_s=0.0).remark is None


def test_a_split_in_two_and_ones_own_constraints():
    layers = layer("a", "input", edge=0.1, server=9.0, out=4), layer("b", "a", edge=9.0, server=0.1, out=4)
    uneven = Instance.from_dict(instance_data(*layers))
    front = pareto_front(uneven, ["latency", Objective("long", "s", "min", get("latency").expression)])
    assert front.remark == "one split is best in latency and long"
    held = pareto_front(fast_edge(), constraints=[lambda m, inst: m.edge["a"] == 1])
    assert held.remark == ("everything at the edge is best in latency and memory of all that the constraints admit")


def test_a_limit_bounds_what_is_named_and_the_file_has_it(tmp_path):
    front = pareto_front(fast_edge(memory_limit_bytes=0))
    assert front.remark.startswith("everything at the server is best in latency and memory")
    assert named(front) == []
    whole = pareto_front(fast_edge())
    whole.save(tmp_path / "front.json")
    assert Front.load(tmp_path / "front.json") == whole
    assert "remark" not in pareto_front(Instance.from_dict(chain_data())).to_dict()
