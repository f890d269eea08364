"""Fronts by looking at every split: those of the search, to the bit, and what is refused."""

import pyomo.environ as pyo
import pytest

from lmos.bench.exactness import mistakes
from lmos.bench.random_instances import random_instance, with_limit, with_places
from lmos_opt import Front, InfeasibleError, InputError, Instance, Objective, iter_front, pareto_front, trace_front
from lmos_opt.fronts import listed
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.listing import shapes
from lmos_opt.listing.splits import Splits
from lmos_opt.objectives import get
from lmos_opt.split import all_splits
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer

ALL, SEARCH = {"algorithm": "enumeration"}, {"algorithm": "epsilon_constraint"}


def values(front):
    return [point.values for point in front]


@pytest.mark.parametrize("model", ["sum", "peak"])
def test_fronts_are_those_of_the_search_to_the_bit(model):
    for seed in range(12):
        one = random_instance(seed, most_layers=7)
        one = with_limit(one, seed) if seed % 3 == 0 else one
        found, searched = (pareto_front(one, memory_model=model, **options) for options in (ALL, SEARCH))
        assert values(found) == values(searched)
        assert (found.complete, found.solves, found.constrained) == (True, 0, searched.constrained)
        assert mistakes(found, one, ["latency", "memory"], model) == []


def test_any_number_of_objectives_and_places():
    for seed in range(12):
        one = with_places(random_instance(seed, most_layers=5), seed, 2 + seed % 3)
        for asked in (["throughput"], ["load", "footprint:2"], ["tx_bytes:1", "server_time", "memory"]):
            model = ("sum", "peak")[seed % 2]
            assert mistakes(pareto_front(one, asked, memory_model=model, **ALL), one, asked, model) == []


def test_it_says_how_many_splits_it_looked_at(tmp_path):
    found = pareto_front(Instance.from_dict(diamond_data()), **ALL)
    assert found.statistics.splits == 6
    found.save(tmp_path / "front.json")
    assert Front.load(tmp_path / "front.json") == found
    assert pareto_front(Instance.from_dict(diamond_data()), **SEARCH).statistics.splits is None


def test_proper_splits_alone():
    one = Instance.from_dict(chain_data())
    found = pareto_front(one, proper_split=True, **ALL)
    by_hand = enumerate_front(one, [get("latency"), get("memory")], proper_split=True)
    assert [point.values["latency"] for point in found] == [latency for (latency, _), _ in by_hand]


def test_nothing_feasible_is_said_as_by_the_search():
    one = Instance.from_dict(chain_data(memory_limit_bytes=5))
    with pytest.raises(InfeasibleError) as searched:
        pareto_front(one, proper_split=True)
    with pytest.raises(InfeasibleError) as found:
        pareto_front(one, proper_split=True, **ALL)
    assert str(found.value) == str(searched.value)


def price(name="price", value=None):
    return Objective(name, "EUR", "min", lambda m, inst: 2 * m.sent["input"] + sum(k * (1 - m.edge[v]) for k, v in
                                                                                  enumerate(m.layers)), value)


@pytest.mark.parametrize("model", ["sum", "peak"])
def test_a_users_objectives_and_constraints_are_looked_at_too(model):
    def constraints(m, inst):
        return [m.edge[inst.names[0]] == 1, m.memory <= inst.input_bytes + 10**9, m.offload + sum(m.edge.values()) >= 2]

    for seed in (2, 5, 9):
        one = random_instance(seed, most_layers=8)
        asked = ["latency", "memory", price()]
        found, searched = (pareto_front(one, asked, constraints=[constraints], memory_model=model, **options)
                           for options in (ALL, {}))
        assert values(found) == values(searched)
        assert found.statistics.splits


def test_rows_are_believed_only_when_looked_at_exactly():
    """A row that holds by less than the arrays tell: the split is asked itself, and what it had left out comes back."""
    one = random_instance(5, most_layers=8)
    first = pareto_front(one, **ALL)[0]
    tight = [lambda m, inst: sum(layer.t_edge_s * m.edge[layer.name] + layer.t_server_s * (1 - m.edge[layer.name])
                                 for layer in inst.layers) <= 0.999999 * first.values["latency"]]  # fmt: skip
    asked = [get("latency"), "memory"]
    found, searched = (pareto_front(one, asked, constraints=tight, **options) for options in (ALL, {}))
    assert values(found) == values(searched)


def test_a_value_that_contradicts_its_expression_is_refused():
    with pytest.raises(InputError, match="expected one number"):
        pareto_front(random_instance(2, 6), ["latency", price(value=lambda split: 7.0)], **ALL)


def test_what_is_decided_beside_where_layers_run_is_refused():
    def clock(m, inst):
        m.half_clock = pyo.Var(domain=pyo.Binary)

    with pytest.raises(InputError, match="variable half_clock is decided beside that"):
        pareto_front(random_instance(2, 6), variables=[clock], **ALL)


def test_too_many_splits_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(shapes, "MOST_SPLITS", 5)
    with pytest.raises(InputError, match=r"^algorithm: enumeration looks at every split, and toy has more than 5; .*$"):
        pareto_front(Instance.from_dict(diamond_data(name="toy")), **ALL)


