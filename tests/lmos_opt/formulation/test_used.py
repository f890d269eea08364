"""`used`: 1 if any layer runs at the edge; of a network with one first layer no variable of its own."""

from __future__ import annotations

import pyomo.environ as pyo

from lmos_opt import Instance
from lmos_opt.split import Split, down_closed_sets
from tests.lmos_opt.documents import chain_data, instance_data, layer
from tests.lmos_opt.formulation.blocks import broken, is_forced, model, set_to


def test_one_first_layer_decides_alone():
    m = model(Instance.from_dict(chain_data()), "assignment", "used")
    assert not list(m.component_objects(pyo.Var, descend_into=False))[-1].name.startswith("used")
    assert m.used.expr is m.upto[1, "a"]


def test_of_several_first_layers_any_makes_it_one_and_no_other_value_satisfies_the_rows():
    instance = Instance.from_dict(instance_data(layer("a", "input"), layer("b", "input"), layer("c", "a", "b")))
    m = model(instance, "assignment", "used")
    for edge in down_closed_sets(instance):
        set_to(m, Split(instance, edge))
        assert broken(m) == []
        assert m.used.value == bool(edge)
        assert is_forced(m, m.used)
