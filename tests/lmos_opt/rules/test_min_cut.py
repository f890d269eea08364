"""DADS's minimum cut and Neurosurgeon, held to enumeration in exact arithmetic and to the integer program."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lmos.bench.random_instances import random_instance
from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.rules.baselines import baseline
from lmos_opt.rules.min_cut import min_cut
from lmos_opt.sources import Options, instance_of, load_source
from lmos_opt.split import down_closed_sets
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer


def exact_latency(instance: Instance, edge: frozenset[str]) -> Fraction:
    """Equation (4) without any rounding."""
    times = sum(Fraction(v.t_edge_s if v.name in edge else v.t_server_s) for v in instance.layers)
    crossing = sum(instance.tensor_bytes(name) for name in instance.crossing(edge))
    rtt = Fraction(instance.rtt_s) if len(edge) < len(instance.layers) else 0
    return times + crossing / Fraction(instance.bandwidth_bytes_per_s) + rtt


@pytest.mark.parametrize("seed", range(60))
def test_the_cut_is_the_best_of_all_splits(seed):
    """The very least, not to a tolerance; and of equals one with most edge layers."""
    instance = random_instance(4000 + seed, 9)
    latencies = {edge: exact_latency(instance, edge) for edge in down_closed_sets(instance)}
    least = min(latencies.values())
    found = min_cut(instance).edge
    assert latencies[found] == least
    assert len(found) == max(len(edge) for edge, latency in latencies.items() if latency == least)
    assert baseline(instance, "DADS").edge == found


@pytest.mark.parametrize("seed", range(12))
def test_the_integer_program_agrees(seed):
    instance = random_instance(4100 + seed, 10)
    point = pareto_front(instance).select("min_latency")
    found = min_cut(instance).times.latency_s
    assert found == pytest.approx(point.values["latency"], rel=1e-9)
    if instance.is_chain:
        assert baseline(instance, "Neurosurgeon").times.latency_s == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("name", ["alexnet", "vgg19", "resnet18", "squeezenet1_1"])
@pytest.mark.parametrize("bandwidth", ["1Mbps", "8Mbps", "100Mbps"])
def test_bundled_networks(name, bandwidth):
    instance = instance_of(load_source(name), Options(bandwidth=bandwidth, rtt="5ms"))
    assert exact_latency(instance, min_cut(instance).edge) == min(exact_latency(instance, e) for e in down_closed_sets(instance))


def test_a_tensor_with_two_readers_crosses_once():
    """b and c are dear at the edge; a's output, read by both, is cheaper than the image only if it is paid once."""
    layers = [layer("a", "input", edge=0.0, server=0.0, out=3000), layer("b", "a", edge=9.0), layer("c", "a", edge=9.0)]
    assert min_cut(Instance.from_dict(instance_data(*layers))).edge == {"a"}
    layers[0]["output_bytes"] = 4001
    assert min_cut(Instance.from_dict(instance_data(*layers))).edge == frozenset()


def test_nothing_flows_back():
    """c would be best at the edge and its input b at the server: that is no split."""
    layers = [layer("a", "input", edge=0.0), layer("b", "a", edge=9.0, server=0.0), layer("c", "b", edge=0.0, server=5.0)]
    instance = Instance.from_dict(instance_data(*layers))
    assert instance.edge_set(min_cut(instance).edge) == {"a"}


@pytest.mark.parametrize(("rtt", "edge"), [(0.0, ()), (1.308, ()), (1.309, ("a", "b", "c")), (2.0, ("a", "b", "c"))])
def test_the_exchange_costs_every_split_but_one(rtt, edge):
    """All at the server takes .4415 and the exchange, all at the edge 1.75."""
    assert min_cut(Instance.from_dict(chain_data(rtt_s=rtt))).edge_layers == edge


def test_magnitudes_that_floats_lose():
    """1e-12 s beside 1e6 s: the sum as a double would not know which is less."""
    layers = [layer("a", "input", edge=1e-12, server=2e-12, out=4000), layer("b", "a", edge=1e9, server=1e6)]
    assert min_cut(Instance.from_dict(instance_data(*layers))).edge_layers == ("a",)
    layers[0]["t_edge_s"] = 3e-12
    assert min_cut(Instance.from_dict(instance_data(*layers))).edge_layers == ()


def test_neurosurgeon_takes_the_first_best_cut_of_a_chain():
    chain = Instance.from_dict(chain_data())
    assert baseline(chain, "Neurosurgeon").edge_layers == ()
    assert baseline(chain.replace(bandwidth_bytes_per_s=5000.0), "Neurosurgeon").edge_layers == ("a", "b")
    assert baseline(chain.replace(bandwidth_bytes_per_s=1000.0), "Neurosurgeon").edge_layers == ("a", "b", "c")
    free = instance_data(layer("a", "input", edge=0.0, server=0.0, out=4000))
    assert baseline(Instance.from_dict(free | {"input_bytes": 0}), "Neurosurgeon").edge_layers == ()


def test_neurosurgeon_refuses_a_graph():
    with pytest.raises(InputError, match="Neurosurgeon: cuts chains only, and toy branches at layer 'c'; DADS cuts graphs"):
        baseline(Instance.from_dict(diamond_data()), "Neurosurgeon")


@pytest.mark.parametrize("rule", ["DADS:1", "Neurosurgeon:x", "DADS:2,1", "DADS:1,3"])
def test_either_takes_two_places_alone(rule):
    chain = Instance.from_dict(chain_data())
    with pytest.raises(InputError, match="expected two places of 1 to 2"):
        baseline(chain, rule)
    assert baseline(chain, "DADS:1,2").places == baseline(chain, "DADS").places
    assert baseline(chain, "dads") is None
