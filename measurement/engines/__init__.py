"""Engines: where and how a part of a network is computed. There is one file for each: `engines/FAMILY_DEVICE.py` holds `ENGINE`.

`torch:cuda` is the file `torch_cuda.py`; a family's name alone means its device `cpu`. A new file needs no entry in any list.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from lmos_opt.errors import InputError, likely
from lmos_opt.imports import modules_of

DEFAULT = "torch:cpu"


class Loaded(ABC):
    """A part of a network, ready on its engine. It is called as the part is, and takes and returns tensors in main memory.

    `compute_s` is the time (s) of the last call, without copies from and to main memory. `notes` say what the engine could not do
    as it usually does. It is no torch module, because what torch does around each call of one takes longer than some parts.
    """

    compute_s: float = 0.0
    notes: tuple[str, ...] = ()

    @abstractmethod
    def __call__(self, *args: Any) -> Any:
        """What the part returns for the arguments of its graph."""


class Engine(ABC):
    """Computes parts of networks. `name` is what users write.

    `precision` is one of `precisions`. If tensors should lie in memory in another order than torch's, `+` and one of `layouts`
    follow it: `float16+channels_last`. Raises InputError for a precision that the engine does not have, and if this machine lacks
    the engine.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    layouts: ClassVar[tuple[str, ...]] = ()
    has_own_weights: ClassVar[bool] = False
    """Whether the engine keeps a loaded part's weights in main memory in its own form. The part's own copy is then not needed."""

    def __init__(self, precision: str = "float32") -> None:
        self.numbers, plus, self.layout = precision.partition("+")
        if self.numbers not in self.precisions or (plus and self.layout not in self.layouts):
            behind = f", each also with {' or '.join(f'+{name}' for name in self.layouts)}" if self.layouts else ""
            raise InputError("precision", f"{precision!r} is not a precision of {self.name}; expected "
                                          f"{', '.join(self.precisions)}{behind}")  # fmt: skip
        self.precision = precision
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raises InputError if this machine lacks what the engine needs; the error says what would help."""

    @property
    @abstractmethod
    def device(self) -> str:
        """The device that computes, under the system's name for it."""

    @property
    def text(self) -> str:
        """The name, precision and device in one line."""
        return f"{self.name} {self.precision} on {self.device}"

    @property
    def told(self) -> str | None:
        """The engine in a report: its `text`; None for the default engine, torch on the processor."""
        return None if self.name == DEFAULT else self.text

    def prepare(self, part: fx.GraphModule) -> None:  # noqa: B027 - the processor is there
        """Load the libraries that a part like this one needs. They then count as the program's memory, not as the part's."""

    def load(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """The part on the engine, with its weights there, after one run on `example`: the first run takes longer than later ones.

        `example` holds the part's arguments: tensors in main memory, and numbers. The given part does not change. Raises InputError
        if the engine cannot compute it.
        """
        return self.begun(self.moved(part), example)

    def moved(self, part: fx.GraphModule) -> fx.GraphModule:
        """The part with its weights on the engine's device; the same part if that is main memory. InputError if they cannot be
        there."""
        return part

    @abstractmethod
    def begun(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """As `load`, for a part that `moved` returned, or for a piece of such a part."""

    def held_bytes(self) -> int | None:
        """The bytes of the device's memory that this process uses; None if the device has no memory of its own."""
        return None

    def memory_bytes(self) -> int | None:
        """The device's whole memory (B); None if it has none of its own."""
        return None

    @abstractmethod
    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """The time (s) of each of `repeats` calls that compute on the device. If the engine can tell them apart, the time that a
        call costs the processor is not counted."""



def seconds_of_calls(function: Callable[[], object], repeats: int) -> list[float]:
    """The time (s) of each of `repeats` calls, by this machine's clock."""
    found = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        found.append(time.perf_counter() - begin)
    return found


def worst_error(found: Any, wanted: Any) -> float:
    """The largest difference between the floating-point tensors of two like structures, relative to each tensor's largest number.
    """
    worst = 0.0
    for one, other in zip(tree_leaves(found), tree_leaves(wanted), strict=True):
        if isinstance(other, Tensor) and other.is_floating_point() and other.numel():
            worst = max(worst, float((one.to(other.dtype) - other).abs().max()) / (float(other.abs().max()) or 1.0))
    return worst


def names() -> list[str]:
    """The names of all engines, sorted. `get` finds out whether this machine has one."""
    return sorted(module.replace("_", ":", 1) for module in modules_of(*__path__) if "_" in module)


def get(name: str, precision: str = "float32") -> Engine:
    """The engine with this name, in this precision. InputError if there is none, or if this machine lacks it."""
    full = name if ":" in name else f"{name}:cpu"
    if full not in names():
        raise InputError("engine", f"{name!r} is not an engine; there are {', '.join(names())}{likely(name, names())}")
    found: Engine = import_module(f"{__name__}.{full.replace(':', '_', 1)}").ENGINE(precision)
    return found
