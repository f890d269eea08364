"""onnxruntime on the processor. A part becomes one ONNX model; onnxruntime joins and reorders its operations."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from torch import fx, nn
from torch.utils._pytree import tree_map_only

from lmos_opt.errors import InputError, first_line, let_interruption_through
from measurement.engines import Engine, Loaded, seconds_of_calls
from measurement.onnx_files.joining import Joined, exported, joined, output_node
from measurement.onnx_files.operators import Operator, run
from measurement.processor import cpu_name


class OnnxruntimeCpu(Engine):
    """Computes with as many threads as torch has here. The last bits of its outputs differ from torch's."""

    name: ClassVar[str] = "onnxruntime:cpu"
    has_own_weights: ClassVar[bool] = True

    def check(self) -> None:
        """Raises InputError if a package is missing."""
        missing = [package for package in ("onnxruntime", "onnx", "onnxscript") if find_spec(package) is None]
        if missing:
            raise InputError(self.name, f"{missing[0]} is not installed: pip install 'lmos[export]'")

    @property
    def device(self) -> str:
        """The processor's model."""
        return cpu_name()

    def prepare(self, part: fx.GraphModule) -> None:
        """Import onnxruntime, and torch's exporter if the part is one of torch's."""
        layers = [part.get_submodule(str(node.target)) for node in part.graph.nodes if node.op == "call_module"]
        if not layers or not all(isinstance(layer, Operator) for layer in layers):
            self.load(fx.symbolic_trace(nn.ReLU()), (torch.zeros(1),))

    def begun(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """The part as a session of onnxruntime, after one run. A part that only passes tensors on, or cuts them, is not converted.
        """
        try:
            found = joined(part, example) or exported(part, example)
            loaded: Loaded = _AsItIs(part) if found is None else _InSession(part, found)
            loaded(*example)
        except Exception as error:
            let_interruption_through(error)
            raise InputError(self.name, f"the network cannot be computed there: {first_line(_first_of(error))}") from error
        return loaded

    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """The time (s) of each call, by the clock."""
        return seconds_of_calls(function, repeats)


class _InSession(Loaded):
    """The part's arguments in, its nested result out, as the part itself would give it.

    The session has the weights in a form of its own. Nothing here holds the part, whose own weights can go.
    """

    def __init__(self, part: fx.GraphModule, found: Joined) -> None:
        self._arguments = [node.name for node in part.graph.nodes if node.op == "placeholder"]
        self._result = tree_map_only(fx.Node, lambda node: _Named(node.name), output_node(part).args[0])
        self._inputs = {node.name: name for node, name in found.inputs.items()}
        self._numbers = {node.name: number for node, number in found.numbers.items()}
        self._session = found.model.session()
        order = {one.name: k for k, one in enumerate(self._session.get_outputs())}
        self._outputs = {node.name: [None if name is None else order[name] for name in names]
                         for node, names in found.outputs.items()}  # fmt: skip

    def __call__(self, *args: Any) -> Any:
        given = dict(zip(self._arguments, args, strict=True))
        for name in self._arguments:
            if name in self._numbers and given[name] != self._numbers[name]:
                raise InputError(OnnxruntimeCpu.name, f"the part was made for {name} = {self._numbers[name]}, got {given[name]}")
        given.update(self._numbers)
        begin = time.perf_counter()
        found = run(self._session, {name: given[argument] for argument, name in self._inputs.items()})
        self.compute_s = time.perf_counter() - begin
        for node, places in self._outputs.items():
            tensors = tuple(None if place is None else found[place] for place in places)
            given[node] = tensors if len(tensors) > 1 else tensors[0]
        return tree_map_only(_Named, lambda value: given[value.name], self._result)


@dataclass(frozen=True)
class _Named:
    """Stands in a result for what the node of this name gives."""

    name: str


class _AsItIs(Loaded):
    def __init__(self, part: fx.GraphModule) -> None:
        self._part = part

    def __call__(self, *args: Any) -> Any:
        return self._part(*args)


def _first_of(error: BaseException) -> BaseException:
    """What an error came from: torch's exporter says at first only in which of its steps something failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


ENGINE = OnnxruntimeCpu
