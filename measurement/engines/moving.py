"""Part of a network on another device: its graph names that device, its weights are copied there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate
from torch.utils._pytree import tree_map_only

_TABLES = ("_parameters", "_buffers")
_CPU = torch.device("cpu")


def moved(part: fx.GraphModule, device: torch.device, dtype: torch.dtype | None = None) -> fx.GraphModule:
    """The part with every tensor on `device`, numbers with fractions as `dtype` (None: as they are). Shared tensors stay shared.

    Where the graph names the processor as the place of a new tensor, the copy names `device`. Raises what torch raises for
    tensors that cannot be there.
    """
    root = _moved_copy(part, device, dtype, {}, {})
    graph = fx.Graph()
    graph.output(graph.graph_copy(part.graph, {}))
    for node in graph.nodes:
        node.args = map_aggregate(node.args, lambda value: _renamed(value, device))
        node.kwargs = map_aggregate(node.kwargs, lambda value: _renamed(value, device))
        if node.op == "call_method" and node.target == "cpu":
            node.target, node.args = "to", (node.args[0], device)
    return fx.GraphModule(root, graph)


def to_device(value: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """Tensors in a nested structure on `device`, numbers with fractions as `dtype`."""
    return tree_map_only(Tensor, lambda tensor: _there(tensor, device, dtype), value)


def _renamed(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.device):
        return device if value == _CPU else value
    return str(device) if value == "cpu" else value


def _there(tensor: Tensor, device: torch.device, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(device=device, dtype=dtype if dtype is not None and tensor.is_floating_point() else None)


def _moved_copy(module: nn.Module, device: torch.device, dtype: torch.dtype | None, seen: dict[int, nn.Module],
                tensors: dict[int, Tensor]) -> nn.Module:  # fmt: skip
    """The module with tables of its own, whose tensors are there; attributes that are tensors likewise."""
    if id(module) in seen:
        return seen[id(module)]
    is_graph = isinstance(module, fx.GraphModule)
    copy = nn.Module() if is_graph else module.__class__.__new__(module.__class__)
    seen[id(module)] = copy
    if not is_graph:
        copy.__dict__.update(vars(module))

    def there(tensor: Tensor) -> Tensor:
        if id(tensor) not in tensors:
            found = _there(tensor.detach(), device, dtype)
            tensors[id(tensor)] = nn.Parameter(found, requires_grad=False) if isinstance(tensor, nn.Parameter) else found
        return tensors[id(tensor)]

    for table in _TABLES:
        copy.__dict__[table] = {name: None if t is None else there(t) for name, t in vars(module)[table].items()}
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            copy.__dict__[name] = there(value)
    copy.__dict__["_modules"] = {
        name: None if child is None else _child(child, device, dtype, seen, tensors)
        for name, child in vars(module)["_modules"].items()
    }  # fmt: skip
    copy.__dict__["training"] = False
    return copy


def _child(child: nn.Module, device: torch.device, dtype: torch.dtype | None, seen: dict[int, nn.Module],
           tensors: dict[int, Tensor]) -> nn.Module:  # fmt: skip
    if isinstance(child, fx.GraphModule) and id(child) not in seen:
        seen[id(child)] = moved(child, device, dtype)
    return _moved_copy(child, device, dtype, seen, tensors)
