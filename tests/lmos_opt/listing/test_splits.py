"""Every quantity of all splits in arrays, beside what each split says of itself."""

import numpy as np

from lmos.bench.random_instances import random_instance, with_inputs, with_places, with_results
from lmos_opt import Instance, objectives
from lmos_opt.listing.splits import Splits
from lmos_opt.split import all_splits
from tests.lmos_opt.documents import chain_data

POWER = {"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.5}


def instances():
    """Of two to four places, with several inputs, results that come back, groups and a port."""
    for seed in range(24):
        one = with_results(with_inputs(random_instance(seed, 6), seed) if seed % 3 == 0 else random_instance(seed, 6), seed)
        yield seed, with_places(one, seed, 2 + seed % 3).replace(port_bytes_per_s=1e6 if seed % 2 else None)


def named(one):
    places, hops = len(one.places), len(one.hops)
    known = [name for name in objectives.names() if name not in ("fidelity_loss", *objectives.OF_TOKENS)]  # there are none
    return [*known, *(f"{name}:{p}" for name in ("place_time", "footprint") for p in range(1, places + 1)),
            *(f"tx_bytes:{h}" for h in range(1, hops + 1))]  # fmt: skip


def test_they_are_all_splits_each_once():
    for _, one in instances():
        listed = Splits.of(one)
        found = [listed.shape.upto(k) for k in range(len(listed))]
        assert len(found) == len({*found})
        assert {*found} == {split.upto for split in all_splits(one)}


def test_values_are_those_of_each_split():
    for seed, unpowered in instances():
        one = unpowered.with_place(1, power=POWER)
        for model in ("sum", "peak"):
            listed = Splits.of(one, model)
            splits = [listed.split(k) for k in range(len(listed))]
            for name in named(one):
                objective = objectives.get(name)
                found = objective.each(listed)
                true = np.array([objective.value(split) for split in splits])
                assert np.all(np.abs(found.values - true) <= found.off), (seed, model, name)
                assert found.off <= 1e-11 * max(1.0, np.abs(true).max()) or name == "energy"


def test_encoding_and_decoding_take_their_time_at_every_place():
    for seed in range(6):
        one = with_places(random_instance(seed, 6), seed, 2 + seed % 3)
        sent = {name: {"bytes": 10, "encode_s": 0.25, "decode_s": 0.5} for name in one.tensors[1:]}
        listed = Splits.of(one.replace(coding={"codec": "fp16", "sent": sent}))
        for name in ("latency", "throughput", "place_time:2"):
            objective = objectives.get(name)
            found = objective.each(listed)
            true = np.array([objective.value(listed.split(k)) for k in range(len(listed))])
            assert np.all(np.abs(found.values - true) <= found.off)


def test_numbers_are_exchanged_and_splits_are_not_listed_again():
    one = random_instance(3, 8)
    listed = Splits.of(one)
    for name in ("latency", "memory", "tx_bytes"):
        objectives.get(name).each(listed)
    other = one.replace(bandwidth_bytes_per_s=7e5, rtt_s=0.125)
    slower = one.replace(layers=[{**layer.model_dump(), "t_s": [2 * t for t in layer.t_s]} for layer in one.layers])
    for changed in (other, slower, one):
        again = listed.of_another(changed)
        assert again.shape is listed.shape
        for name in ("latency", "memory", "tx_bytes"):
            each = objectives.get(name).each
            assert np.array_equal(each(again).values, each(Splits.of(changed)).values)
    another = random_instance(4, 8)
    assert listed.of_another(another).shape is not listed.shape


def test_more_layers_than_a_word_has_bits():
    layers = [{"name": f"l{k}", "inputs": [f"l{k - 1}" if k else "input"], "t_edge_s": 0.5, "t_server_s": 0.25,
               "weight_bytes": k, "output_bytes": 1000 - k} for k in range(150)]  # fmt: skip
    one = Instance.from_dict(chain_data(layers=layers))
    for model in ("sum", "peak"):
        listed = Splits.of(one, model)
        assert len(listed) == 151
        assert [len(listed.split(k).edge) for k in range(151)] == [*range(151)]
        assert listed.memory(1).values.tolist() == [listed.split(k).memory_bytes for k in range(151)]
