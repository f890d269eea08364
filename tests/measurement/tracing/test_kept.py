"""Graphs as documents: read again they are the same, and what is none of a network's is neither trusted nor an error."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

import measurement.tracing
from measurement.tracing import trace_network
from measurement.tracing.kept import as_document, from_document

EXAMPLE = torch.rand(1, 3)


class Unrolled(nn.Module):
    """A loop over a size, which torch.fx cannot follow, with weights, a buffer and a constant."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(3, classes), nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.rand(3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for k in range(x.shape[1]):
            x = x * self.scale + self.shift + torch.tensor([0.5, float("inf"), -k]).clamp(max=1.0)
        return {"scores": self.linear(x), "half": x[:, ::2]}


@pytest.fixture
def network() -> nn.Module:
    return Unrolled().eval()


def test_a_graph_that_is_read_is_the_one_that_was_made_and_torch_export_is_not_asked(network, monkeypatch):
    made = trace_network(network, EXAMPLE)
    document = json.loads(json.dumps(made.document, allow_nan=False))
    assert document == made.document
    monkeypatch.setattr(measurement.tracing, "capture_batches_with_export", None)
    monkeypatch.setattr(measurement.tracing, "capture_with_export", None)
    read = trace_network(network, EXAMPLE, document=document)
    assert (read.structure, read.shape_range, read.document) == (made.structure, made.shape_range, made.document)
    assert read.layers[-1].outputs == made.layers[-1].outputs
    assert read.graph_module.get_parameter("scale") is network.scale
    five = torch.rand(5, 3)
    assert all(map(torch.equal, tree_leaves(read.graph_module(five)), tree_leaves(network(five))))


def test_a_graph_of_another_network_and_a_damaged_one_change_nothing(network, monkeypatch):
    """torch.export is asked each time; it answers once."""
    plain = trace_network(network, EXAMPLE)
    made = measurement.tracing.capture_batches_with_export(network, EXAMPLE)
    asked = []

    def again(*_: object, **__: object) -> fx.GraphModule:
        asked.append(1)
        graph = fx.Graph()
        graph.output(graph.graph_copy(made.graph, {}))
        return fx.GraphModule(made, graph)

    others = trace_network(Unrolled(4).eval(), EXAMPLE).document
    wrong = {**plain.document, "nodes": [[op, name, target.replace("aten.mul.Tensor", "aten.sub.Tensor"), *more]
                                         for op, name, target, *more in plain.document["nodes"]]}  # fmt: skip
    monkeypatch.setattr(measurement.tracing, "capture_batches_with_export", again)
    documents = others, wrong, {}, {**plain.document, "nodes": plain.document["nodes"][:-1]}, {"nodes": [], "constants": {}}
    for document in documents:
        found = trace_network(network, EXAMPLE, document=document)
        assert (found.structure, found.document) == (plain.structure, plain.document)
    assert len(asked) == len(documents) - 1  # the other network's graph is this one's too, with this one's weights


def test_shapes_that_are_said_of_a_graph_and_cannot_hold_are_the_examples_alone(network):
    document = trace_network(network, EXAMPLE).document
    for shapes in (None, {"input": [[4, None], [3, 3]]}, {"input": [[1, None]]}):
        found = trace_network(network, EXAMPLE, document={**document, "shapes": shapes})
        assert found.shape_range == {"input": ((1, 1), (3, 3))}


@pytest.mark.parametrize(
    "node",
    [["call_function", "x", "os.system", {"tuple": ["true"]}, {"dict": []}, []],
     ["call_function", "x", "aten.add", {"tuple": []}, {"dict": []}, []],
     ["call_function", "x", "python.attrgetter", {"tuple": []}, {"dict": []}, []],
     ["call_method", "x", "add", {"tuple": []}, {"dict": []}, []],
     ["get_attr", "x", "linear.forward", {"tuple": []}, {"dict": []}, []],
     ["placeholder", "x", "x", {"tuple": [{"node": "later"}]}, {"dict": []}, []],
     ["placeholder", "x", "x", {"tuple": [{"torch": "torch.load"}]}, {"dict": []}, []]],
)  # fmt: skip
def test_a_document_names_nothing_but_operations_and_weights(network, node):
    with pytest.raises(ValueError, match=r"no graph of this network|a node 'x'"):
        from_document({"nodes": [node], "constants": {}}, network)


def test_graphs_with_modules_in_them_are_not_kept(network):
    traced = trace_network(nn.Sequential(nn.Linear(3, 2)).eval(), EXAMPLE)
    assert traced.document is None
    assert as_document(traced.graph_module, network) is None
