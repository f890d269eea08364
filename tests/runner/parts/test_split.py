"""Head and tail together against the whole network, bit for bit, and the ways a cut can go wrong."""

from __future__ import annotations

import copy
import gc
import random
import warnings
import weakref
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._pytree import tree_flatten
from torchvision.models import get_model

from lmos_opt import InputError, Instance
from measurement import trace_network
from measurement.profiling import profile_traced
from runner import Crossing, split_module
from runner.parts.halves import own_copy
from runner.parts.split import split_traced
from tests.measurement.test_tracing import Aliased, StaleView


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(name):
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_model(name, weights=None).eval()


def equal(a, b):
    (left, left_spec), (right, right_spec) = tree_flatten(a), tree_flatten(b)
    return left_spec == right_spec and all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(left, right, strict=True)
    )


def same_bits(a, b):
    """Bits are compared, not numbers: memory that no layer has written yet may hold NaN, which equals nothing."""
    return a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def prefixes(traced, step=1):
    names = [layer.name for layer in traced.layers]
    return [frozenset(names[:k]) for k in sorted({*range(0, len(names) + 1, step), len(names)})]


def random_sets(traced, count, seed):
    """Down-closed sets of all sizes: an ideal drawn layer by layer, with another appetite each time."""
    rng, found = random.Random(seed), []
    for k in range(count):
        appetite, edge = 1 - ((k + 0.5) / count) ** 5, set()
        for layer in traced.layers:
            if edge.issuperset(set(layer.inputs) - {"input"}) and rng.random() < appetite:
                edge.add(layer.name)
        found.append(frozenset(edge))
    return found


def every_set(traced):
    found = [frozenset()]
    for layer in traced.layers:
        found += [e | {layer.name} for e in found if e.issuperset(set(layer.inputs) - {"input"})]
    return found


def expected_crossing(traced, edge):
    read = {source for layer in traced.layers if layer.name not in edge for source in layer.inputs}
    return {name for name in read if name == "input" or name in edge}


def check(module, traced, sets, x, strict=True):
    with torch.inference_mode():
        whole = module(x.clone())
        for edge in sets:
            head, tail = split_traced(traced, edge)
            image = x.clone()
            crossing = head(image)
            sent = {name: tensor.clone() for name, tensor in crossing.items()}
            assert equal(tail(crossing), whole), sorted(edge)
            assert equal(tail(crossing), whole), sorted(edge)
            assert torch.equal(image, x)
            assert all(same_bits(tensor, crossing[name]) for name, tensor in sent.items())
            if strict and len(edge) < len(traced.layers):
                layers = {layer.name for layer in traced.layers} | {"input"}
                names = {name if name in layers else name.rpartition("[")[0] for name in crossing}
                assert names == expected_crossing(traced, edge)


# networks made to break a cut


class InPlaceOnInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.lin, self.flat = nn.ReLU(inplace=True), nn.Linear(4, 4), nn.Flatten()

    def forward(self, x):
        y = self.lin(self.act(self.flat(x)))
        return self.act(y).reshape(x.shape[0], 2, 2).add_(1)


class Own(nn.Module):
    """A reused module, an in-place ReLU after a branch, and a view(x.size(0), -1)."""

    def __init__(self):
        super().__init__()
        self.conv, self.mix = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.act, self.head = nn.ReLU(inplace=True), nn.Linear(4 * 25, 3)

    def forward(self, x):
        a = self.conv(x)
        b = self.mix(a)
        r = self.act(a)
        z = self.mix(self.act(b)) + r
        z = F.relu(z, inplace=True)
        z = self.conv(z) * b
        return self.head(z.view(x.size(0), -1))


class NeededBeforeItChanges(nn.Module):
    def forward(self, x):
        y = x * 2
        a = y.exp()
        b = y.relu_()
        c = y.add_(1)
        return a + b * c


class SharedWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(self.a(self.a(x)))


class Chunks(nn.Module):
    def forward(self, x):
        x = x + 1
        a, b = x.chunk(2, 1)
        a = a.relu_()
        p, q = torch.cat([b, a], 1).split([1, 3], 1)
        return p * q.sum(1, keepdim=True)


class Tuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.recur = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x):
        x = x.unsqueeze(1)
        y, _ = self.attend(x, x, x, need_weights=False)
        z, w = self.attend(y, x, x)
        out, (h, c) = self.recur(z)
        return out[:, -1] + h[0] * c[0] + w.sum()


class NamedTuple(nn.Module):
    def forward(self, x):
        found = x.max(1)
        return found.values * found.indices


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x):
        a = self.lin(x)
        b = a.relu()
        return {"a": a, "b": (b, x.size(0), None), "c": [x, b.sum()], "d": b.chunk(2, 1)}


class NumberFromTensor(nn.Module):
    def forward(self, x):
        return (x * 2) * x.sum().item()


class OutArgument(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        torch.add(x, 1, out=y)
        z = y * 2
        y.mul_(3)
        return y + z


class SizesFromElsewhere(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.lin = nn.Parameter(torch.randn(1, 4)), nn.Linear(4, 4)

    def forward(self, x):
        rows = self.lin(x).shape[0]
        return torch.cat([self.lin(x), self.token.expand(rows, -1)], 1).reshape(rows, 2, -1)


class DetachedAlias(nn.Module):
    def forward(self, x):
        y = x * 1
        y.detach().add_(1)
        y.data.mul_(2)
        return y


class SetItem(nn.Module):
    def forward(self, x):
        y = x + 0
        y[:, 1] = 3
        y[:, :2].relu_()
        return y


class ShapeControl(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin, self.act = nn.Linear(4, 4), nn.ReLU(inplace=True)

    def forward(self, x):
        for _ in range(x.size(1) - 2):
            x = self.act(self.lin(x))
        return x * 2 if x.shape[0] > 1 else x


class OneTensorInPieces(nn.Module):
    def forward(self, x):
        return torch.stack(list(x.chunk(2, 1))).sum(0)


TRACED = [InPlaceOnInput, NeededBeforeItChanges, SharedWeights, Chunks, Tuples, NamedTuple, NumberFromTensor,
          OutArgument, DetachedAlias, OneTensorInPieces]  # fmt: skip
EXPORTED = [StaleView, Aliased, SetItem, ShapeControl]


@cache
def nasty(network):
    """Such a network, an input of it, and the network traced with that."""
    torch.manual_seed(3)
    module, x = network().eval(), torch.randn(3, 4)
    return module, x, trace_network(module, x)


@pytest.mark.parametrize("network", [*TRACED, *EXPORTED])
def test_every_cut_of_a_nasty_network(network):
    module, x, traced = nasty(network)
    assert (traced.shape_range is not None) == (network in EXPORTED)
    check(module, traced, every_set(traced), x)


@pytest.mark.parametrize("network", [*TRACED, *EXPORTED])
def test_every_cut_at_another_batch_size(network):
    module, _, traced = nasty(network)
    for batch in (2, 5) if network in EXPORTED else (1, 5):
        check(module, traced, every_set(traced), torch.randn(batch, 4))


def test_every_cut_of_reuse_branch_and_view():
    torch.manual_seed(3)
    module, x = Own().eval(), torch.randn(2, 4, 5, 5)
    traced = trace_network(module, x)
    check(module, traced, every_set(traced), x)
    check(module, traced, every_set(traced), torch.randn(3, 4, 5, 5))


def test_outputs_made_at_the_edge_reach_the_tail():
    module, x = Nested().eval(), torch.randn(2, 4)
    traced = trace_network(module, x)
    check(module, traced, every_set(traced), x, strict=False)
    head, tail = split_module(module, ["lin"], x)
    with torch.inference_mode():
        assert equal(tail(head(torch.ones(5, 4))), module(torch.ones(5, 4)))
        assert list(head(x)) == ["lin"]
        assert any(kept is x for kept in head(x).kept.values())


def test_sizes_that_only_the_servers_layers_could_tell():
    module, x = SizesFromElsewhere().eval(), torch.randn(3, 4)
    traced = trace_network(module, x)
    check(module, traced, every_set(traced), x, strict=False)
    check(module, traced, every_set(traced), torch.randn(5, 4), strict=False)
    head, _ = split_traced(traced, ["expand"])
    assert [p.numel() for p in head.parameters()] == [4]  # the layer that tells the size is not part of the head


OPERATIONS = {
    "relu": lambda a, b: a.relu(),
    "relu_": lambda a, b: a.relu_(),
    "function_": lambda a, b: F.hardtanh(a, inplace=True),
    "add": lambda a, b: a + b,
    "add_": lambda a, b: a.add_(b),
    "scale_": lambda a, b: a.mul_(0.7),
    "copy_": lambda a, b: a.copy_(b),
    "same": lambda a, b: a.view(a.size(0), -1),
    "view": lambda a, b: a.view(-1).flip(0).view(a.size(0), -1),
    "transposed": lambda a, b: a.t().contiguous().t(),
    "half_": lambda a, b: a.chunk(2, 1)[1].sub_(1).sum() + b,
    "halves": lambda a, b: torch.cat(a.split([1, 3], 1)[::-1], 1),
    "reshape": lambda a, b: a.reshape(2, -1).reshape(a.size(0), -1),
    "nothing": lambda a, b: F.dropout(a, 0.5, training=False),
    "sizes": lambda a, b: a * b.size(0),
}


class Drawn(nn.Module):
    """A random program over a pool of tensors that alias, branch, and change in place."""

    def __init__(self, seed, length=7):
        super().__init__()
        rng = random.Random(seed)
        self.program = [(rng.choice(sorted(OPERATIONS)), rng.randrange(k + 2), rng.randrange(k + 2))
                        for k in range(length)]  # fmt: skip

    def forward(self, x):
        pool = [x, x * 0.5]
        for word, a, b in self.program:
            pool.append(OPERATIONS[word](pool[a], pool[b]))
        return pool[-1] + pool[-2], pool[-3]


def drawn_network_holds(seed):
    module, x = Drawn(seed).eval(), torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))
    traced = trace_network(module, x)
    sets = every_set(traced)
    check(module, traced, sets if len(sets) <= 20 else random.Random(seed).sample(sets, 20), x, strict=False)
    return traced


@pytest.mark.parametrize("seeds", [range(6, 16), pytest.param([*range(6), *range(16, 50)], marks=pytest.mark.slow)],
                         ids=["ten", "forty more"])  # fmt: skip
def test_drawn_networks_hold(seeds):
    ways = {drawn_network_holds(seed).shape_range is None for seed in seeds}
    assert ways == {True, False}  # both tracers had their share


# real networks


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v2"])
def test_prefix_cuts_of_the_papers_networks(name):
    module, x = built(name), torch.randn(1, 3, 64, 64)
    traced = trace_network(module, x, "paper")
    check(module, traced, prefixes(traced, 4), x)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_random_cuts_of_branching_networks(name):
    module, x = built(name), torch.randn(1, 3, 64, 64)
    traced = trace_network(module, x)
    check(module, traced, random_sets(traced, 5, seed=1), x)
    check(module, traced, random_sets(traced, 2, seed=2), torch.randn(2, 3, 80, 80))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "vgg13", "vgg16", "vgg19", "mobilenet_v2"])
