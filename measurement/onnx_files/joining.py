"""A part of a network as one ONNX model: operators of a file joined again, or what torch's exporter makes of a part of torch's."""

from __future__ import annotations

import logging
import operator
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from measurement.onnx_files.operators import SMALL_BYTES, Model, Operator, Value, subgraphs


@dataclass(frozen=True)
class Joined:
    """`model` takes the part's tensors under `inputs`, and gives what the nodes in `outputs` put out, under a name for
    each tensor; None stands for a None beside them. A file of ONNX takes tensors of these shapes alone, so the numbers that come
    from shapes are fixed: those that the part takes or gives are in `numbers`, not in the file."""

    model: Model
    inputs: Mapping[fx.Node, str]
    outputs: Mapping[fx.Node, tuple[str | None, ...]]
    numbers: Mapping[fx.Node, Any] = field(default_factory=dict)


def joined(part: fx.GraphModule, example: Sequence[Any], takes: Sequence[str] = (),
           gives: Mapping[str, tuple[fx.Node, int]] | None = None) -> Joined | None:  # fmt: skip
    """The operators of a part of an ONNX file as one model; None where something in it is torch's own.

    The example are the part's arguments. A part without any operator has no model either. `takes` are the model's names of the
    first arguments, `gives` those of what it is asked for, each with the node and which of its tensors it is (default: names of its
    own, for all that the part returns).
    """
    named = iter(takes)
    from onnx import helper

    values: dict[fx.Node, tuple[str, ...]] = {}
    nodes, weights = list[Any](), dict[int, tuple[str, Tensor]]()
    inputs, versions = dict[fx.Node, Value](), dict[str, int]()
    kinds: dict[fx.Node, tuple[Value, ...]] = {}
    arguments = iter(example)
    for node in part.graph.nodes:
        if node.op == "placeholder":
            argument = next(arguments)
            if isinstance(argument, Tensor):
                inputs[node] = Value(next(named, f"%{node.name}"), tuple(argument.shape), argument.dtype)
                values[node], kinds[node] = (inputs[node].name,), (inputs[node],)
        elif node.op == "call_function" and node.target is operator.getitem and node.args[0] in kinds.keys() - inputs.keys():
            place = int(node.args[1])  # of an operator's outputs; of a tensor it would be a part, which torch alone takes
            values[node], kinds[node] = (values[node.args[0]][place],), (kinds[node.args[0]][place],)
        elif node.op == "call_module" and isinstance(layer := part.get_submodule(str(node.target)), Operator):
            if any(len(values.get(source, ())) != 1 for source in node.args):
                return None
            names = {value.name: values[source][0] for value, source in zip(layer.program.inputs, node.args, strict=True)}
            for name, tensor in layer.weights().items():
                names[name] = weights.setdefault(id(tensor), (f"%weights/{len(weights)}", tensor))[0]
            nodes += _renamed(layer.program.nodes, names, f"%{node.name}/")
            values[node] = tuple(names[value.name] for value in layer.program.outputs)
            kinds[node] = layer.program.outputs
            versions.update(layer.program.versions)
        elif node.op != "output":
            return None
    if not nodes:
        return None
    outputs = {node: values[node] for node in output_node(part).all_input_nodes if node in kinds and node not in inputs}
    known = [value for node in outputs for value in _called(kinds[node], values[node])]
    if gives is not None:
        nodes += [helper.make_node("Identity", [values[node][place]], [name]) for name, (node, place) in gives.items()]
        known = [replace(kinds[node][place], name=name) for name, (node, place) in gives.items()]
    model = Model.of(nodes, list(inputs.values()), known, dict(weights.values()), versions)
    return Joined(model, {node: value.name for node, value in inputs.items()}, outputs)


def _called(kinds: Sequence[Value], names: Sequence[str]) -> list[Value]:
    return [replace(value, name=name) for value, name in zip(kinds, names, strict=True)]


