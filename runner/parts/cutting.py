"""Which node of a traced network runs at which place, what must travel over each hop, and the parts that follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import fx
from torch.utils._pytree import tree_leaves

from lmos_opt.graph import tensor_names
from lmos_opt.profile import TensorSpec
from measurement.tracing import TracedNetwork
from measurement.tracing.aliasing import reads_only_metadata
from measurement.tracing.grouping import input_nodes, is_step
from runner.parts.halves import Half, without_numbers
from runner.parts.network import leaves_of
from runner.parts.part import Head, Incoming, Middle, Outgoing, Part, Result, Scalar, Sizes, Tail, as_tuple

_Needed = dict[fx.Node, bool]
"""The nodes that a part has: True to compute them, False to use the example's value."""


class Cut:
    """A traced network cut at nested down-closed sets: for each hop, the layers that run before it. Places count from 1.

    `made_at` says for every node from which place on its value could be known, `ready` for each place what is there or can be
    made of what is there, `sent` for each hop what crosses it.
    """

    def __init__(self, traced: TracedNetwork, upto: Sequence[frozenset[str]]) -> None:
        self._traced, self._last = traced, len(upto) + 1
        self._nodes: list[fx.Node] = list(traced.graph_module.graph.nodes)
        self._inputs = dict(zip(input_nodes(traced.graph_module.graph), traced.input_tensors, strict=True))
        self._output = self._nodes[-1]
        places = {layer.name: 1 + sum(layer.name not in before for before in upto) for layer in traced.layers}
        steps = {node: places[layer.name] for layer in traced.layers for node in layer.nodes}
        self._steps = {p: [node for node in self._nodes if steps.get(node) == p] for p in range(1, self._last + 1)}
        self._sent = {h: dict(self._crossing_tensors(before)) for h, before in enumerate(upto, 1)}
        self._sent |= {0: {node: tensor_names(name, 1) for node, name in self._inputs.items()}, self._last: {}}
        self._leaves = leaves_of(traced)
        own = {p: {*self._steps[p], *(self._inputs if p == 1 else ())} for p in range(1, self._last)}
        self._kept = {p: tuple(leaf for leaf in self._leaves if leaf.spec is not None and leaf.node in here)
                      for p, here in own.items()}  # fmt: skip
        self._ready = {p: self._ready_with({*self._sent[p - 1], *self._steps[p]}) for p in self._steps}
        self._made_at: dict[fx.Node, int] = {}
        for node in self._nodes:
            before = max((self._made_at[source] for source in node.all_input_nodes), default=0)
            self._made_at[node] = 1 if node in self._inputs else steps.get(node, before)
        self._scalars: dict[int, dict[fx.Node, Scalar]] = {h: {} for h in range(self._last + 1)}

    def parts(self) -> tuple[Part, ...]:
        """A part for each place; the last first, since each finds the scalars that the one before it has to send."""
        return tuple(reversed([self._part(p) for p in range(self._last, 0, -1)]))

    def _part(self, p: int) -> Part:
        needed = self._needed(p)
        if p == 1:
            return self._head(needed)
        incoming = self._incoming(p, needed)
        half = Half(self._traced, [*self._sent[p], *self._kept_nodes(p)])
        for k, (node, names) in enumerate(self._sent[p - 1].items()):
            if names[0] in incoming.read:
                half.receive(node, [f"tensor_{k}_{i}" for i in range(len(names))])
        for node in self._scalars[p - 1]:
            half.receive_scalar(node, f"scalar_{node.name}")
        self._build(half, needed)
        if p < self._last:
            return Middle(half.returns(*self._leaving(p)), incoming, self._outgoing(p))
        kept = [leaf for leaves in self._kept.values() for leaf in leaves]
        nodes = {leaf.node for leaf in kept}
        fixed = {leaf.path: leaf.value for leaf in self._leaves if leaf.spec is None and leaf.node in nodes}
        result = Result(self._traced.output_structure, tuple(leaf.path for leaf in self._leaves),
                        frozenset(leaf.path for leaf in kept), fixed)  # fmt: skip
        return Tail(half.returns(*self._values()), incoming, result)

    def _head(self, needed: _Needed) -> Head:
        foreign = [node for node, computed in needed.items() if not computed]
        sizes = self._sizes(foreign)
        half = Half(self._traced, [*self._sent[1], *self._kept_nodes(1)])
        self._receive_inputs(half)
        if sizes is not None:
            for node in foreign:
                half.receive_scalar(node, f"size_{node.name}")
                del needed[node]
        self._build(half, needed)
        shape_range = self._traced.shape_range
        if foreign and sizes is None:  # the example's sizes stand in the graph, so it is right for them alone
            shape_range = {name: tuple((n, n) for n in spec.shape) for name, spec in self._traced.input_tensors.items()}
        return Head(half.returns(*self._leaving(1)), self._traced.call, self._outgoing(1), Sizes(sizes, shape_range))

    def _incoming(self, p: int, needed: Mapping[fx.Node, bool]) -> Incoming:
        read = {source for node, computed in needed.items() if computed for source in node.all_input_nodes}
        read.update(value for value in self._values() if isinstance(value, fx.Node) and p == self._last)
        sent = self._sent[p - 1].items()
        gaps = {name: strides for node, names in sent if node not in self._inputs and node in read
                for name, strides in zip(names, self._traced.facts[node].gaps, strict=True) if strides is not None}  # fmt: skip
        return Incoming({name: spec for node, names in sent for name, spec in zip(names, self._specs(node), strict=True)},
                        tuple(name for node, names in sent if node in read for name in names),
                        {node.name: value for node, value in self._scalars[p - 1].items()}, gaps)  # fmt: skip

    def _specs(self, node: fx.Node) -> Sequence[TensorSpec]:
        """A value's tensors on the example."""
        name = self._inputs.get(node)
        return self._traced.facts[node].tensors if name is None else [self._traced.input_tensors[name]]

    def _outgoing(self, p: int) -> Outgoing:
        sent = self._sent[p]
        return Outgoing(tuple(sent.values()), tuple(self._is_relayed(p, node) for node in sent),
                        tuple(node.name for node in self._scalars[p]), self._kept[p])  # fmt: skip

    def _leaving(self, p: int) -> tuple[tuple[fx.Node, ...], ...]:
        """The outputs of a part that is not the last: the values of tensors, the scalars, and its leaves of the result."""
        values = tuple(node for node in self._sent[p] if not self._is_relayed(p, node))
        return values, tuple(self._scalars[p]), self._kept_nodes(p)

    def _is_relayed(self, p: int, node: fx.Node) -> bool:
        return p > 1 and node in self._sent[p - 1]

    def _kept_nodes(self, p: int) -> tuple[fx.Node, ...]:
        return tuple(leaf.node for leaf in self._kept.get(p, ()) if leaf.node is not None)

    def _values(self) -> tuple[Any, ...]:
        """The values of the network's result that no earlier part keeps."""
        kept = {leaf.node for leaves in self._kept.values() for leaf in leaves}
        return tuple(value for value in tree_leaves(self._output.args[0]) if value not in kept)

    def _sizes(self, foreign: list[fx.Node]) -> fx.GraphModule | None:
        """A graph that computes these sizes of later places' layers from the shapes of the inputs, without any numbers.

        None if there are no such sizes, or if the layers cannot run on shapes alone.
        """
        if not foreign:
            return None
        needed = dict.fromkeys(foreign, True)
        for node in reversed(self._nodes):
            if node in needed:
                needed.update((a, True) for a in node.all_input_nodes if a.op.startswith("call_"))
        half = Half(self._traced, ())
        self._receive_inputs(half)
        self._build(half, needed)
        sizes = without_numbers(half.returns(tuple(foreign)))
        known = self._traced.input_tensors.values()
        try:
            shapes = [torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta") for spec in known]
            found = list(sizes(*shapes)[0])
        except Exception:  # noqa: BLE001 - an operation without a shape function may raise anything
            return None
        return sizes if found == [self._traced.facts[node].value for node in foreign] else None

    def _receive_inputs(self, half: Half) -> None:
        for k, node in enumerate(self._inputs):
            half.receive(node, ["image" if len(self._inputs) == 1 else f"input_{k}"])

    def _build(self, half: Half, needed: Mapping[fx.Node, bool]) -> None:
        for node in self._nodes:
            if node in needed:
                (half.compute if needed[node] else half.fix)(node)

    def _needed(self, p: int) -> _Needed:
        """The nodes that place p computes (True) or takes from the example (False). Its scalars are added to the hop before it."""
        needed: _Needed = {}
        checks = [node for node in self._nodes if _is_check(node, self._traced) and max(self._made_at[node], 1) == p]
        for node in (*self._steps[p], *checks):
            needed[node] = True
            self._need_sources(node, p, needed)
        for value in (*self._scalars[p], *(self._values() if p == self._last else ())):
            if isinstance(value, fx.Node):
                self._need(value, p, needed)
        return needed

    def _need_sources(self, node: fx.Node, p: int, needed: _Needed) -> None:
        for source in node.all_input_nodes:
            self._need(source, p, needed)

    def _need(self, node: fx.Node, p: int, needed: _Needed) -> None:
        """Add a node without tensors that place p reads. A number that cannot be computed there comes as a scalar."""
        if not self._is_glue(node) or node in needed or node in self._scalars[p - 1]:
            return
        value = self._traced.facts[node].value
        if self._made_at[node] == p or node in self._ready[p]:
            needed[node] = True
            self._need_sources(node, p, needed)
        elif p > 1 and _travels(value):
            self._scalars[p - 1][node] = as_tuple(value)
        else:
            needed[node] = False

    def _ready_with(self, tensors: set[fx.Node]) -> set[fx.Node]:
        """The nodes whose values are at hand, or can be computed, if these tensors are there."""
        ready = set(tensors)
        for node in self._nodes:
            is_constant = node.op == "get_attr" or (node.op == "placeholder" and node not in self._inputs)
            if is_constant or (self._is_glue(node) and ready.issuperset(node.all_input_nodes)):
                ready.add(node)
        return ready

    def _is_glue(self, node: fx.Node) -> bool:
        return node.op.startswith("call_") and not is_step(node, self._traced.facts)

    def _crossing_tensors(self, before: frozenset[str]) -> Iterator[tuple[fx.Node, tuple[str, ...]]]:
        """The nodes whose tensors cross a hop, in order, with these tensors' names."""
        read = {source for layer in self._traced.layers if layer.name not in before for source in layer.inputs}
        for node, name in self._inputs.items():
            if name in read:
                yield node, tensor_names(name, 1)
        for layer in self._traced.layers:
            if layer.name in before and layer.name in read:
                names = iter(tensor_names(layer.name, len(layer.outputs)))
                for node in layer.values:
                    yield node, tuple(islice(names, len(self._traced.facts[node].tensors)))


def _is_check(node: fx.Node, traced: TracedNetwork) -> bool:
    """Whether the node only checks something, as `torch._assert` does."""
    return (node.op.startswith("call_") and not node.users and not is_step(node, traced.facts)
            and not reads_only_metadata(node))


def _travels(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, tuple | list) and all(map(_travels, value)))
