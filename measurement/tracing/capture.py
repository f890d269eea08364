"""A network as a graph of operations: by torch.fx, or by torch.export where fx cannot follow.

torch.fx runs the network's Python once with stand-ins for tensors and keeps the modules of torch.nn whole.
torch.export runs it with shapes only, follows control flow over shapes, and yields a graph without mutations.
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any, TextIO, cast

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten

from measurement.tracing.calls import ONE, Call
from measurement.tracing.grouping import snake_case
from measurement.tracing.opaque import Keep, KeepingTracer

if TYPE_CHECKING:
    from torch.export import ExportedProgram  # torch.export is slow to import, and needed where fx fails only


_SAME_BATCH = re.compile(r"L?\S*\.size\(\)\[0\] == L?\S*\.size\(\)\[0\]")


class _Tracer(KeepingTracer):
    """Gives the forward one stand-in for each tensor of a call, in the places where the call has them."""

    def __init__(self, call: Call, keep: Keep) -> None:
        super().__init__(keep)
        self._call = call

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """The forward without arguments: those that it gets are bound to it."""
        del is_module, concrete_args
        plain = list(inspect.signature(root_fn).parameters)[1:2] if self._call.signature is None else []
        names = plain or self._call.names
        args, options = self._call.put([self.create_proxy("placeholder", _identifier(name), (), {}) for name in names])
        return functools.wraps(root_fn)(lambda: root_fn(self.root, *args, **options)), []


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def capture_with_fx(module: nn.Module, call: Call = ONE, keep: Keep | None = None) -> fx.GraphModule:
    """The graph that torch.fx records.

    Errors that the network's own code raises on stand-ins are raised, except those of parts that may stay whole (`keep`).
    """
    graph = _Tracer(call, keep or Keep()).trace(module)
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


def capture_with_export(module: nn.Module, *example: Tensor, call: Call = ONE) -> fx.GraphModule:
    """The functional graph that torch.export records for inputs of exactly the example's shapes.

    Raises ValueError if the network changes its own buffers, and any error of torch.export.
    """
    return _unlifted(_exported(module, example, call, None))


def capture_batches_with_export(module: nn.Module, *example: Tensor, call: Call = ONE) -> fx.GraphModule:
    """The graph that torch.export records for inputs of any batch of two or more; all other sizes are those of the example.

    The batch is dimension 0, and is the same for all inputs. Raises ValueError if the graph would be valid for some batches only.
    """
    batch = batch_of(example)
    if batch is None:
        raise ValueError("its inputs have no batch in common")
    pair = [torch.cat([t, t]) if batch == 1 and t.dim() else t for t in example]  # 1 would be taken for a constant
    program = _exported(module, pair, call, [{0: torch.export.Dim.AUTO} if t.dim() else None for t in example])
    ranges = program.range_constraints.values()
    # code of torch's own that checks further conditions on shapes; absent in older versions, where they are unknown
    conditions = [code for code in getattr(program, "_guards_code", ["unknown"]) if not _SAME_BATCH.fullmatch(str(code))]
    if not ranges or any(found.lower > 2 or str(found.upper) != "int_oo" for found in ranges) or conditions:
        raise ValueError("the graph depends on the batch")
    return _unlifted(program)


def batch_of(example: Sequence[Tensor]) -> int | None:
    """The size of dimension 0, if it is the same for all tensors with dimensions; None if sizes differ or there is none."""
    sizes = {t.shape[0] for t in example if t.dim()}
    return sizes.pop() if len(sizes) == 1 else None


def _exported(module: nn.Module, example: Sequence[Tensor], call: Call, dynamic: Sequence[Any] | None) -> ExportedProgram:
    args, options = call.put(example)
    shapes: Any = None
    if dynamic is not None:
        shapes = (dynamic[0],) if call.signature is None else _like(call.by_parameter(example), iter(dynamic))
    program: ExportedProgram = torch.export.export(module, args, options, dynamic_shapes=shapes, strict=False)
    program = program.run_decompositions({})
    if program.graph_signature.buffers_to_mutate:
        changed = ", ".join(sorted(program.graph_signature.buffers_to_mutate.values()))
        raise ValueError(f"the network changes its own buffers ({changed}) in eval mode")
    return program


def _like(arguments: Any, found: Iterator[Any]) -> Any:
    """The same structure, with the next item of `found` in place of each tensor, and None in place of each constant."""
    if isinstance(arguments, dict):
        return {key: _like(value, found) for key, value in arguments.items()}
    if isinstance(arguments, list | tuple):
        return type(arguments)(_like(value, found) for value in arguments)
    return next(found) if isinstance(arguments, Tensor) else None


def _unlifted(program: ExportedProgram) -> fx.GraphModule:
    """The program as a module that reads its parameters by name, without torch's checks of the input."""
    whole = program.module()
    leaves, _ = tree_flatten(program.example_inputs)
    constants = {node for node, leaf in zip(whole.graph.find_nodes(op="placeholder"), leaves, strict=True)
                 if not isinstance(leaf, Tensor)}  # fmt: skip
    graph = fx.Graph()
    env: dict[fx.Node, Any] = {}
    for node in whole.graph.nodes:
        if str(node.target) == "_guards_fn" or (node.op == "get_attr" and not node.users) or node in constants:
            continue
        if node.target is torch.ops.aten.copy_.default and not node.users:
            continue  # writes the new value back to the caller's input, which this project leaves alone
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            continue  # of what a conversion takes: its device too, which is another one where shapes alone were traced
        env[node] = graph.node_copy(node, env.__getitem__)
    return fx.GraphModule(whole, graph)


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
    """A stream and a filter for logs that drop the output of this thread, and pass that of all others."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._silent = stream, threading.get_ident()
        self.filter = lambda record: record.thread != self._silent

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._silent else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def attribute(module: nn.Module, target: str) -> Any:
    """The object at a dotted path in a module."""
    found: Any = module
    for part in target.split("."):
        found = getattr(found, part)
    return found
