"""One side of a split network: part of the traced graph, made runnable on its own.

An in-place operation stays in place if nothing outside can see it. If its tensor is the caller's, was received, or must still
cross, the operation works on a copy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_map_only

from measurement.decoders.copies import eval_copy
from measurement.tracing import TracedNetwork
from measurement.tracing.aliasing import NodeFacts, Slot

_EXTERNAL = frozenset({-1})
"""The memory that an in-place operation must leave alone: the caller's, what was received, parameters."""

_COPIES = "bfloat16 contiguous cpu double expand_as flatten float half reshape reshape_as to type type_as unflatten"
_COPIES_IF_NEEDED = frozenset(_COPIES.split())
"""Operations that return their argument's own memory or a copy, depending on strides and types at run time."""


class Half:
    """Builds one half's graph node by node, in program order.

    `crossing` are the nodes whose values leave this half: their memory must not change after they are made.
    """

    def __init__(self, traced: TracedNetwork, crossing: Iterable[fx.Node]) -> None:
        self._traced = traced
        self._crossing = frozenset(crossing)
        self._graph = fx.Graph()
        self._values: dict[fx.Node, Any] = {}
        self._memory: dict[fx.Node, frozenset[int]] = {}
        self._attributes: dict[str, Any] = {}

    def receive(self, node: fx.Node, names: Iterable[str]) -> None:
        """Let `node`'s value come from outside: one argument of the half, under these names, for each tensor in it."""
        arguments = [self._graph.placeholder(name) for name in names]
        value = self._traced.facts[node].value
        self._values[node] = tree_map_only(Slot, lambda slot: arguments[slot.k], value)
        self._memory[node] = _EXTERNAL

    def receive_scalar(self, node: fx.Node, name: str) -> None:
        """Let a number, or a tuple of numbers, come from outside as one argument."""
        self._values[node] = self._graph.placeholder(name)

    def fix(self, node: fx.Node) -> None:
        """Use the value that `node` had on the example."""
        self._values[node] = self._traced.facts[node].value

    def compute(self, node: fx.Node) -> None:
        """Compute `node` in this half. All nodes that it reads must be in the half already."""
        facts = self._traced.facts[node]
        sources = self._sources(node, facts)
        copies: dict[fx.Node, fx.Node] = {}
        if any(self._is_needed(target) for target in facts.mutates):
            copies = {t: self._graph.call_function(own_copy, (self._value(t),)) for t in facts.mutates}
        self._emit(node, copies)
        shared = (self._memory.get(source, frozenset()) for source in sources - copies.keys())
        self._memory[node] = frozenset({len(self._memory)}).union(*shared)

    def returns(self, *groups: Any) -> fx.GraphModule:
        """The finished half: a module that returns these nodes' values, in the same nested structure."""
        self._graph.output(fx.map_arg(groups, lambda node: _plain(self._value(node))))
        return fx.GraphModule(self._attributes, self._graph)

    def _is_needed(self, target: fx.Node) -> bool:
        """Whether changing this value's memory would reach what is not this half's own, or what still has to cross."""
        memory = self._memory[target]
        return bool(memory & _EXTERNAL) or any(
            made in self._crossing and memory & where for made, where in self._memory.items()
        )

    def _sources(self, node: fx.Node, facts: NodeFacts) -> set[fx.Node]:
        """The arguments whose memory the node's value may share: as seen, or as it could be for other strides."""
        called = self._traced.called.get(node)
        word = (str(getattr(node.target, "__name__", node.target)) if called is None else type(called).__name__).lower()
        return set(node.all_input_nodes if word in _COPIES_IF_NEEDED else facts.shares)

    def _emit(self, node: fx.Node, copies: Mapping[fx.Node, fx.Node]) -> None:
        source = node.args[0] if node.args else None
        if node.target in {operator.getitem, getattr} and isinstance(source, fx.Node):
            structure = self._value(source)
            if not isinstance(structure, fx.Node):  # a tuple of tensors that came in one by one
                take: Callable[..., Any] = operator.getitem if node.target is operator.getitem else getattr
                self._values[node] = take(structure, *node.args[1:])
                return
        copied = self._graph.node_copy(node, lambda a: copies[a] if a in copies else _plain(self._value(a)))
        copied.meta = {}
        if node.op == "call_module":
            target = str(node.target)
            if target not in self._attributes:
                self._attributes[target] = eval_copy(self._traced.called[node])
        self._values[node] = copied

    def _value(self, node: fx.Node) -> Any:
        if node not in self._values:
            if node.op == "get_attr":
                self._attributes[str(node.target)] = self._traced.attribute(node)
                self._values[node] = self._graph.create_node("get_attr", str(node.target))
                self._memory[node] = _EXTERNAL
            elif node.op == "placeholder":
                self._values[node] = node.args[0] if node.args else None
        return self._values[node]


def own_copy(tensor: Tensor) -> Tensor:
    """A copy to change in place, with the strides of the original.

    With other strides a later sum would add in another order, and end in other bits.
    """
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(tensor)


def without_numbers(half: fx.GraphModule) -> fx.GraphModule:
    """The half with all its weights replaced by shapes alone: it turns shapes into shapes, and holds no memory.

    Only a half's own tables change (`Module.to` may, for some kinds of tensors, change the originals).
    """
    for part in half.modules():
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    table[name] = torch.empty_like(tensor, device="meta", requires_grad=False)  # type: ignore[assignment]
    return half


def _plain(value: Any) -> Any:
    """Named tuples as plain ones, which is what a graph's arguments may be."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