@pytest.mark.parametrize("granularity", ["paper", "module"])
def test_every_prefix_cut_of_the_papers_networks(name, granularity):
    module, x = built(name), torch.randn(1, 3, 224, 224)
    traced = trace_network(module, x, granularity)
    check(module, traced, prefixes(traced), x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121", "mobilenet_v3_small", "shufflenet_v2_x0_5",
                                  "efficientnet_b0", "vit_b_16"])  # fmt: skip
def test_twenty_random_cuts(name):
    module, x = built(name), torch.randn(1, 3, 224, 224)
    traced = trace_network(module, x)
    check(module, traced, random_sets(traced, 20, seed=5), x)
    check(module, traced, random_sets(traced, 2, seed=6), torch.randn(2, 3, 224, 224))


# what the halves are made of


def test_names_are_those_of_the_instance():
    module, x = built("resnet18"), torch.randn(1, 3, 64, 64)
    traced = trace_network(module, x)
    instance = Instance.from_profile(profile_traced(traced))
    for edge in random_sets(traced, 6, seed=8):
        if len(edge) < len(traced.layers):
            assert set(split_traced(traced, edge)[0](x)) == set(instance.crossing(edge))


def test_everything_at_one_side():
    module, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)).eval(), torch.randn(2, 4)
    head, tail = split_module(module, ["0", "1"], x)
    assert not head(x)
    assert list(head(x).kept) == ["output"]
    assert torch.equal(tail(head(x)), module(x))
    assert not list(tail.parameters())
    head, tail = split_module(module, [], x)
    assert head(x)["input"] is x
    assert not list(head.parameters())