def test_too_many_splits_for_one_after_another_are_refused(monkeypatch):
    monkeypatch.setattr(listed, "MOST_ONE_BY_ONE", 5)
    own = Objective("own", "B", "min", lambda m, inst: m.memory)
    with pytest.raises(InputError, match=r"has 6 of them; expected 5 at most"):
        pareto_front(Instance.from_dict(diamond_data()), ["latency", own], memory_model="peak", **ALL)


def test_equal_splits_of_a_network_with_many_are_evaluated_once(monkeypatch):
    monkeypatch.setattr(listed, "MANY", 3)
    layers = [{"name": f"l{k}", "inputs": ["input"], "t_edge_s": 0.5, "t_server_s": 0.25, "weight_bytes": 10, "output_bytes": 100}
              for k in range(8)]  # fmt: skip
    one = Instance.from_dict(chain_data(layers=layers))
    asked = []
    whole = listed.ListedSplits.candidates

    def counted(self, check_time):
        for found in whole(self, check_time):
            asked.append(found)
            yield found

    monkeypatch.setattr(listed.ListedSplits, "candidates", counted)
    found = pareto_front(one, **ALL)
    assert found.statistics.splits == 256
    assert mistakes(found, one, ["latency", "memory"], "sum") == []
    assert len(asked) <= 9


def large(parallel=0):
    """A chain of 100 layers, and some layers beside it."""
    layers = [layer(f"l{k}", f"l{k - 1}" if k else "input", edge=0.5 / (k + 1), out=5000 + 37 * k % 900) for k in range(100)]
    return Instance.from_dict(instance_data(*layers, *(layer(f"m{k}", "input") for k in range(parallel))))


@pytest.mark.parametrize(("one", "splits"), [(large(), 101), (Instance.from_dict(diamond_data()), 6)])
def test_graphs_with_few_splits_are_looked_at_without_being_asked(one, splits, tmp_path):
    found = pareto_front(one)
    assert (found.statistics.algorithm, found.statistics.splits, found.solves) == ("enumeration", splits, 0)
    assert mistakes(found, one, ["latency", "memory"], "sum") == []
    for asked in ({"algorithm": "epsilon_constraint"}, {"solver_options": {"threads": 1}}, {"log": tmp_path / "log.jsonl"}):
        searched = pareto_front(one, **asked)
        assert searched.statistics.splits is None
        assert searched.solves > 0
        assert values(searched) == values(found)


def in_order(one, split):
    """Where a split stands among those with its values: fewest layers before a hop, then the earliest ones, hop by hop."""
    return [(len(before), sorted(map(one.names.index, before))) for before in split.upto]


@pytest.mark.parametrize("places", [2, 3])
def test_of_splits_with_the_same_values_the_first_is_given(places):
    # layers of equal size that take no time anywhere, side by side: many splits have the same values
    layers = [layer("a", "input", edge=0.2, server=0.1, weights=10, out=40),
              *(layer(name, "a", edge=0.0, server=0.0, weights=5, out=0) for name in "bcd"),
              *(layer(name, "b", "d", edge=0.0, server=0.0, weights=5, out=0) for name in "ef"),
              layer("g", "e", "f", "c", edge=0.3, server=0.1, weights=10, out=4)]  # fmt: skip
    one = Instance.from_dict(instance_data(*layers))
    one = one if places == 2 else with_places(one, 1, places)
    several = 0
    for asked in (["latency", "memory"], ["latency", "memory", "tx_bytes"], ["memory", "footprint"]):
        splits = {}
        for split in all_splits(one):
            values = tuple(get(name).value(split) for name in asked)
            splits.setdefault(values, []).append(split)
        algorithm = "balanced_box" if len(asked) == 2 else "local_upper_bounds"
        for options in (ALL, {}, {"algorithm": algorithm}, {"algorithm": "local_upper_bounds"}):
            for point in pareto_front(one, asked, **options):
                alike = splits[tuple(point.values[name] for name in asked)]
                assert point.places == min(alike, key=lambda split: in_order(one, split)).places
                several += len(alike) > 1
    assert several > 8


def test_what_is_not_few_is_searched():
    assert Splits.of_few(large(parallel=20)) is None
    assert Splits.of_few(large(parallel=2)) is not None
    assert Splits.of_few(Instance.from_dict(diamond_data())) is not None


def test_its_time_is_limited():
    found = pareto_front(Instance.from_dict(diamond_data()), time_limit_s=0, **ALL)
    assert (found.complete, found.reason) == (False, "the time limit of 0 s is reached")


def test_its_points_come_one_by_one():
    growing = iter_front(Instance.from_dict(chain_data()), **ALL)
    assert len([*growing]) >= len(growing.front)
    assert growing.front.complete


def test_a_begun_front_may_be_given_and_is_not_needed():
    one = Instance.from_dict(chain_data())
    begun = pareto_front(one)
    assert values(pareto_front(one, resume=begun, **ALL)) == values(begun)
    with pytest.raises(InputError, match="resume"):
        pareto_front(one, ["latency"], resume=begun, **ALL)


def test_it_is_for_splits():
    m = pyo.ConcreteModel("any")
    m.x = pyo.Var(domain=pyo.Binary)
    m.f, m.g = pyo.Objective(expr=m.x), pyo.Objective(expr=-m.x)
    with pytest.raises(InputError, match="enumeration is for splits of an instance"):
        trace_front(m, [m.f, m.g], **ALL)
    with pytest.raises(InputError, match="step"):
        pareto_front(Instance.from_dict(chain_data()), step=[0.1, 1], **ALL)
