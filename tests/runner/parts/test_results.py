"""What the edge makes of a network's result stays there: halves, and everything between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_structure

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.split import down_closed_sets
from measurement.profiling import profile_traced
from measurement.tracing import trace_network
from runner.parts.network import class_of, flat_outputs, outputs_of
from runner.parts.split import split_module, split_traced
from runner.places.edge import run_plan
from runner.wire.shaping import parse_shape
from tests.runner.asking import AskingClient
from tests.runner.running import TWO_OUTPUTS, Plans, ServerProcess, network_of, whole


class Pair(NamedTuple):
    """A structure of one's own."""

    features: Tensor
    classes: Tensor


class Returns(nn.Module):
    """Two convolutions and a classifier; `collect` makes the result of the image and of what they give."""

    def __init__(self, collect: Callable[..., Any]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.classify = nn.Linear(4, 5)
        self.collect = collect

    def forward(self, image: Tensor) -> Any:
        one = self.first(image)
        two = self.second(one.relu())
        return self.collect(image, one, two, self.classify(two.mean((2, 3))))


STRUCTURES: dict[str, Callable[..., Any]] = {
    "alone": lambda image, one, two, classes: classes,
    "tuple": lambda image, one, two, classes: (one, classes),
    "dict": lambda image, one, two, classes: {"classes": classes, "map": two},
    "named": lambda image, one, two, classes: Pair(two, classes),
    "named nothing": lambda image, one, two, classes: Pair(two, (classes, None)),
    "nested": lambda image, one, two, classes: {"a": [one, (two, {"b.c": classes})], 3: one},
    "image": lambda image, one, two, classes: (image, classes, one),
    "early": lambda image, one, two, classes: (one, one.shape[1], None, "word", classes),
    "parts": lambda image, one, two, classes: (one.chunk(2), classes),
    "in place": lambda image, one, two, classes: (one, one.mul(2).add_(1), two.relu_(), classes),
    "view": lambda image, one, two, classes: (one.flatten(1), two[:, :2], classes),
}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_split_gives_the_whole_result(structure: str) -> None:
    torch.manual_seed(1)
    module = Returns(STRUCTURES[structure]).eval()
    image = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        expected = module(image.clone())
        traced = trace_network(module, image)
        instance = Instance.from_profile(profile_traced(traced))
        for edge in down_closed_sets(instance):
            head, tail = split_traced(traced, edge)
            crossing = head(image.clone())
            assert {name.partition("[")[0] for name in crossing} == set(instance.crossing(edge))
            found = tail(crossing)
            assert tree_structure(found) == tree_structure(expected)
            for ours, theirs in zip(tree_leaves(found), tree_leaves(expected), strict=True):
                assert torch.equal(ours, theirs) if isinstance(theirs, Tensor) else ours == theirs
            made = tail.made(crossing)
            assert not made.keys() & crossing.kept.keys()
            assert made.keys() | crossing.kept.keys() == flat_outputs(expected).keys()
            assert {name: tuple(t.shape) for name, t in {**made, **crossing.kept}.items()} == {
                name: spec.shape for name, spec in outputs_of(traced).items()}  # fmt: skip


def test_fault_06_a_returned_map_does_not_cross_where_nobody_there_reads_it() -> None:
    module = Returns(STRUCTURES["dict"]).eval()
    image = torch.randn(1, 3, 8, 8)
    names = [layer.name for layer in trace_network(module, image).layers]
    head, tail = split_module(module, names[:-1], image)
    crossing = head(image)
    assert list(crossing) == [names[-2]]
    assert list(crossing.kept) == ["output.map"]
    with pytest.raises(InputError, match=r"lacks what the edge kept of the result: 'output\.map'"):
        tail(dict(crossing))


@pytest.mark.parametrize(("shapes", "found"), [
    ([(1, 5)], 3), ([(1, 21, 4, 4)], None), ([(1, 4, 4, 4), (1, 5)], 3), ([(1, 5), (1, 5)], None), ([(5,)], None),
    ([(1, 7, 5)], None),
])  # fmt: skip
def test_fault_13_a_result_is_a_classification_only_where_one_tensor_has_that_shape(shapes: list[Any], found: int | None) -> None:
    outputs = {}
    for k, shape in enumerate(shapes):
        tensor = torch.zeros(shape)
        tensor.view(-1)[3] = 1.0
        outputs[f"output.{k}"] = tensor
    assert class_of(outputs) == found


@pytest.mark.process
def test_over_sockets_the_edge_has_the_whole_result_at_every_cut(server: ServerProcess) -> None:
    plans = Plans(TWO_OUTPUTS)
    image = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    module = whole(plans(0))
    with torch.inference_mode():
        expected = flat_outputs(module(image.clone()))
        for cut in range(plans(-1).x1):
            plan = plans(cut)
            crossing = split_module(module, plan.edge_layers, image)[0](image.clone())
            assert bool(crossing.kept) == bool(plans.instance.returned.intersection(plan.edge_layers))
            with AskingClient(server.address, None) as remote:
                remote.open(plan, network_of(plan))
                remote.wait_until_ready()
                answer = remote.infer(1, crossing)
            assert answer.outputs.keys() == expected.keys()
            assert all(torch.equal(tensor, expected[name]) for name, tensor in answer.outputs.items())
            kept = sum(tensor.nbytes for tensor in crossing.kept.values())
            assert answer.received_bytes == sum(tensor.nbytes for tensor in expected.values()) - kept


@pytest.mark.process
@pytest.mark.parametrize("pipelined", [False, True])
def test_fault_13_waiting_at_the_server_is_told_from_the_link(server: ServerProcess, pipelined: bool) -> None:
    report = run_plan(Plans(TWO_OUTPUTS)(1), server.address, n=6, networks=[TWO_OUTPUTS], pipelined=pipelined,
                      shape=parse_shape("100Mbps"))  # fmt: skip
    assert len(report.per_image) == 6
    for image in report.per_image:
        assert image.class_ is not None
        stages_s = image.t_edge_s + image.t_queue_s + image.t_tx_s + image.t_server_queue_s + image.t_server_s
        assert stages_s <= image.latency_s
