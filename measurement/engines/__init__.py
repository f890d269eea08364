"""Engines: where and how a part of a network is computed. One file each: `engines/FAMILY_DEVICE.py` holds `ENGINE`.

`torch:cuda` is `torch_cuda.py`; a family's name alone means its device `cpu`. Naming the file is all the registration there is.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from lmos_opt.errors import InputError
from lmos_opt.imports import modules_of

DEFAULT = "torch:cpu"


class Loaded(ABC):
    """Part of a network where its engine computes it: called as the part is, with tensors of main memory, which it also returns.
    (No module: what torch does around each call of one takes longer than some parts.)

    `compute_s` is how long the last call computed (s), copies from and to main memory left out. `notes` say what the engine could
    not do as it usually does.
    """

    compute_s: float = 0.0
    notes: tuple[str, ...] = ()

    @abstractmethod
    def __call__(self, *args: Any) -> Any:
        """What the part returns for its graph's arguments."""


class Engine(ABC):
    """Computes parts of networks. `name` is what users write, `precision` one of `precisions`, with `+` and one of `layouts` behind
    it where tensors are to lie otherwise than torch has them: `float16+channels_last`.

    Raises InputError for a precision that the engine does not have, and where it cannot be had on this machine.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    layouts: ClassVar[tuple[str, ...]] = ()
    has_own_weights: ClassVar[bool] = False
    """Whether a loaded part has its weights in main memory in a form of its own, so that those of the part itself can go."""

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
        """InputError where this machine lacks what the engine needs, with what would help."""

    @property
    @abstractmethod
    def device(self) -> str:
        """What it computes on, as the system names it."""

    @property
    def text(self) -> str:
        """Name, precision and device in one line."""
        return f"{self.name} {self.precision} on {self.device}"

    @property
    def told(self) -> str | None:
        """What reports say of it: its text; None of the one that is there always."""
        return None if self.name == DEFAULT else self.text

    def prepare(self, part: fx.GraphModule) -> None:  # noqa: B027 - the processor is there
        """What only the first part like this one takes is over: libraries are here, so that they count as the program's memory."""

    def load(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """The part, its weights where the engine computes, and run on the example: what comes first and takes long is over.

        The example are the part's arguments: tensors of main memory, and numbers. The part itself stays as it is. InputError where
        the engine cannot compute it.
        """
        return self.begun(self.moved(part), example)

    def moved(self, part: fx.GraphModule) -> fx.GraphModule:
        """The part with its weights where the engine computes: itself, where that is main memory. InputError where they cannot be
        there."""
        return part

    @abstractmethod
    def begun(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """As `load`, for a part that is `moved` already, or is a piece of such a part."""

    def held_bytes(self) -> int | None:
        """Bytes of the device's memory that are in use by this process; None where the device has no memory of its own."""
        return None

    def memory_bytes(self) -> int | None:
        """All memory of the device (B); None where it has none of its own."""
        return None

    @abstractmethod
    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """Seconds of each of so many calls that compute on the device, apart from what the calls themselves cost the host where
        the engine can leave that out."""



def seconds_of_calls(function: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each of so many calls, by the clock of this machine."""
    found = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        found.append(time.perf_counter() - begin)
    return found


def worst_error(found: Any, wanted: Any) -> float:
    """The largest difference between numbers with fractions in two like structures, relative to the largest of each tensor."""
    worst = 0.0
    for one, other in zip(tree_leaves(found), tree_leaves(wanted), strict=True):
        if isinstance(other, Tensor) and other.is_floating_point() and other.numel():
            worst = max(worst, float((one.to(other.dtype) - other).abs().max()) / (float(other.abs().max()) or 1.0))
    return worst


def names() -> list[str]:
    """The engines' names, sorted; whether one can be had here shows when it is made."""
    return sorted(module.replace("_", ":", 1) for module in modules_of(*__path__) if "_" in module)


def get(name: str, precision: str = "float32") -> Engine:
    """An engine by its name. InputError for one that does not exist, or cannot be had here."""
    full = name if ":" in name else f"{name}:cpu"
    if full not in names():
        raise InputError("engine", f"{name!r} is unknown; there are {', '.join(names())}")
    found: Engine = import_module(f"{__name__}.{full.replace(':', '_', 1)}").ENGINE(precision)
    return found
