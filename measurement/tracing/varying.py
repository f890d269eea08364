"""Tensors whose sizes depend on numbers, as the size of `h[h > 0]`: nobody knows it before the network runs.

torch marks the operations that decide a size by numbers. From the first of them on, the graph runs once more on shapes alone, where
such a size is an unknown: `h[h > 0] * 2` has it too, `h[h > 0].mean()` has not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from lmos_opt.errors import THEIR_ERRORS
from lmos_opt.tensors import TensorSpec
from measurement.decoders import Stage
from measurement.tracing.aliasing import NodeFacts, Slot

_DRAWS = 4
"""Runs of a part on other numbers, where shapes alone do not say what sizes it gives."""
_Make = Callable[[TensorSpec], Tensor]
_Found = dict[fx.Node, Any]
"""Values made of shapes alone; None where nothing is known."""


def with_varying(graph_module: fx.GraphModule, facts: dict[fx.Node, NodeFacts]) -> dict[fx.Node, NodeFacts]:
    """The facts of an observed graph, of which those of a node with a tensor whose size depends on numbers say `varies`.

    An operation that needs to know such a size is such a node, and so is all that is made of its result. A part that stays whole,
    and chooses by numbers what it computes, is none if it gives the example's sizes for other numbers too.
    """
    if not any(fact.picks for fact in facts.values()):
        return facts
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    unknowns = ShapeEnv(allow_scalar_outputs=True, allow_dynamic_output_shape_ops=True)
    shapes_alone = FakeTensorMode(shape_env=unknowns, allow_non_fake_inputs=True)
    found: _Found = {}
    for node in graph_module.graph.nodes:
        is_behind = not found.keys().isdisjoint(node.all_input_nodes)
        if not node.op.startswith("call_") or not (is_behind or facts[node].picks):
            continue
        called = graph_module.get_submodule(str(node.target)) if node.op == "call_module" else None
        with shapes_alone:
            found[node] = None if isinstance(called, Stage) else _made(node, called, facts, found)
            if isinstance(called, Stage) or (found[node] is None and not is_behind and _is_steady(node, called, facts)):
                found[node] = _as_seen(facts[node], _empty)  # a stage of a decoder gives a state for each token
    varying = {node for node, value in found.items() if facts[node].tensors and _varies(value)}
    return {node: replace(fact, varies=True) if node in varying else fact for node, fact in facts.items()}


def _made(node: fx.Node, called: nn.Module | None, facts: Mapping[fx.Node, NodeFacts], found: _Found) -> Any:
    """The node's value on shapes alone; None where torch cannot tell it."""
    if any(found.get(source, ...) is None for source in node.all_input_nodes):
        return None
    try:
        return _run(node, called, lambda source: found[source] if source in found else _as_seen(facts[source], _empty))
    except THEIR_ERRORS:  # an operation that needs the size, or code that looks at numbers
        return None


def _run(node: fx.Node, called: nn.Module | None, value_of: Callable[[fx.Node], Any]) -> Any:
    values = {source: value_of(source) for source in node.all_input_nodes}
    args, options = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **options)
    return (node.target if called is None else called)(*args, **options)  # type: ignore[operator]


def _is_steady(node: fx.Node, called: nn.Module | None, facts: Mapping[fx.Node, NodeFacts]) -> bool:
    """Whether a part that others read gives the example's sizes for other numbers too."""
    if called is None or all(user.op == "output" for user in node.users):  # the sizes of a result are not needed before
        return False
    from torch._subclasses.fake_tensor import unset_fake_temporarily

    generator = torch.Generator().manual_seed(_DRAWS)
    seen = [spec.shape for spec in facts[node].tensors]
    with unset_fake_temporarily():
        for _ in range(_DRAWS):
            try:
                value = _run(node, called, lambda source: _as_seen(facts[source], lambda spec: _drawn(spec, generator)))
            except THEIR_ERRORS:  # its own code, on numbers that it may not be made for
                return False
            if [tuple(leaf.shape) for leaf in tree_leaves(value) if isinstance(leaf, Tensor)] != seen:
                return False
    return True


def _as_seen(facts: NodeFacts, make: _Make) -> Any:
    """A value like that on the example."""
    return tree_map_only(Slot, lambda slot: make(facts.tensors[slot.k]), facts.value)


def _empty(spec: TensorSpec) -> Tensor:
    return torch.empty(spec.shape, dtype=getattr(torch, spec.dtype))


def _drawn(spec: TensorSpec, generator: torch.Generator) -> Tensor:
    """Numbers of both signs; of whole numbers, those that index almost anything."""
    dtype = getattr(torch, spec.dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(spec.shape, generator=generator).to(dtype)
    return torch.randint(2, spec.shape, generator=generator).to(dtype)


def _varies(value: Any) -> bool:
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    return value is None or any(free_unbacked_symbols(tuple(leaf.shape)) for leaf in tree_leaves(value) if isinstance(leaf, Tensor))