def exported(part: fx.GraphModule, example: Sequence[Any]) -> Joined | None:
    """A part of torch's as torch's exporter writes it; None where it gives no tensor that it computes (sizes alone, checks of
    shapes). Raises whatever the exporter raises."""
    arguments = dict(zip((node for node in part.graph.nodes if node.op == "placeholder"), example, strict=True))
    numbers = {node: value for node, value in arguments.items() if not isinstance(value, Tensor)}
    tensors = {node: value for node, value in arguments.items() if isinstance(value, Tensor)}
    read = [node for node in output_node(part).all_input_nodes if node.op != "placeholder"]
    with _quiet(), torch.no_grad():
        values = dict(zip(read, _only(part, read, numbers)(*tensors.values()), strict=True))
    numbers |= {node: value for node, value in values.items() if isinstance(value, int | float)}
    leaves = {node: tree_leaves(value) for node, value in values.items() if node not in numbers}  # one may give several
    if not leaves:
        return None
    with _quiet(), _operators_read_once(), torch.no_grad():
        alone = _only(part, list(leaves), numbers)
        made = torch.onnx.export(torch.export.export(alone, tuple(tensors.values())), dynamo=True, verbose=False)
        assert made is not None
        model = _without_weights(made)
    names = (one.name for one in model.proto.graph.output)
    return Joined(model, dict(zip(tensors, (one.name for one in model.proto.graph.input), strict=True)),
                  {node: tuple(None if leaf is None else next(names) for leaf in found) for node, found in leaves.items()},
                  numbers)  # fmt: skip


def _without_weights(made: Any) -> Model:
    """What the exporter made, its large weights left to torch.

    The exporter's rules keep the last graph that they saw, for as long as the process lives, and the graph's inputs keep each
    value that once was among them. So the graph lets go of its weights, those included that it has no longer.
    """
    from onnxscript import ir

    graph, weights = made.model.graph, dict[str, Tensor]()
    for name, value in graph.initializers.items():
        stored = value.const_value
        raw = getattr(stored, "raw", None)
        if stored is None or stored.nbytes < SMALL_BYTES or not (isinstance(raw, Tensor) or _is_plain(raw)):
            continue
        weights[name] = raw.detach() if isinstance(raw, Tensor) else torch.from_numpy(raw)
        value.const_value = ir.ExternalTensor(name, 0, stored.nbytes, stored.dtype, shape=stored.shape, name=name)
    model = Model(made.model_proto, weights)
    for value in (*graph.initializers.values(), *getattr(graph.inputs, "_ref_counter", ())):
        value.const_value = None
    return model


def _is_plain(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "fiu"


def output_node(part: fx.GraphModule) -> fx.Node:
    """The node whose arguments are what the part returns."""
    found: fx.Node = next(iter(reversed(part.graph.nodes)))
    return found


def _only(part: fx.GraphModule, read: Sequence[fx.Node], numbers: Mapping[fx.Node, Any]) -> fx.GraphModule:
    """The part that returns these nodes' values in a row; where `numbers` has a node, its number stands instead."""
    graph = fx.Graph()
    copied: dict[fx.Node, Any] = dict(numbers)
    graph.graph_copy(part.graph, copied)
    graph.output(tuple(copied[node] for node in read))
    return fx.GraphModule(part, graph)


def _renamed(nodes: Sequence[Any], names: dict[str, str], prefix: str) -> list[Any]:
    """Copies of the nodes in which `names` stand in place of the file's own; a name that is not among them gets one there."""
    found = []
    for k, node in enumerate(nodes):
        copy = type(node)()
        copy.CopyFrom(node)
        for name in node.output:
            if name:
                names.setdefault(name, prefix + name)
        _rename(copy, names)
        copy.name = f"{prefix}{k}/{node.name}"  # onnxruntime wants no name twice
        found.append(copy)
    return found


def _rename(node: Any, names: Mapping[str, str]) -> None:
    for texts in (node.input, node.output):
        for k, name in enumerate(texts):
            texts[k] = names.get(name, name)
    for graph in subgraphs(node):
        own = {one.name for one in (*graph.input, *graph.initializer)} | {name for one in graph.node for name in one.output}
        outer = {name: to for name, to in names.items() if name not in own}
        for inner in graph.node:
            _rename(inner, outer)
        for one in graph.output:
            one.name = outer.get(one.name, one.name)


@contextmanager
def _operators_read_once() -> Iterator[None]:
    """torch reads the source of all operators in ONNX again for each part, which takes longer than the rest of it."""
    where = getattr(import_module("torch.onnx._internal.exporter._registration"), "onnxscript_apis", None)
    if not hasattr(where, "get_torchlib_ops"):  # of another release of torch
        yield
        return
    operators = _operators(where)
    with patch.object(where, "get_torchlib_ops", lambda: operators):
        yield


@cache
def _operators(where: Any) -> Any:
    return where.get_torchlib_ops()


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells its developers much that a user can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
