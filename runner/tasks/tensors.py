"""`tensors`: whatever a network returns, by shape and statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lmos_opt.files import Count, Name, Number, Record, Text
from runner.tasks import Context, Entry, Result, Task, finite

if TYPE_CHECKING:
    from torch import Tensor

MOST = 12
"""Tensors that are described."""


class Described(Record):
    """A tensor by its path: shape, dtype, how many of its elements are no finite numbers, and of the others (of complex ones the
    magnitudes) the mean, the deviation and the ends; None if there is none."""

    path: Text
    shape: tuple[Count, ...]
    dtype: Name
    not_finite: Count = 0
    mean: Number | None = None
    std: Number | None = None
    low: Number | None = None
    high: Number | None = None

    @property
    def in_words(self) -> str:
        """All of it but the path."""
        words = f"{self.dtype}[{', '.join(map(str, self.shape))}]"
        if self.mean is not None:
            words += f", {self.low:.4g} to {self.high:.4g}, mean {self.mean:.4g}, deviation {self.std:.4g}"
        return words + (f", {self.not_finite} not finite" if self.not_finite else "")


class Tensors(Result):
    """The first tensors of the output; `count` is how many there are."""

    task: Literal["tensors"] = "tensors"
    count: Count
    tensors: Annotated[tuple[Described, ...], Field(max_length=MOST)]

    @property
    def in_words(self) -> str:
        """The paths and shapes of the first."""
        more = f" and {self.count - 3} more" if self.count > 3 else ""
        return ", ".join(f"{one.path} {one.dtype}{list(one.shape)}" for one in self.tensors[:3]) + more

    @property
    def entries(self) -> Sequence[Entry]:
        """Each with its numbers."""
        rest = self.count - len(self.tensors)
        return [*(Entry(one.path, one.in_words) for one in self.tensors), *([Entry("further tensors", str(rest))] if rest else [])]


class TensorsTask(Task):
    """Any outputs."""

    rank = 1000
    result = Tensors

    def recognises(self, outputs: Mapping[str, Tensor]) -> bool:
        """Always."""
        del outputs
        return True

    def read(self, outputs: Mapping[str, Tensor], context: Context) -> Tensors:
        """The first tensors, described."""
        del context
        found = [_described(path, tensor) for path, tensor in list(outputs.items())[:MOST]]
        return Tensors(count=len(outputs), tensors=tuple(found))


def _described(path: str, tensor: Tensor) -> Described:
    dtype, values = str(tensor.dtype).removeprefix("torch."), tensor.abs() if tensor.is_complex() else tensor
    values = values.double().flatten()
    fine = values[values.isfinite()]
    known = {"path": path[:500], "shape": tuple(tensor.shape), "dtype": dtype, "not_finite": values.numel() - fine.numel()}
    if not fine.numel():
        return Described.model_validate(known)
    numbers = {"mean": fine.mean(), "std": fine.std(correction=0), "low": fine.min(), "high": fine.max()}
    return Described.model_validate(known | {key: finite(float(value)) for key, value in numbers.items()})


TASK = TensorsTask()
