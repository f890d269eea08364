"""A graph of torch.export as a JSON document, and the graph again: read, it need not be made.

A document holds names of operations, paths of weights and small constants, and no code. Whoever reads one holds the graph against
the network, as one that was just made.
"""

from __future__ import annotations

import base64
import math
import operator
from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from measurement.tracing.capture import attribute

Document: TypeAlias = dict[str, Any]
MOST_CONSTANT_BYTES = 2**22
"""Larger constants are not kept, nor is their graph."""
_ENUMS = (torch.dtype, torch.layout, torch.memory_format)
_PYTHON_NAMES = "add and_ eq floordiv ge getitem gt le lt mod mul ne neg or_ pow sub truediv"
_PYTHON = {name: getattr(operator, name) for name in _PYTHON_NAMES.split()}


def as_document(graph_module: fx.GraphModule, module: nn.Module) -> Document | None:
    """The graph of `module` as JSON values; None if it holds what has no place in them."""
    constants: dict[str, Any] = {}
    nodes = []
    try:
        for node in graph_module.graph.nodes:
            target = str(node.target)
            if node.op == "get_attr":
                if not _is_its_own(graph_module, module, target):
                    constants[target] = _constant(attribute(graph_module, target))
            elif node.op == "call_function":
                target = _name_of(node.target)
            elif node.op not in {"placeholder", "output"}:
                return None
            stack = [[key, str(path), kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"]
                     for key, (path, kind) in (node.meta.get("nn_module_stack") or {}).items()]  # fmt: skip
            nodes.append([node.op, node.name, target, _value(node.args), _value(node.kwargs), stack])
    except (TypeError, AttributeError):
        return None
    if sum(len(text) for _, _, text in constants.values()) > MOST_CONSTANT_BYTES:
        return None
    return {"nodes": nodes, "constants": constants}


def from_document(document: Mapping[str, Any], module: nn.Module) -> fx.GraphModule:
    """The graph over the parameters and buffers of `module`. ValueError for a document of something else."""
    try:
        return _graph_of(document, module)
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise ValueError(f"no graph of this network: {error}") from error


def _graph_of(document: Mapping[str, Any], module: nn.Module) -> fx.GraphModule:
    attributes = {name: _tensor(*constant) for name, constant in document["constants"].items()}
    graph, made = fx.Graph(), dict[str, fx.Node]()
    for op, name, target, args, kwargs, stack in document["nodes"]:
        if op not in {"placeholder", "get_attr", "call_function", "output"} or name in made:
            raise ValueError(f"a node {name!r} of the kind {op!r}")
        if op == "get_attr" and target not in attributes:
            attributes[target] = _numbers(attribute(module, target))
        node = graph.create_node(op, _operation(target) if op == "call_function" else target, _again(args, made),
                                 _again(kwargs, made), name)  # fmt: skip
        if stack:
            node.meta["nn_module_stack"] = {key: (path, kind) for key, path, kind in stack}
        made[name] = node
    return fx.GraphModule(attributes, graph)


def _is_its_own(graph_module: fx.GraphModule, module: nn.Module, target: str) -> bool:
    try:
        return attribute(module, target) is attribute(graph_module, target)
    except AttributeError:
        return False


def _numbers(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"a {type(value).__name__} in place of a tensor")
    return value


def _constant(value: Any) -> list[Any]:
    """A small tensor in dense memory: dtype, shape, bytes. TypeError for another thing."""
    if not isinstance(value, Tensor) or value.is_meta or value.layout is not torch.strided or value.is_quantized:
        raise TypeError("no constant that can be kept")
    if value.numel() * value.element_size() > MOST_CONSTANT_BYTES:
        raise TypeError("a large constant")
    data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return [str(value.dtype), list(value.shape), base64.b64encode(data).decode()]


def _tensor(dtype: str, shape: list[int], text: str) -> Tensor:
    data = bytearray(base64.b64decode(text, validate=True))
    kind = _enum(dtype)
    return torch.frombuffer(data, dtype=kind).reshape(shape) if data else torch.empty(shape, dtype=kind)


def _name_of(target: Any) -> str:
    if isinstance(target, OpOverload) and target.namespace == "aten":
        return str(target)
    name = getattr(target, "__name__", "")
    if _PYTHON.get(name) is not target:
        raise TypeError(f"no operation that can be kept: {target}")
    return f"python.{name}"


def _operation(name: str) -> Any:
    """An operation of torch's own, or one of Python's on numbers: there are no others."""
    space, word, *overload = name.split(".")
    if space == "python":
        return _PYTHON[word]
    found = getattr(getattr(torch.ops.aten, word), overload[0]) if space == "aten" and len(overload) == 1 else None
    if not isinstance(found, OpOverload):
        raise TypeError(f"no operation {name!r}")
    return found


def _value(value: Any) -> Any:
    """An argument in JSON values; what JSON does not have is an object with one key. TypeError for anything else."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, fx.Node):
        return {"node": value.name}
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_value(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_value(key), _value(item)] for key, item in value.items()]}
    if isinstance(value, slice):
        return {"slice": [_value(value.start), _value(value.stop), _value(value.step)]}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, _ENUMS):
        return {"torch": str(value)}
    raise TypeError(f"no argument that can be kept: {type(value).__name__}")


def _again(value: Any, made: Mapping[str, fx.Node]) -> Any:
    if isinstance(value, list):
        return [_again(item, made) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "node":
        return made[held]
    if kind == "tuple":
        return tuple(_again(item, made) for item in held)
    if kind == "dict":
        return {_again(key, made): _again(item, made) for key, item in held}
    if kind == "slice":
        return slice(*(_again(item, made) for item in held))
    if kind == "float":
        return float(held)
    return torch.device(held) if kind == "device" else _enum(held)


def _enum(name: str) -> Any:
    found = getattr(torch, name.removeprefix("torch."))
    if not isinstance(found, _ENUMS):
        raise TypeError(f"nothing of torch's: {name!r}")
    return found
