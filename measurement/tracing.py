"""A network as layers with their real graph: traced, checked against the network itself, grouped and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves

from lmos_opt.errors import InputError
from lmos_opt.profile import Granularity, TensorSpec
from measurement.aliasing import AliasingError, NodeFacts, Observed, observe, tensor_spec
from measurement.capture import (
    attribute,
    capture_batches_with_export,
    capture_with_export,
    capture_with_fx,
    undisturbed,
)
from measurement.errors import UntraceableError
from measurement.grouping import TracedLayer, module_layers, paper_layers, snake_case

_SEED = 20
"""Of the numbers that stand in for an example of equal numbers, on which different networks can agree."""


__all__ = ["ShapeRange", "TracedLayer", "TracedNetwork", "trace_network"]

ShapeRange = tuple[tuple[int, int | None], ...]


@dataclass(frozen=True)
class TracedNetwork:
    """A network's graph and its layers in program order.

    `graph_module` computes the network's output, with no reader relying on an in-place change that it does not read
    itself; it holds the network's own parameters, not copies. `facts` says what each node did on the example.
    `structure` is (name, kind, inputs) of each layer at granularity `module`, whatever `granularity` is.
    `output_structure` rebuilds the network's output from its leaves. `shape_range` holds the least and the
    greatest size (None: no bound) of each dimension of the inputs that the graph stands for; None where that is left to
    the operations themselves.
    """

    name: str
    graph_module: fx.GraphModule
    layers: tuple[TracedLayer, ...]
    input: TensorSpec
    granularity: Granularity
    structure: tuple[tuple[str, str, tuple[str, ...]], ...]
    facts: dict[fx.Node, NodeFacts]
    output_structure: TreeSpec
    shape_range: ShapeRange | None

    @cached_property
    def returned(self) -> frozenset[str]:
        """The layers of which the network's output holds a tensor."""
        held = set(next(reversed(self.graph_module.graph.nodes)).all_input_nodes)
        return frozenset(layer.name for layer in self.layers if held.intersection(layer.nodes))

    def attribute(self, node: fx.Node) -> Any:
        """The parameter, buffer or constant that a `get_attr` node stands for."""
        return attribute(self.graph_module, str(node.target))


def trace_network(module: nn.Module, example_input: Tensor, granularity: Granularity = "module") -> TracedNetwork:
    """The layers of `module` in eval mode, which is left as it was.

    The traced graph has given the network's own output, bit for bit, on the example (parameters on torch's `meta`
    device: the same shapes). Raises InputError where the example does not fit the network or `granularity` is not one
    it has, UntraceableError where neither torch.fx nor torch.export gives a faithful graph.
    """
    name = snake_case(type(module).__name__)
    if not isinstance(example_input, Tensor):
        raise InputError(name, f"takes one tensor as its input, got {type(example_input).__name__}")
    with undisturbed(module), torch.inference_mode(False), torch.no_grad():
        probe = _probe(example_input)
        expected = _run(module, probe, name)
        graph_module, observed, shape_range = _faithful_graph(module, probe, expected, name)
        fine = module_layers(graph_module, observed.facts)
        if not fine:
            raise UntraceableError(name, ["it computes nothing"])
        layers = fine if granularity == "module" else paper_layers(module, graph_module, observed.facts, name)
    return TracedNetwork(
        name=name,
        graph_module=graph_module,
        layers=layers,
        input=tensor_spec(example_input),
        granularity=granularity,
        structure=tuple((layer.name, layer.kind, layer.inputs) for layer in fine),
        facts=observed.facts,
        output_structure=tree_flatten(expected)[1],
        shape_range=shape_range,
    )


def _probe(example: Tensor) -> Tensor:
    """What the network is run on: the example's numbers, or seeded ones where the example's are all equal."""
    probe = example.detach().clone()
    if probe.is_meta or not probe.is_floating_point() or len(probe.flatten()[:2]) < 2 or bool(probe.std() > 0):
        return probe
    return probe.copy_(torch.rand(probe.shape, generator=torch.Generator().manual_seed(_SEED)))


def _run(module: nn.Module, probe: Tensor, name: str) -> Any:
    state = [*module.parameters(), *module.buffers()]
    before = [0 if t.is_inference() else t._version for t in state]
    try:
        output = module(probe.clone())
    except Exception as error:  # a network's forward may raise anything
        raise InputError(name, f"fails on an input of shape {list(probe.shape)}: {_first_line(error)}") from error
    if before != [0 if t.is_inference() else t._version for t in state]:
        raise UntraceableError(name, ["it changes its own parameters or buffers in eval mode"])
    for leaf in tree_leaves(output):
        if not isinstance(leaf, Tensor | int | float | str | None):
            raise UntraceableError(name, [f"its output holds a {type(leaf).__name__}; expected tensors"])
    if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(output)):
        raise UntraceableError(name, ["its output holds no tensor"])
    return output


def _faithful_graph(
    module: nn.Module, probe: Tensor, expected: Any, name: str
) -> tuple[fx.GraphModule, Observed, ShapeRange | None]:
    one_shape: ShapeRange = tuple((n, n) for n in probe.shape)
    any_batch: ShapeRange = tuple((min(n, 2), None) if k == 0 else (n, n) for k, n in enumerate(probe.shape))
    ways: list[tuple[str, Callable[[], fx.GraphModule], ShapeRange | None]] = [
        ("torch.fx", lambda: capture_with_fx(module), None),
        ("torch.export for any batch", lambda: capture_batches_with_export(module, probe), any_batch),
        ("torch.export", lambda: capture_with_export(module, probe), one_shape),
    ]
    reasons = []
    for way, capture, shape_range in ways:
        try:
            graph_module = capture()
            observed = observe(graph_module, probe.clone())
        except AliasingError as error:
            reasons.append(f"{way}: {error}")
        except Exception as error:  # noqa: BLE001 - tracers raise anything at code they cannot follow
            reasons.append(f"{way}: {_first_line(error)}")
        else:
            if _same(observed.output, expected):
                return graph_module, observed, shape_range
            reasons.append(f"{way}: the recorded graph gives another output than the network")
    if not _same(_run(module, probe, name), expected):
        reasons = ["it is not deterministic: two runs on one input differ"]
    raise UntraceableError(name, reasons)


def _same(a: Any, b: Any) -> bool:
    left, right = tree_leaves(a), tree_leaves(b)
    return len(left) == len(right) and all(_same_leaf(x, y) for x, y in zip(left, right, strict=True))


def _same_leaf(a: Any, b: Any) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return type(a) is type(b) and bool(a == b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.is_meta or bool(((a == b) | (a.isnan() & b.isnan())).all())


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__
