"""`split_module`: a network cut in two halves that together give exactly what it gives whole."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import TreeSpec, tree_leaves, tree_unflatten

from lmos_opt.errors import InputError
from lmos_opt.graph import INPUT, tensor_names
from lmos_opt.profile import Granularity
from measurement.tracing import ShapeRange, TracedNetwork, trace_network
from measurement.tracing.aliasing import reads_only_metadata
from measurement.tracing.calls import Call, Example
from measurement.tracing.grouping import input_nodes, is_step
from runner.parts.halves import Half, without_numbers
from runner.parts.network import Leaf, flat_outputs, leaves_of

Scalar = int | float | tuple[Any, ...]
ShapeRanges = Mapping[str, ShapeRange]


class Crossing(dict[str, Tensor]):
    """What goes from head to tail: each tensor under its layer's name (`lmos_opt.graph.tensor_names`).

    A layer with several tensors gives `name[0]`, `name[1]`; `input` is the image. `scalars` are numbers (sizes, mostly)
    that the tail needs and cannot read off these tensors: ints, floats, or tuples of them. `kept` is what the edge made of the
    network's result, by its path in it (`runner.parts.network.flat_outputs`): it stays there.
    """

    scalars: dict[str, Scalar]
    kept: dict[str, Tensor]

    def __init__(self, tensors: Mapping[str, Tensor] | None = None, scalars: Mapping[str, Scalar] | None = None,
                 kept: Mapping[str, Tensor] | None = None) -> None:  # fmt: skip
        super().__init__(tensors or {})
        self.scalars, self.kept = dict(scalars or {}), dict(kept or {})

    def as_sent(self) -> dict[str, Any]:
        """The scalars as a message holds them: lists in place of tuples."""
        return {name: _as_list(value) for name, value in self.scalars.items()}


class Head(nn.Module):
    """The edge's half: called as the network is, it returns the Crossing. Holds only what its layers use."""

    def __init__(self, body: fx.GraphModule, call: Call, names: tuple[tuple[str, ...], ...], scalars: tuple[str, ...],
                 kept: tuple[Leaf, ...], sizes: fx.GraphModule | None, shape_range: ShapeRanges | None) -> None:  # fmt: skip
        super().__init__()
        self.body, self.call = body, call
        self._names, self._scalars, self._shape_range = names, scalars, shape_range
        self._kept = tuple((leaf.path, leaf.place) for leaf in kept)
        self._sizes = (sizes,)  # in a tuple: it holds no numbers, and is none of the head's submodules

    @property
    def signature(self) -> inspect.Signature | None:
        """The network's own; None where it takes one tensor."""
        return self.call.signature

    def forward(self, *args: Any, **options: Any) -> Crossing:
        """Run the edge's layers on what the network takes.

        Raises InputError for a call of another structure than the example's, and for tensors of shapes that this cut was not made
        for.
        """
        return self.on(self.call.tensors(args, options))

    def on(self, tensors_in: Sequence[Tensor]) -> Crossing:
        """The same from the call's tensors alone, in the order of `call.names`."""
        self._check_shapes(tensors_in)
        (sizes,) = self._sizes
        foreign = () if sizes is None else sizes(*(torch.empty_like(t, device="meta") for t in tensors_in))[0]
        values, scalars, made = self.body(*tensors_in, *foreign)
        tensors: dict[str, Tensor] = {}
        for names, value in zip(self._names, values, strict=True):
            found = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
            tensors.update(zip(names, found, strict=True))
        kept = {path: tree_leaves(value)[place] for (path, place), value in zip(self._kept, made, strict=True)}
        return Crossing(tensors, {name: _as_tuple(v) for name, v in zip(self._scalars, scalars, strict=True)}, kept)

    def _check_shapes(self, tensors: Sequence[Tensor]) -> None:
        if self._shape_range is None:
            return
        for name, tensor in zip(self.call.names, tensors, strict=True):
            shape, bounds = tuple(tensor.shape), self._shape_range[name]
            if len(shape) != len(bounds) or not all(
                low <= n and (high is None or n <= high) for n, (low, high) in zip(shape, bounds, strict=True)
            ):
                wanted = ", ".join(str(low) if low == high else f"{low} or more" for low, high in bounds)
                where = "image" if name == INPUT else name
                raise InputError(where, f"has shape {list(shape)}, but this split holds for [{wanted}] only")
        batches = {tensor.shape[0] for name, tensor in zip(self.call.names, tensors, strict=True)
                   if self._shape_range[name] and self._shape_range[name][0][1] is None}  # fmt: skip
        if len(batches) > 1:
            raise InputError(INPUT, f"has tensors of the batches {sorted(batches)}, but this split holds for one batch of all")


