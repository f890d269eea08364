"""torch on the processor: the part as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import fx

from measurement.engines import Engine, Loaded, seconds_of_calls
from measurement.processor import cpu_name


class TorchCpu(Engine):
    """Computes with all threads that torch has here. The outputs have the bits of the whole network's."""

    name: ClassVar[str] = "torch:cpu"

    def check(self) -> None:
        """Never raises: every machine has a processor."""

    @property
    def device(self) -> str:
        """The processor's model."""
        return cpu_name()

    def begun(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """The part itself, with a clock around each call. It is not run."""
        return _Timed(part)

    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """The time (s) of each call, by the clock."""
        return seconds_of_calls(function, repeats)


class _Timed(Loaded):
    def __init__(self, part: fx.GraphModule) -> None:
        self._compute = part.forward  # what torch does around each call of a module takes longer than some parts

    def __call__(self, *args: Any) -> Any:
        compute, begin = self._compute, time.perf_counter()
        found = compute(*args)
        self.compute_s = time.perf_counter() - begin
        return found


ENGINE = TorchCpu
