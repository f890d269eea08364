"""Edge memory by both models against a slow reference that is written as the definition reads."""

from __future__ import annotations

import random

import pytest

from lmos_opt import Instance
from lmos_opt.formulation.memory import edge_memory, is_alive, peak_step
from lmos_opt.split import down_closed_sets
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer


def slow_sum(instance: Instance, edge: frozenset[str]) -> int:
    """The sum over edge layers of w[v] + u[v], plus u[0] whenever x1 >= 1."""
    total = 0
    for v in instance.layers:
        if v.name in edge:
            total += v.weight_bytes + v.output_bytes
    if len(edge) >= 1:
        total += instance.input_bytes
    return total


def slow_peak(instance: Instance, edge: frozenset[str]) -> int:
    """The sum of w[v], plus the most bytes alive at a step, found by running the edge layers one after the other."""
    still_to_read = {(u, v.name) for v in instance.layers for u in v.inputs}
    most = 0
    produced = ["input"]
    for v in instance.layers:
        if v.name not in edge:
            continue
        alive = v.output_bytes
        for u in produced:
            if any(source == u for source, _ in still_to_read):
                alive += instance.input_bytes if u == "input" else instance.layer(u).output_bytes
        most = max(most, alive)
        produced.append(v.name)
        still_to_read = {(source, reader) for source, reader in still_to_read if reader != v.name}
    return most + sum(v.weight_bytes for v in instance.layers if v.name in edge)


def random_graph(seed: int) -> Instance:
    """Up to nine layers: any earlier inputs, none at all, the image again and again, outputs that nobody reads."""
    rng = random.Random(seed)
    layers = []
    for k in range(rng.randint(1, 9)):
        earlier = ["input", *(f"v{i}" for i in range(k))]
        inputs = rng.sample(earlier, rng.choice([0, 1, 1, 1, 2, 3]) % (len(earlier) + 1))
        if rng.random() < 0.2:
            inputs.append("input")
        layers.append(layer(f"v{k}", *inputs, weights=rng.choice([0, rng.randint(0, 10**9)]),
                            out=rng.choice([0, 1, rng.randint(0, 10**9)])))  # fmt: skip
    return Instance.from_dict(instance_data(*layers, input_bytes=rng.choice([0, 7, 602112, 10**9])))


@pytest.mark.parametrize("seed", range(150))
def test_every_edge_set_of_a_random_graph_needs_what_the_definition_says(seed):
    instance = random_graph(seed)
    for edge in down_closed_sets(instance):
        assert edge_memory(instance, edge, "sum") == slow_sum(instance, edge)
        assert edge_memory(instance, edge, "peak") == slow_peak(instance, edge)


@pytest.mark.parametrize("seed", range(40))
def test_the_peak_is_at_its_step_and_is_what_is_alive_there(seed):
    instance = random_graph(seed)
    for edge in down_closed_sets(instance):
        step = peak_step(instance, edge)
        if step is None:
            assert not edge
            continue
        before = ["input", *(v for v in instance.names[: instance.names.index(step)] if v in edge)]
        alive = sum(instance.tensor_bytes(a) for a in before if is_alive(instance, edge, a, step))
        weights = sum(instance.layer(v).weight_bytes for v in edge)
        assert weights + alive + instance.layer(step).output_bytes == slow_peak(instance, edge)


@pytest.mark.parametrize(
    ("x1", "held", "peak"),
    [
        (0, 0, 0),
        (1, 100 + 8000 + 4000, 100 + 4000 + 8000),  # the image and a's output, while a runs
        (2, 100 + 9000 + 4000, 100 + 4000 + 8000),  # then a's and b's: 9000, less than before
        (3, 50100 + 9040 + 4000, 50100 + 12000),
    ],
)
def test_a_chain_by_hand(x1, held, peak):
    instance = Instance.from_dict(chain_data())
    edge = frozenset(instance.names[:x1])
    assert edge_memory(instance, edge) == edge_memory(instance, edge, "sum") == held
    assert edge_memory(instance, edge, "peak") == peak


@pytest.mark.parametrize(
    ("edge", "held", "peak", "step"),
    [
        ("", 0, 0, None),
        ("a", 1000 + 9000, 1000 + 9000, "a"),
        ("ab", 2000 + 9300, 2000 + 9300, "b"),  # the image (d reads it), a's (c reads it at the server), b's
        ("ac", 2000 + 9070, 2000 + 9070, "c"),
        ("abc", 3000 + 9370, 3000 + 9370, "c"),  # image, a's, b's and c's: all are still to be read
        ("abcd", 4000 + 9380, 4000 + 9370, "c"),  # while d runs, a's output has gone: 4000 + 300 + 70 + 10
    ],
)
def test_a_diamond_by_hand(edge, held, peak, step):
    instance = Instance.from_dict(diamond_data())
    assert edge_memory(instance, frozenset(edge), "sum") == held
    assert edge_memory(instance, frozenset(edge), "peak") == peak
    assert peak_step(instance, frozenset(edge)) == step


def test_an_output_that_nobody_reads_is_alive_only_while_it_is_made():
    """The image is read once, by `a`; `b` has no input and is not read."""
    instance = Instance.from_dict(instance_data(layer("a", "input", weights=0, out=10), layer("b", weights=0, out=5000),
                                                layer("c", "a", weights=0, out=20), input_bytes=100))  # fmt: skip
    every = frozenset("abc")
    assert edge_memory(instance, every, "peak") == 10 + 5000
    assert edge_memory(instance, frozenset("b"), "peak") == 100 + 5000  # a, at the server, still has to get the image
    assert edge_memory(instance, frozenset("ac"), "peak") == 100 + 10


def test_whole_bytes_stay_whole_beyond_what_a_double_holds():
    many = [layer(f"v{k}", "input", weights=2**53 - k, out=0) for k in range(4)]
    instance = Instance.from_dict(instance_data(*many, input_bytes=1))
    every = frozenset(instance.names)
    assert edge_memory(instance, every, "sum") == edge_memory(instance, every, "peak") == 4 * 2**53 - 6 + 1