class Tail(nn.Module):
    """The server's half: `tail(crossing)` returns the whole network's output, what was `kept` in its place. Holds only what
    its layers use. `paths` are those of the output's leaves, `kept` those of them that the edge makes."""

    def __init__(self, body: fx.GraphModule, names: tuple[str, ...], scalars: dict[str, Scalar],
                 output: TreeSpec, paths: tuple[str, ...], kept: frozenset[str]) -> None:  # fmt: skip
        super().__init__()
        self.body = body
        self._names, self._scalars, self._output, self._paths, self._kept = names, scalars, output, paths, kept

    def forward(self, crossing: Mapping[str, Tensor]) -> Any:
        """Run the server's layers on the tensors by name; scalars that did not come are those of the example.

        Raises InputError where a tensor is missing. Changes none of the tensors.
        """
        kept = getattr(crossing, "kept", {})
        missing = [path for path in self._paths if path in self._kept and path not in kept]
        if missing:
            raise InputError("crossing", f"lacks what the edge kept of the result: {missing[0]!r} in its attribute 'kept'")
        made = iter(self._run(crossing))
        return tree_unflatten([kept[path] if path in self._kept else next(made) for path in self._paths], self._output)

    def made(self, crossing: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What this half makes of the network's result, by its path in it: all but what the edge kept."""
        paths = [path for path in self._paths if path not in self._kept]
        return {path: leaf for path, leaf in zip(paths, self._run(crossing), strict=True) if isinstance(leaf, Tensor)}

    def _run(self, crossing: Mapping[str, Tensor]) -> list[Any]:
        """The output's leaves that are not kept, in their order."""
        missing = [name for name in self._names if name not in crossing]
        if missing:
            raise InputError("crossing", f"lacks the tensor {missing[0]!r}; expected {', '.join(self._names)}")
        given = crossing.scalars if isinstance(crossing, Crossing) else {}
        scalars = [_as_tuple(given.get(name, default)) for name, default in self._scalars.items()]
        values = self.body(*(crossing[name] for name in self._names), *scalars)
        return [leaf for value in values for leaf in tree_leaves(value)]


def made_by(tail: nn.Module, crossing: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a tail makes of the network's result, by path; of a module that is none, all its outputs."""
    return tail.made(crossing) if isinstance(tail, Tail) else flat_outputs(tail(crossing))


def split_module(
    module: nn.Module,
    edge_layers: Iterable[str],
    example_input: Example,
    *,
    granularity: Granularity = "module",
    opaque: Collection[str] = (),
) -> tuple[Head, Tail]:
    """`module` in eval mode as two modules: `tail(head(image))` equals `module(image)`, bit for bit.

    The example is a tensor, a tuple of arguments, or a dictionary of them by name; the head is called as the module is.

    `edge_layers` name layers of the profile at the same granularity, in any order; whatever they read must be among
    them. The halves share the network's parameters, each holding only those it uses. A tensor crosses if a layer at
    the server reads it; an output of the network that was made at the edge stays there, in the mapping's `kept`.
    `opaque` names parts that are one layer each.
    Raises InputError for an unknown layer or a set that is not down-closed, and what `trace_network` raises.
    """
    return split_traced(trace_network(module, example_input, granularity, opaque=opaque), edge_layers)


def split(network: TracedNetwork, edge_layers: Iterable[str]) -> tuple[Head, Tail]:
    """As `split_module`, for a network that `measurement.trace` traced: takes milliseconds, for as many cuts as are wanted."""
    return split_traced(network, edge_layers)


def split_traced(traced: TracedNetwork, edge_layers: Iterable[str]) -> tuple[Head, Tail]:
    """The halves of a network that is traced already; as `split_module`."""
    return _Cut(traced, _checked(traced, edge_layers)).halves()


def _checked(traced: TracedNetwork, edge_layers: Iterable[str]) -> frozenset[str]:
    edge = frozenset(edge_layers)
    unknown = sorted(edge.difference(layer.name for layer in traced.layers))
    if unknown:
        raise InputError(traced.name, f"has no layer {unknown[0]!r}")
    for layer in traced.layers:
        for source in layer.inputs:
            if layer.name in edge and source not in traced.input_tensors and source not in edge:
                raise InputError(traced.name, f"layer {layer.name!r} is at the edge, but its input {source!r} is not")
    return edge


class _Cut:
    """Which node runs where, and what must travel, for one down-closed edge set."""

    def __init__(self, traced: TracedNetwork, edge: frozenset[str]) -> None:
        self._traced = traced
        self._nodes: list[fx.Node] = list(traced.graph_module.graph.nodes)
        self._inputs = dict(zip(input_nodes(traced.graph_module.graph), traced.input_tensors, strict=True))
        self._output = self._nodes[-1]
        steps = {node: layer.name in edge for layer in traced.layers for node in layer.nodes}
        self._edge_steps = [node for node in self._nodes if steps.get(node) is True]
        self._server_steps = [node for node in self._nodes if steps.get(node) is False]
        self._sent = dict(self._crossing_tensors(edge))
        here = {*self._inputs, *self._edge_steps}
        self._leaves = leaves_of(traced)
        self._kept = tuple(leaf for leaf in self._leaves if leaf.spec is not None and leaf.node in here)
        self._edge_ready = self._ready(here)
        self._server_ready = self._ready({*self._sent, *self._server_steps})
        self._scalars: dict[fx.Node, Scalar] = {}

    def halves(self) -> tuple[Head, Tail]:
        """Both halves; the tail first, which finds the scalars that the head has to send."""
        tail = self._tail()
        return self._head(), tail

    def _head(self) -> Head:
        needed: dict[fx.Node, bool] = {}
        checks = [node for node in self._nodes if _is_check(node, self._traced) and node in self._edge_ready]
        for node in (*self._edge_steps, *self._scalars, *checks):
            needed[node] = True
            self._need_at_edge(node, needed)
        foreign = [node for node, computed in needed.items() if not computed]
        sizes = self._sizes(foreign)
        kept = tuple(leaf.node for leaf in self._kept if leaf.node is not None)
        half = Half(self._traced, [*self._sent, *kept])
        self._receive_inputs(half)
        if sizes is not None:
            for node in foreign:
                half.receive_scalar(node, f"size_{node.name}")
                del needed[node]
        self._build(half, needed)
        shape_range = self._traced.shape_range
        if foreign and sizes is None:  # the example's sizes stand in the graph, so it is right for them alone
            shape_range = {name: tuple((n, n) for n in spec.shape) for name, spec in self._traced.input_tensors.items()}
        return Head(half.returns(tuple(self._sent), tuple(self._scalars), kept), self._traced.call, tuple(self._sent.values()),
                    tuple(node.name for node in self._scalars), self._kept, sizes, shape_range)

    def _sizes(self, foreign: list[fx.Node]) -> fx.GraphModule | None:
        """What finds these sizes, which only the server's layers tell, from the image's shape: their shapes alone, no
        numbers. None where nothing is asked for or where the layers cannot run so."""
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

    def _tail(self) -> Tail:
        needed: dict[fx.Node, bool] = {}
        checks = [node for node in self._nodes if _is_check(node, self._traced) and node not in self._edge_ready]
        for node in (*self._server_steps, *checks):
            needed[node] = True
            self._need_at_server(node, needed)
        nodes = {leaf.node for leaf in self._kept}
        values = tuple(value for value in tree_leaves(self._output.args[0]) if value not in nodes)
        for node in values:
            if isinstance(node, fx.Node):
                self._need_at_server_itself(node, needed)
        half = Half(self._traced, ())
        for k, (node, names) in enumerate(self._sent.items()):
            half.receive(node, [f"tensor_{k}_{i}" for i in range(len(names))])
        for node in self._scalars:
            half.receive_scalar(node, f"scalar_{node.name}")
        self._build(half, needed)
        return Tail(half.returns(*values), tuple(name for names in self._sent.values() for name in names),
                    {node.name: value for node, value in self._scalars.items()}, self._traced.output_structure,
                    tuple(leaf.path for leaf in self._leaves), frozenset(leaf.path for leaf in self._kept))

    def _build(self, half: Half, needed: Mapping[fx.Node, bool]) -> None:
        for node in self._nodes:
            if node in needed:
                (half.compute if needed[node] else half.fix)(node)

    def _need_at_edge(self, node: fx.Node, needed: dict[fx.Node, bool]) -> None:
        """Note the nodes without tensors that `node` reads: True to compute them, False to use the example's value."""
        for source in node.all_input_nodes:
            if self._is_glue(source) and source not in needed:
                needed[source] = source in self._edge_ready
                if needed[source]:
                    self._need_at_edge(source, needed)

    def _need_at_server(self, node: fx.Node, needed: dict[fx.Node, bool]) -> None:
        """The same at the server, where a number that only the edge can make is sent as a scalar."""
        for source in node.all_input_nodes:
            self._need_at_server_itself(source, needed)

    def _need_at_server_itself(self, source: fx.Node, needed: dict[fx.Node, bool]) -> None:
        if not self._is_glue(source) or source in needed or source in self._scalars:
            return
        if source in self._server_ready or source not in self._edge_ready:
            needed[source] = True
            self._need_at_server(source, needed)
        elif _travels(self._traced.facts[source].value):
            self._scalars[source] = _as_tuple(self._traced.facts[source].value)
        else:
            needed[source] = False

    def _ready(self, tensors: set[fx.Node]) -> set[fx.Node]:
        """The nodes whose value is there, or can be made, where these tensors are."""
        ready = set(tensors)
        for node in self._nodes:
            if node.op == "get_attr" or (self._is_glue(node) and ready.issuperset(node.all_input_nodes)):
                ready.add(node)
        return ready

    def _is_glue(self, node: fx.Node) -> bool:
        return node.op.startswith("call_") and not is_step(node, self._traced.facts)

    def _crossing_tensors(self, edge: frozenset[str]) -> Iterator[tuple[fx.Node, tuple[str, ...]]]:
        """The nodes whose tensors cross, in order, with these tensors' names."""
        read = {source for layer in self._traced.layers if layer.name not in edge for source in layer.inputs}
        for node, name in self._inputs.items():
            if name in read:
                yield node, tensor_names(name, 1)
        for layer in self._traced.layers:
            if layer.name in edge and layer.name in read:
                names = iter(tensor_names(layer.name, len(layer.outputs)))
                for node in layer.values:
                    yield node, tuple(islice(names, len(self._traced.facts[node].tensors)))


def _is_check(node: fx.Node, traced: TracedNetwork) -> bool:
    """Whether the node is run for its complaint alone, as `torch._assert` is."""
    return (node.op.startswith("call_") and not node.users and not is_step(node, traced.facts)
            and not reads_only_metadata(node))


def _travels(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, tuple | list) and all(map(_travels, value)))


def _as_list(value: Any) -> Any:
    return [_as_list(item) for item in value] if isinstance(value, tuple | list) else value


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, tuple | list) else value
