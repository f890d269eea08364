"""onnxruntime on the processor: a part becomes one ONNX model, whose operations it joins and reorders."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar

from torch import fx

from lmos_opt.errors import InputError, first_line
from measurement.engines import Engine, Loaded, seconds_of_calls
from measurement.onnx_files.joining import Joined, exported, joined, output_node
from measurement.onnx_files.operators import run, session_of
from measurement.processor import cpu_name


class OnnxruntimeCpu(Engine):
    """Computes with as many threads as torch has here; the last bits of its outputs differ from torch's."""

    name: ClassVar[str] = "onnxruntime:cpu"

    def check(self) -> None:
        """InputError where the packages are missing."""
        missing = [package for package in ("onnxruntime", "onnx", "onnxscript") if find_spec(package) is None]
        if missing:
            raise InputError(self.name, f"{missing[0]} is not installed: pip install 'lmos[export]'")

    @property
    def device(self) -> str:
        """The processor's model."""
        return cpu_name()

    def begun(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """The part as a session, run once. A part that only passes on what it takes, or cuts numbers, stays as it is."""
        try:
            found = joined(part, example) or _of_torch(part, example)
            loaded: Loaded = _AsItIs(part) if found is None else _InSession(part, found)
            loaded(*example)
        except Exception as error:
            raise InputError(self.name, f"the network cannot be computed there: {first_line(_first_of(error))}") from error
        return loaded

    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """By the clock."""
        return seconds_of_calls(function, repeats)


class _InSession(Loaded):
    """The part's arguments in, its nested result out, as the part itself would give it."""

    def __init__(self, part: fx.GraphModule, found: Joined) -> None:
        super().__init__()
        self._placeholders = [node for node in part.graph.nodes if node.op == "placeholder"]
        self._result = output_node(part).args[0]
        self._inputs, self._outputs, self._numbers = found.inputs, found.outputs, found.numbers
        self._session = session_of(found.model)
        self._order = {name: k for k, name in enumerate(one.name for one in self._session.get_outputs())}

    def forward(self, *args: Any) -> Any:
        given = dict(zip(self._placeholders, args, strict=True))
        for node in self._placeholders:
            if node in self._numbers and given[node] != self._numbers[node]:
                raise InputError(OnnxruntimeCpu.name, f"the part was made for {node} = {self._numbers[node]}, got {given[node]}")
        given.update(self._numbers)
        begin = time.perf_counter()
        found = run(self._session, {name: given[node] for node, name in self._inputs.items()})
        self.compute_s = time.perf_counter() - begin
        for node, names in self._outputs.items():
            tensors = tuple(found[self._order[name]] for name in names)
            given[node] = tensors if len(tensors) > 1 else tensors[0]
        return fx.node.map_arg(self._result, given.__getitem__)


class _AsItIs(Loaded):
    def __init__(self, part: fx.GraphModule) -> None:
        super().__init__()
        self._part = part

    def forward(self, *args: Any) -> Any:
        return self._part(*args)


def _of_torch(part: fx.GraphModule, example: Sequence[Any]) -> Joined | None:
    """None where the part computes no tensor. Raises what torch's exporter raises."""
    if not any(node.op.startswith("call_") for node in part.graph.nodes):
        return None
    return exported(part, example)


def _first_of(error: BaseException) -> BaseException:
    """What an error came from: torch's exporter says at first only in which of its steps something failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


ENGINE = OnnxruntimeCpu
