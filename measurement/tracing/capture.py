"""A network as a graph of operations: by torch.fx, or by torch.export where fx cannot follow.

torch.fx runs the network's Python once with stand-ins for tensors and keeps the modules of torch.nn whole.
torch.export runs it with shapes only, follows control flow over shapes, and yields a graph without mutations.
"""

from __future__ import annotations

import inspect
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any, TextIO, cast

import torch
from torch import Tensor, fx, nn

from measurement.tracing.grouping import snake_case

if TYPE_CHECKING:
    from torch.export import ExportedProgram  # torch.export is slow to import, and needed where fx fails only


def capture_with_fx(module: nn.Module) -> fx.GraphModule:
    """The graph that torch.fx records; whatever the network's own code raises on stand-ins comes through."""
    defaults = _optional_arguments(module)
    graph = fx.Tracer(param_shapes_constant=True).trace(module, concrete_args=defaults or None)
    _drop_arguments(graph, keep=1)
    targets = {node.target for node in graph.nodes if node.op in {"call_module", "get_attr"}}
    return fx.GraphModule({str(target): attribute(module, str(target)) for target in targets}, graph)


def is_module_of_torch(module: nn.Module) -> bool:
    """Whether torch.fx would keep it whole inside of a network."""
    return type(module).__module__.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(module, nn.Sequential)


def capture_whole_with_fx(module: nn.Module) -> fx.GraphModule:
    """The graph of one call of a module of torch's own, which becomes one layer as it would inside of a network."""
    around = nn.Module()
    around.add_module(name := snake_case(type(module).__name__), module)
    graph = fx.Graph()
    graph.output(graph.call_module(name, (graph.placeholder("input"),)))
    return fx.GraphModule(around, graph)


def capture_with_export(module: nn.Module, example: Tensor) -> fx.GraphModule:
    """The functional graph that torch.export records for inputs of exactly the example's shape.

    Raises ValueError where the network changes its own buffers; what torch.export itself raises comes through.
    """
    return _unlifted(_exported(module, example, None))


def capture_batches_with_export(module: nn.Module, example: Tensor) -> fx.GraphModule:
    """The same for inputs of any batch (dimension 0) of two or more, otherwise of the example's shape.

    Raises ValueError where the graph would stand for some batches only.
    """
    pair = torch.cat([example, example]) if example.shape[0] == 1 else example  # 1 would be taken for a constant
    program = _exported(module, pair, {0: torch.export.Dim.AUTO})
    ranges = list(program.range_constraints.values())
    # code of torch's own that checks further conditions on shapes; absent in older versions, where they are unknown
    conditions = getattr(program, "_guards_code", ["unknown"])
    if len(ranges) != 1 or ranges[0].lower > 2 or str(ranges[0].upper) != "int_oo" or conditions:
        raise ValueError("the graph depends on the batch")
    return _unlifted(program)


def _exported(module: nn.Module, example: Tensor, dynamic: dict[int, Any] | None) -> ExportedProgram:
    shapes = None if dynamic is None else (dynamic,)
    program: ExportedProgram = torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    program = program.run_decompositions({})
    if program.graph_signature.buffers_to_mutate:
        changed = ", ".join(sorted(program.graph_signature.buffers_to_mutate.values()))
        raise ValueError(f"the network changes its own buffers ({changed}) in eval mode")
    return program


def _unlifted(program: ExportedProgram) -> fx.GraphModule:
    """The program as a module that reads its parameters by name, without torch's checks of the input."""
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


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's tracers log, warn of and print in this thread: it is for their developers, a user can do nothing."""
    handlers, others = logging.getLogger("torch").handlers, _Others(sys.stderr)
    for handler in handlers:
        handler.addFilter(others.filter)
    try:
        with warnings.catch_warnings(), redirect_stderr(cast(TextIO, others)):
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(others.filter)


class _Others:
    """A stream for what other threads write, and a filter for what they log; this thread's goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._silent = stream, threading.get_ident()
        self.filter = lambda record: record.thread != self._silent

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._silent else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def attribute(module: nn.Module, target: str) -> Any:
    """What stands under a dotted path in a module."""
    found: Any = module
    for part in target.split("."):
        found = getattr(found, part)
    return found
