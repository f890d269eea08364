"""Parts of a network that stay whole: those that somebody named, and the smallest parts that torch.fx cannot follow.

Such a part is one layer. Its own code runs unchanged, so it may do anything with the numbers in its tensors. Only its inputs and
its outputs must be tensors and plain numbers.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import Scope, ScopeContextManager
from torch.utils._pytree import tree_leaves

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line
from measurement.decoders import Stage
from measurement.onnx_files.operators import Operator
from measurement.tracing.aliasing import Slot
from measurement.tracing.grouping import TracedLayer

Reach = Literal["nothing", "layers", "parts"]
"""Which parts may stay whole if torch.fx cannot follow them: none; modules with weights and without parts of their own, like the
layers of torch.nn; or any part smaller than the network."""
_Seen = TypeVar("_Seen")
NAMED = "it was named"
"""The reason that is given for a part that somebody named."""
_COUNTS = ("chunks", "split_size", "split_size_or_sections")
"""The arguments that give the number or the sizes of pieces."""
_PLAIN = (Slot, Tensor, int, float, str, bytes, complex, type(None))


def is_of_torch(kind: type) -> bool:
    """Whether a class is one of torch's own layers."""
    return kind.__module__.startswith(("torch.nn.", "torch.ao.nn.")) and kind is not nn.Module


@dataclass
class Keep:
    """The parts that stay whole, by their paths.

    `named` were chosen by somebody. While a network is traced, `whole` gets the parts that could not be followed, each with the
    reason.
    """

    named: frozenset[str] = frozenset()
    reach: Reach = "nothing"
    whole: dict[str, str] = field(default_factory=dict)

    def may(self, part: nn.Module, path: str) -> bool:
        """Whether this part may stay whole because it cannot be followed."""
        if self.reach == "layers":
            return not part._modules and (bool(part._parameters) or any(is_of_torch(kind) for kind in type(part).__mro__))
        return self.reach == "parts" and bool(path)


class KeepingTracer(fx.Tracer):
    """A tracer like that of torch.fx. If the code of a part fails on stand-ins, the part becomes one call in the graph.

    While torch.fx traces, it changes the behaviour of all modules in every thread. This tracer leaves modules that run in other
    threads as they are.
    """

    def __init__(self, keep: Keep) -> None:
        super().__init__(param_shapes_constant=True)
        self.keep = keep
        self._thread = threading.get_ident()

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        """A module's parameter: a stand-in for it, in this thread."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_arg(self, a: Any) -> Any:
        """A value as an argument in the graph. Named tuples stand there as tuples do: torch.fx would have a call make each."""
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return type(a)(*(self.create_arg(item) for item in a))
        return super().create_arg(a)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one layer: a leaf of torch.fx, a named part, an operator of a file, or a stage of a decoder."""
        is_leaf = module_qualified_name in self.keep.named or isinstance(m, Operator | Stage)
        return is_leaf or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """The stand-in for the value of a node."""
        return _StandIn(node, self)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """The pieces of a tensor, if the call gives their number. torch.fx follows no other loop over an unknown value."""
        count = _pieces(obj.node)
        if count is None:
            found: Iterator[Any] = super().iter(obj)
            return found
        return (operator.getitem(obj, k) for k in range(count))

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value that the part returns: from its own code, or, if that cannot be followed, a stand-in for it."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        if path in self.keep.named:
            self.keep.whole.setdefault(path, NAMED)
        stack, last = list(self.module_stack.items()), next(iter(reversed(self.graph.nodes)), None)
        try:
            return super().call_module(m, forward, args, kwargs)
        except THEIR_ERRORS as error:  # code that cannot be followed raises anything
            if not self.keep.may(m, path) or path in self.keep.named:
                raise
            reason = first_line(error)
        self._forget(last)
        self.module_stack.clear()
        self.module_stack.update(stack)
        with ScopeContextManager(self.scope, Scope(path, type(m))):
            self.module_stack[path] = (path, type(m))
            made = self.create_proxy("call_module", path, args, kwargs)
            self.module_stack.popitem(last=True)
        if self.keep.reach == "parts":
            self.keep.whole.setdefault(path, reason)
        for inner in [inner for inner in self.keep.whole if inner.startswith(f"{path}.")]:
            del self.keep.whole[inner]
        return made

    def _forget(self, last: fx.Node | None) -> None:
        """Remove the nodes after this one, except parameters, which the tracer uses again."""
        for node in reversed(list(self.graph.nodes)):
            if node is last:
                break
            if node.op not in {"get_attr", "placeholder"}:
                self.graph.erase_node(node)


class _StandIn(fx.Proxy):
    """A stand-in with a length if it stands for a known number of pieces, because `list` needs the length."""

    def __len__(self) -> int:
        count = _pieces(self.node)
        return super().__len__() if count is None else count


def _pieces(node: fx.Node) -> int | None:
    """The number of pieces into which the node's call cuts a tensor; None if it depends on the shape, or for any other call."""
    if node.target not in {"chunk", torch.chunk, "split", torch.split}:
        return None
    said = node.args[1] if len(node.args) > 1 else next((node.kwargs[key] for key in _COUNTS if key in node.kwargs), None)
    if isinstance(said, tuple | list):
        return len(said)
    return said if isinstance(said, int) and node.target in {"chunk", torch.chunk} else None


class HiddenValueError(Exception):
    """A part that stays whole returned an object that may hide tensors. `path` names the part."""

    def __init__(self, path: str, value: object) -> None:
        self.path = path
        super().__init__(f"{path} returns a {type(value).__name__}, which cannot stand between two layers")


def check_plain(graph_module: fx.GraphModule, values: Mapping[fx.Node, Any]) -> None:
    """HiddenValueError if a part that is one call returned an object that may hide tensors."""
    for node, value in values.items():
        if node.op == "call_module" and not is_of_torch(type(graph_module.get_submodule(str(node.target)))):
            for leaf in tree_leaves(value):
                if not isinstance(leaf, _PLAIN):
                    raise HiddenValueError(str(node.target), leaf)


def with_parents(capture: Callable[[], tuple[fx.GraphModule, _Seen]], keep: Keep) -> tuple[fx.GraphModule, _Seen]:
    """The result of `capture`. If a part returns an object that may hide tensors, the part around it stays whole instead."""
    while True:
        try:
            return capture()
        except HiddenValueError as error:
            around = error.path.rpartition(".")[0]
            if keep.reach != "parts" or not around or around in keep.named:
                raise
            keep.named |= {around}
            keep.whole.clear()
            keep.whole[around] = str(error)


def checked_names(module: nn.Module, opaque: Collection[str], name: str) -> frozenset[str]:
    """The paths of parts that shall stay whole; InputError for one that the network does not have."""
    parts = dict(module.named_modules(remove_duplicate=False))
    for path in opaque:
        if not path or path not in parts:
            near = ", ".join(key for key, _ in module.named_children())
            raise InputError(name, f"has no part {path!r} to keep whole; its parts are {near or 'none'}")
    return frozenset(opaque)


def whole_layers(layers: Iterable[TracedLayer], whole: Mapping[str, str]) -> dict[str, str]:
    """The layers that are parts kept whole, by name, each with the reason."""
    return {layer.name: whole[str(node.target)] for layer in layers for node in layer.nodes
            if node.op == "call_module" and str(node.target) in whole}  # fmt: skip
