"""A network as a graph of operations: by torch.fx, or by torch.export where fx cannot follow.

torch.fx runs the network's Python once with stand-ins for tensors and keeps the modules of torch.nn whole.
torch.export runs it with shapes only, follows control flow over shapes, and yields a graph without mutations.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards every attribute of every submodule is what it was.

    A forward that stores tensors on its module would otherwise keep fx's stand-ins.
    """
    saved = []
    for part in module.modules():
        attributes = {k: dict(v) if k in _TABLES else v for k, v in vars(part).items()}
        saved.append((part, attributes))
    module.eval()
    try:
        yield
    finally:
        for part, attributes in saved:
            for table in _TABLES:
                live = vars(part).get(table)
                if live is not None and table in attributes:  # restored in place: others may hold this very dict
                    live.clear()
                    live.update(attributes[table])
                    attributes[table] = live
            vars(part).clear()
            vars(part).update(attributes)


_TABLES = ("_parameters", "_buffers", "_modules")


def capture_with_fx(module: nn.Module) -> fx.GraphModule:
    """The graph that torch.fx records; whatever the network's own code raises on stand-ins comes through."""
    defaults = _optional_arguments(module)
    graph = fx.Tracer(param_shapes_constant=True).trace(module, concrete_args=defaults or None)
    _drop_arguments(graph, keep=1)
    targets = {node.target for node in graph.nodes if node.op in {"call_module", "get_attr"}}
    return fx.GraphModule({str(target): attribute(module, str(target)) for target in targets}, graph)


def capture_with_export(module: nn.Module, example: Tensor) -> fx.GraphModule:
    """The functional graph that torch.export records for inputs of exactly the example's shape.

    Raises ValueError where the network changes its own buffers; what torch.export itself raises comes through.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns of its own internals
        program = torch.export.export(module, (example,), strict=False).run_decompositions({})
    if program.graph_signature.buffers_to_mutate:
        changed = ", ".join(sorted(program.graph_signature.buffers_to_mutate.values()))
        raise ValueError(f"the network changes its own buffers ({changed}) in eval mode")
    whole = program.module()
    graph = fx.Graph()
    env: dict[fx.Node, Any] = {}
    for node in whole.graph.nodes:
        if str(node.target) == "_guards_fn" or (node.op == "get_attr" and not node.users):
            continue
        if node.op == "call_function" and not node.users and node.target is torch.ops.aten.copy_.default:
            continue  # writes the new value back to the caller's input, which this project leaves alone
        env[node] = graph.node_copy(node, env.__getitem__)
    return fx.GraphModule(whole, graph)


def _optional_arguments(module: nn.Module) -> dict[str, Any]:
    """The forward's further arguments at their plain defaults, which `if mask is not None` and the like may test."""
    parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    plain = bool | int | float | str | None
    return {p.name: p.default for p in parameters if isinstance(p.default, plain)}


def _drop_arguments(graph: fx.Graph, keep: int) -> None:
    """Remove the placeholders of arguments with a known value, and fx's checks that they have it."""
    extra = {node for node in graph.nodes if node.op == "placeholder"}
    extra -= set(list(graph.find_nodes(op="placeholder"))[:keep])
    for node in graph.nodes:
        if extra.intersection(node.all_input_nodes) and node.op != "output":
            extra.add(node)
    for node in reversed(list(graph.nodes)):
        if node in extra and not node.users:
            graph.erase_node(node)


def attribute(module: nn.Module, target: str) -> Any:
    """What stands under a dotted path in a module."""
    found: Any = module
    for part in target.split("."):
        found = getattr(found, part)
    return found
