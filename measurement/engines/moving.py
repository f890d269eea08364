"""A part of a network on another device: its graph names that device, and its weights are copied there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

_TABLES = ("_parameters", "_buffers")
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Kept:
    """How tensors are kept on a device.

    - `dtype`: that of floating-point tensors; None: they keep their own.
    - `channels_last`: whether tensors of four dimensions lie with the second dimension last.
    """

    device: torch.device
    dtype: torch.dtype | None = None
    channels_last: bool = False

    def there(self, tensor: Tensor) -> Tensor:
        """The tensor on the device."""
        lies = torch.channels_last if self.channels_last and tensor.dim() == 4 else torch.preserve_format
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None, non_blocking=True, memory_format=lies)

    @property
    def back(self) -> torch.memory_format:
        """The memory order of a tensor that is copied back."""
        return torch.contiguous_format if self.channels_last else torch.preserve_format


def moved(part: fx.GraphModule, kept: Kept) -> fx.GraphModule:
    """A copy of the part with all its tensors kept so. Tensors that are shared stay shared.

    If the graph makes a tensor on the processor, the copy makes it on the device. Raises what torch raises for tensors that cannot
    be there.
    """
    device = kept.device
    root = _moved_copy(part, kept, {}, {})
    graph = fx.Graph()
    graph.output(graph.graph_copy(part.graph, {}))
    for node in graph.nodes:
        node.args = map_aggregate(node.args, lambda value: _renamed(value, device))
        node.kwargs = map_aggregate(node.kwargs, lambda value: _renamed(value, device))
        if node.op == "call_method" and node.target == "cpu":
            node.target, node.args = "to", (node.args[0], device)
    return fx.GraphModule(root, graph)


def _renamed(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.device):
        return device if value == _CPU else value
    return str(device) if value == "cpu" else value


def _moved_copy(module: nn.Module, kept: Kept, seen: dict[int, nn.Module], tensors: dict[int, Tensor]) -> nn.Module:
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
            found = kept.there(tensor.detach())
            tensors[id(tensor)] = nn.Parameter(found, requires_grad=False) if isinstance(tensor, nn.Parameter) else found
        return tensors[id(tensor)]

    for table in _TABLES:
        copy.__dict__[table] = {name: None if t is None else there(t) for name, t in vars(module)[table].items()}
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            copy.__dict__[name] = there(value)
    copy.__dict__["_modules"] = {
        name: None if child is None else _child(child, kept, seen, tensors)
        for name, child in vars(module)["_modules"].items()
    }  # fmt: skip
    copy.__dict__["training"] = False
    return copy


def _child(child: nn.Module, kept: Kept, seen: dict[int, nn.Module], tensors: dict[int, Tensor]) -> nn.Module:
    if isinstance(child, fx.GraphModule) and id(child) not in seen:
        seen[id(child)] = moved(child, kept)
    return _moved_copy(child, kept, seen, tensors)