def test_several_tensors_of_one_layer_are_numbered():
    head, _ = split_module(Chunks(), ["add", "chunk"], torch.randn(2, 4))
    assert list(head(torch.randn(2, 4))) == ["chunk[0]", "chunk[1]"]


def test_each_half_holds_only_its_own_weights():
    module, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6)), torch.randn(1, 4)
    first, last = module[0].weight, module[2].weight
    head, tail = split_module(module, ["0", "1"], x)
    assert {id(p) for p in head.parameters()} == {id(first), id(module[0].bias)}
    assert {id(p) for p in tail.parameters()} == {id(last), id(module[2].bias)}
    gone = weakref.ref(last)
    del tail, module, last
    gc.collect()
    assert gone() is None
    assert head(x)["1"].shape == (1, 5)


def test_halves_stay_in_eval_mode_and_leave_the_modules_own_mode():
    module, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4), nn.ReLU(inplace=True)).train(), torch.randn(3, 4)
    state = copy.deepcopy(module.state_dict())
    head, tail = split_module(module, ["0"], x)
    assert module.training
    assert module[1].training
    assert module[2].inplace
    got = tail(head(x))
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
    assert torch.equal(got, module.eval()(x))


def test_in_place_operations_stay_in_place_where_nobody_can_tell():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4), nn.ReLU(inplace=True))

    def copies(half):
        return sum(node.target is own_copy for node in half.body.graph.nodes)

    head, tail = split_module(module, ["0"], torch.randn(1, 4))
    assert (copies(head), copies(tail)) == (0, 1)  # the first ReLU's target was received
    head, tail = split_module(module, ["0", "1"], torch.randn(1, 4))
    assert (copies(head), copies(tail)) == (0, 0)


def test_sizes_travel_and_default_to_the_examples():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            y = self.conv(x)
            return y.mean((2, 3)).reshape(y.size(0), 2, -1) + x.shape[2]

    module, x = Net().eval(), torch.randn(2, 3, 8, 8)
    head, tail = split_module(module, ["conv", "mean"], x)
    other = torch.randn(5, 3, 9, 9)
    with torch.inference_mode():
        crossing = head(other)
        assert list(crossing) == ["mean"]
        assert sorted(crossing.scalars.values()) == [5, 9]
        assert torch.equal(tail(crossing), module(other))
        assert torch.equal(tail(dict(head(x))), module(x))


@pytest.mark.parametrize("edge", [["1"], ["0", "2"]])
def test_a_set_that_is_not_down_closed_is_refused(edge):
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    with pytest.raises(InputError, match=r"is at the edge, but its input '\d' is not"):
        split_module(module, edge, torch.randn(1, 4))


def test_an_unknown_layer_and_a_missing_tensor_are_named():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    with pytest.raises(InputError, match="no layer 'nope'"):
        split_module(module, ["nope"], torch.randn(1, 4))
    with pytest.raises(InputError, match="lacks the tensor '0'"):
        split_module(module, ["0"], torch.randn(1, 4))[1](Crossing())


@pytest.mark.parametrize(("batch", "holds"), [(3, "2 or more, 4"), (1, "1, 4")])
def test_an_exported_cut_says_which_shapes_it_holds_for(batch, holds):
    module = ShapeControl().eval()
    head, _ = split_module(module, [], torch.randn(batch, 4))
    other = torch.randn(4 - batch, 4)
    with pytest.raises(InputError, match=rf"shape \[{4 - batch}, 4\], but this split holds for \[{holds}\] only"):
        head(other)
