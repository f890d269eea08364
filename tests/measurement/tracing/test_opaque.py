"""Parts that stay whole: those that are named, and the smallest that cannot be followed; halves still give the network's bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import measurement.tracing
from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile
from measurement import UntraceableError, profile_network, trace_network
from measurement.networks import build_network
from measurement.profiling import profile_traced
from measurement.sources import example_of
from measurement.tracing import TracedNetwork
from runner import split, split_module


class Chooser(nn.Module):
    """Chooses by the numbers in its tensor, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.large(x) if bool(x.sum() > 0) else self.small(x)
        return found


class Around(nn.Module):
    """A choosing part between two parts that can be followed."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
        self.chooser = Chooser()
        self.after = nn.Sequential(nn.ReLU(), nn.Linear(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.after(self.chooser(self.before(x)))
        return found


class Box:
    """What nobody can look into."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


class Boxing(nn.Module):
    def forward(self, x: Tensor) -> Box:
        return Box(x * 2 if bool(x.sum() > 0) else x)


class Inside(nn.Module):
    """A part whose own part hands on what may hide tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.boxing, self.last = Boxing(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.boxing(x).value)
        return found


def around(part: nn.Module | None = None) -> Around:
    torch.manual_seed(0)
    module = Around().eval()
    if part is not None:
        module.chooser = part  # type: ignore[assignment]
    return module


def check_every_cut(module: nn.Module, traced: TracedNetwork, *pictures: Tensor) -> None:
    names = [layer.name for layer in traced.layers]
    with torch.inference_mode():
        for n in range(len(names) + 1):
            head, tail = split(traced, names[:n])
            for picture in pictures:
                assert torch.equal(tail(head(picture)), module(picture))


def test_the_smallest_part_that_cannot_be_followed_is_one_layer():
    module, example = around(), torch.rand(2, 4)
    traced = trace_network(module, example)
    profile = profile_traced(traced)
    assert [(layer.name, layer.kind) for layer in profile.layers if layer.opaque] == [("chooser", "chooser")]
    assert [layer.name for layer in profile.layers] == ["before.0", "before.1", "chooser", "after.0", "after.1"]
    check_every_cut(module, traced, example, -example, torch.rand(3, 4) - 0.5)


def test_a_whole_parts_work_is_what_torchs_own_counter_says():
    module, example = around(), torch.rand(2, 4)
    layer = profile_network(module, example).layer("chooser")
    with FlopCounterMode(display=False) as counter:
        module.chooser(module.before(example))
    inside = counter.get_flop_counts()["Chooser"]
    assert layer.macs == sum(inside.values()) // 2 == 2 * 6 * 5
    assert layer.params == 2 * (6 * 5 + 5)


def test_named_parts_stay_whole():
    module, example = around(nn.Linear(6, 5)), torch.rand(2, 4)
    assert trace_network(module, example).opaque == {}
    traced = trace_network(module, example, opaque=["after"])
    profile = profile_traced(traced)
    assert [layer.name for layer in profile.layers] == ["before.0", "before.1", "chooser", "after"]
    assert [layer.name for layer in profile.layers if layer.opaque] == ["after"]
    check_every_cut(module, traced, example)
    head, tail = split_module(module, ["before.0", "before.1", "chooser"], example, opaque=["after"])
    with torch.inference_mode():
        assert torch.equal(tail(head(example)), module(example))


@pytest.mark.parametrize("name", ["", "nothing", "before.7"])
def test_a_part_that_is_not_there_cannot_stay_whole(name):
    with pytest.raises(InputError, match=r"its parts are before, chooser, after"):
        trace_network(around(), torch.rand(2, 4), opaque=[name])


def test_a_part_that_hands_on_what_nobody_can_look_into_is_whole_with_the_part_around_it():
    module, example = around(Inside()), torch.rand(2, 4)
    traced = trace_network(module, example)
    assert list(traced.opaque) == ["chooser"]
    assert "returns a Box" in traced.opaque["chooser"]
    check_every_cut(module, traced, example, -example)


def test_a_network_that_itself_cannot_be_followed_is_refused():
    with pytest.raises(UntraceableError, match=r"torch\.where"):
        trace_network(Chooser(), torch.rand(2, 6))


def test_profiles_with_whole_parts_read_back_equal_and_others_say_nothing_of_it(tmp_path):
    profile = profile_network(around(), torch.rand(2, 4))
    profile.save(tmp_path / "whole.json")
    assert NetworkProfile.load(tmp_path / "whole.json") == profile
    assert ["opaque" in layer for layer in profile.to_dict()["layers"]] == [False, False, True, False, False]


def test_a_detector_is_split_inside_its_backbone():
    builder = "torchvision:ssdlite320_mobilenet_v3_large"
    module = build_network(builder, "seeded:0")
    example = example_of(builder, module)
    traced = trace_network(module, example)
    assert list(traced.opaque) == ["prepare", "rest"]
    assert sum(layer.name.startswith("backbone.") for layer in traced.layers) > 100
    names = [layer.name for layer in traced.layers]
    with torch.inference_mode():
        expected = tree_leaves(module(*example))
        head, tail = split(traced, names[: len(names) // 2])
        found = tree_leaves(tail(head(*example)))
    assert len(expected) == len(found) == 3
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


class Pieces(nn.Module):
    """Loops over the pieces of a tensor, as many as its code says."""

    def forward(self, x: Tensor) -> Tensor:
        found = list(x.chunk(2, 1))
        found.extend(torch.split(x, (1, 3), dim=1))
        return torch.cat([k * piece for k, piece in enumerate([*found, *x.chunk(chunks=4, dim=1)])], 1)


def test_a_loop_over_pieces_whose_number_is_said_is_followed_by_torch_fx(monkeypatch):
    monkeypatch.setattr(measurement.tracing, "capture_batches_with_export", None)
    traced = trace_network(Pieces(), torch.rand(1, 4))
    x = torch.rand(3, 4)
    assert torch.equal(traced.graph_module(x), Pieces()(x))
    assert not traced.opaque


def test_fewer_pieces_than_were_asked_for_are_left_to_torch_export():
    class Five(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([piece.sum() for piece in x.chunk(5, 1)])

    traced = trace_network(Five(), torch.rand(1, 6))
    assert torch.equal(traced.graph_module(torch.ones(1, 6))[0], torch.full((3,), 2.0))
