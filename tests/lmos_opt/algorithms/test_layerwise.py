"""Fronts of layers placed one after another, beside every split."""

import pytest

from lmos.bench.exactness import mistakes
from lmos.bench.random_instances import random_instance, with_inputs, with_limit, with_places, with_results
from lmos_opt import InfeasibleError, InputError, Instance, Objective, pareto_front
from lmos_opt.fronts import listed
from lmos_opt.listing import layerwise
from lmos_opt.objectives import get
from lmos_opt.sources import Options, instance_of, load_source
from tests.lmos_opt.documents import chain_data, instance_data, layer

LAYERS = {"algorithm": "layerwise"}
OBJECTIVES = (["latency", "memory"], ["latency", "footprint"], ["latency", "tx_bytes", "memory"], ["edge_time", "server_time"],
              ["memory"], ["memory", "footprint"], ["edge_time"])  # fmt: skip


def instance(seed):
    """Of every style, with several inputs, results that come back, and limits."""
    one = random_instance(seed, most_layers=8)
    one = with_limit(one, seed) if seed % 3 == 0 else one
    one = with_results(one, seed) if seed % 2 == 0 else one
    return with_inputs(one, seed) if seed % 5 == 0 else one


@pytest.mark.parametrize("model", ["sum", "peak"])
def test_fronts_are_those_of_every_split(model):
    for seed in range(30):
        one, asked = instance(seed), OBJECTIVES[seed % len(OBJECTIVES)]
        for proper in (False, True):
            try:
                front = pareto_front(one, asked, memory_model=model, proper_split=proper, **LAYERS)
            except InfeasibleError:
                with pytest.raises(InfeasibleError):
                    pareto_front(one, asked, memory_model=model, proper_split=proper, algorithm="enumeration")
                continue
            assert mistakes(front, one, asked, model, proper_split=proper) == [], seed
            assert (front.statistics.algorithm, front.solves) == ("layerwise", 0)


def test_what_a_codec_takes_belongs_to_the_tensor_that_crosses():
    one = random_instance(3, most_layers=8)
    sent = {name: {"bytes": 10, "encode_s": 0.01, "decode_s": 0.02} for name in one.tensors}
    coded = one.replace(coding={"codec": "fp16", "sent": sent})
    assert mistakes(pareto_front(coded, **LAYERS), coded, ["latency", "memory"], "sum") == []


@pytest.mark.parametrize("network", ["resnet18", "swin_t"])
def test_networks_have_the_fronts_of_an_enumeration(network):
    one = instance_of(load_source(network), Options())
    for model in ("sum", "peak"):
        found, whole = (pareto_front(one, memory_model=model, algorithm=name) for name in ("layerwise", "enumeration"))
        assert len(found) == len(whole)
        for a, b in zip(found, whole, strict=True):
            assert a.values == pytest.approx(b.values, rel=1e-11)


def wide(n=40):
    """A chain of 60 layers that reads 40 more, each beside the input: far more than a million splits."""
    chain = [layer(f"l{k}", f"l{k - 1}" if k else "input", *([f"m{k - 20}"] if 20 <= k < 20 + n else []), edge=0.5 / (k + 1),
                   out=5000 + 37 * k % 900) for k in range(60)]  # fmt: skip
    sides = [layer(f"m{k}", edge=0.25, weights=7, out=64) for k in range(n)]
    order = [one for k, main in enumerate(chain) for one in ([sides[k - 20], main] if 20 <= k < 20 + n else [main])]
    return Instance.from_dict(instance_data(*order))


def test_large_graphs_with_many_splits_are_placed_layer_by_layer_without_being_asked(monkeypatch):
    front = pareto_front(wide())
    assert (front.statistics.algorithm, front.complete, len(front) > 1) == ("layerwise", True, True)
    late = pareto_front(wide(), time_limit_s=0)
    assert (late.complete, late.reason) == (False, "the time limit of 0 s is reached")
    monkeypatch.setattr(layerwise, "MOST_PARTIAL", 10)
    assert listed.looked_at(wide(), "sum", [get("latency")], False, lambda: None) is None
    with pytest.raises(InputError, match="layerwise has more than"):
        pareto_front(wide(), **LAYERS)


@pytest.mark.parametrize(("change", "objectives"), [
    (lambda one: one.replace(together=[["a", "b"]]), ["latency", "memory"]),
    (lambda one: with_places(one, 1, 3), ["latency", "memory"]),
    (lambda one: one, ["throughput", "memory"]),
    (lambda one: one, ["latency", "footprint:2"]),
    (lambda one: one, [Objective("own", "", "min", lambda m, inst: m.offload)]),
])  # fmt: skip
def test_other_problems_are_refused(change, objectives):
    with pytest.raises(InputError, match="layerwise is for splits between two places"):
        pareto_front(change(Instance.from_dict(chain_data())), objectives, **LAYERS)
