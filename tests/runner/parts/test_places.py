"""Networks cut for several places, against the whole network, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_structure

from lmos_opt.errors import InputError, of_file
from lmos_opt.instance import Instance
from lmos_opt.plans.keys import LAYER_KEYS
from measurement.profiling import profile_traced
from measurement.tracing import TracedNetwork, trace_network
from runner import Crossing, split, split_module
from tests.runner.input_networks import Bert
from tests.runner.parts import test_results, test_split

STRUCTURES = test_results.STRUCTURES
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    **{kind.__name__: (kind, lambda: torch.randn(3, 4)) for kind in (*test_split.TRACED, *test_split.EXPORTED, test_split.Nested,
                                                                    test_split.SizesFromElsewhere)},
    "Own": (test_split.Own, lambda: torch.randn(2, 4, 5, 5)),
    "Bert": (Bert, lambda: (torch.randint(50, (1, 7)), torch.ones(1, 7, dtype=torch.int64))),
    **{f"returns {name}": (lambda collect=collect: test_results.Returns(collect), lambda: torch.randn(1, 3, 8, 8))
       for name, collect in STRUCTURES.items()},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """The same bits, and no waiting for cores that others use."""


def nested_sets(traced: TracedNetwork, count: int, seed: int) -> Iterator[list[list[str]]]:
    """Layers at each of `count` places, drawn one by one: no place may come before that of what it reads."""
    rng = random.Random(seed)
    while True:
        appetite, found = rng.random() ** 2, dict[str, int]()
        for layer in traced.layers:
            least = max((found.get(source, 0) for source in layer.inputs), default=0)
            found[layer.name] = min(least + (rng.random() < appetite) * rng.randint(1, count - 1), count - 1)
        yield [[name for name, place in found.items() if place == p] for p in range(count)]


def empty_places(traced: TracedNetwork, count: int) -> Iterator[list[list[str]]]:
    """All layers at one place, and halves of them at each two places."""
    names = [layer.name for layer in traced.layers]
    for p in range(count):
        yield [names if k == p else [] for k in range(count)]
        for q in range(p + 1, count):
            half = len(names) // 2
            yield [names[:half] if k == p else names[half:] if k == q else [] for k in range(count)]


def check(traced: TracedNetwork, expected: Any, call: Sequence[Any], places: list[list[str]], instance: Instance) -> None:
    parts = split(traced, places=places)
    assert len(parts) == len(places)
    found: Any = parts[0](*call)
    before: list[str] = []
    for h, part in enumerate(parts[1:]):
        before += places[h]
        assert isinstance(found, Crossing)
        assert {name.rpartition("[")[0] if name not in instance.tensors else name for name in found} == {
            *instance.crossing(frozenset(before))}, places  # fmt: skip
        copies, kept = {name: tensor.clone() for name, tensor in found.items()}, dict(found.kept)
        after = part(found)
        assert all(torch.equal(tensor, found[name]) for name, tensor in copies.items())
        if isinstance(after, Crossing):
            assert all(after[name] is found[name] for name in found.keys() & after.keys())  # relayed as they are
            assert all(after.kept[path] is tensor for path, tensor in kept.items())
        found = after
    assert tree_structure(found) == tree_structure(expected)
    for ours, theirs in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        assert torch.equal(ours, theirs) if isinstance(theirs, Tensor) else ours == theirs, places


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_give_what_the_whole_network_gives(name: str) -> None:
    torch.manual_seed(4)
    build, example = NETWORKS[name]
    module, given = build().eval(), example()
    call = given if isinstance(given, tuple) else (given,)
    traced = trace_network(module, given)
    instance = Instance.from_profile(profile_traced(traced))
    with torch.inference_mode():
        expected = module(*(tensor.clone() for tensor in call))
        for count, cuts in ((3, 5), (4, 2)):
            drawn = nested_sets(traced, count, seed=count)
            for places in [*(next(drawn) for _ in range(cuts)), *empty_places(traced, count)]:
                check(traced, expected, call, places, instance)


class ReadLast(nn.Module):
    """The image is read by the first layer and by the last."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x))) + x


def test_an_input_that_the_last_place_reads_is_relayed_and_each_part_holds_its_own_weights() -> None:
    module, x = ReadLast().eval(), torch.randn(2, 4)
    head, middle, tail = split_module(module, places=[["first"], ["second"], ["third", "add"]], example_input=x)
    with torch.inference_mode():
        first = head(x)
        assert list(first) == ["input", "first"]
        second = middle(first)
        assert list(second) == ["input", "second"]
        assert second["input"] is x
        assert torch.equal(tail(second), module(x))
        with pytest.raises(InputError, match="lacks the tensor 'input'; expected input, first"):
            middle({"first": first["first"]})
    for part, own in ((head, module.first), (middle, module.second), (tail, module.third)):
        assert {id(p) for p in part.parameters()} == {id(p) for p in own.parameters()}


class SizeOfALaterLayer(nn.Module):
    """What the middle place expands needs a size that only a layer of the last place tells; its own size is read at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.token = nn.Linear(4, 4), nn.Linear(4, 4), nn.Parameter(torch.randn(1, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        rows = self.last(x).shape[0]
        return torch.cat([self.last(x), self.token.expand(rows, -1)], 1).reshape(x.size(0), 2, -1)


def test_sizes_that_only_the_last_place_tells_reach_the_middle() -> None:
    module, x = SizeOfALaterLayer().eval(), torch.randn(3, 4)
    traced = trace_network(module, x)
    names = [layer.name for layer in traced.layers]
    places = [["first"], ["expand"], [name for name in names if name not in ("first", "expand")]]
    head, middle, tail = split(traced, places=places)
    with torch.inference_mode():
        for batch in (3, 5):
            x = torch.randn(batch, 4)
            assert torch.equal(tail(middle(head(x))), module(x))


@pytest.mark.parametrize(("places", "complaint"), [
    ([["0"], ["1"]], "layer '2' is at none of the 2 places"),
    ([["0", "1"], ["1"], ["2"]], "layer '1' is at the places 1 and 2"),
    ([["1"], ["0"], ["2"]], "layer '1' is at the edge, but its input '0' is not"),
    ([["0"], ["nope"], ["1", "2"]], "^places: .* has no layer 'nope'"),
    ([["0", "1", "2"]], "a list of layers for each of at least two places"),
    (["012", "", ""], "a list of layers for each of at least two places"),
])  # fmt: skip
def test_places_that_cannot_be_are_refused(places: Any, complaint: str) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    with pytest.raises(InputError, match=complaint):
        split_module(module, places=places, example_input=torch.randn(1, 4))


def test_a_layer_of_a_file_that_is_not_there_is_told_with_file_and_key() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    with (pytest.raises(InputError, match=r"^plan.json: edge_layers: .* has no layer 'nope'"),
          of_file("plan.json", LAYER_KEYS)):  # fmt: skip
        split_module(module, ["nope"], torch.randn(1, 4))
    with pytest.raises(InputError, match=r"^else: wrong"), of_file("plan.json", LAYER_KEYS):
        raise InputError("else", "wrong")


def test_places_and_edge_layers_exclude_each_other() -> None:
    module, x = nn.Sequential(nn.Linear(4, 4)), torch.randn(1, 4)
    with pytest.raises(InputError, match="stand beside edge_layers"):
        split_module(module, ["0"], x, places=[["0"], []])  # type: ignore[call-overload]
    with pytest.raises(InputError, match="or edge_layers are missing"):
        split_module(module, example_input=x)  # type: ignore[call-overload]
