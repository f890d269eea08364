"""Numbers in 8 bits or fewer, from each channel's least value to its largest, as arrays: the arithmetic of `int8` and `zint`.

A channel's values become `low + step * (0..top)`, `step = (high - low) / top`, so none is off by more than half a step; `top` is
255, or less where fewer bits are to be used, of a byte each. Channels
are dimension 1, as in N x C x H x W. Low and step take 8 bytes; where a channel has fewer than GROUP elements, as many channels
in a row share them as have so many together (the last ones, and what is left over).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from measurement.magnitudes import STEPS

GROUP = 128
"""Elements that share low and step at least: with 8 bytes for 128 the whole stays below 0.266 of float32."""
TOP = 255
"""The highest level of 8 bits."""
_LEAST_STEP = 1e-37
"""Below it a step is next to the end of float32's range, and a channel all of one value as near as anyone can tell."""
_BLOCK = 2**16
"""Elements that are worked on at a time: they stay in the processor's cache from the first operation to the last."""

Numbers = npt.NDArray[np.float16 | np.float32 | np.float64]
Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """`groups` of `length` consecutive elements each, then one more of the `rest`, if there is any."""

    groups: int
    length: int
    rest: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Layout:
        """That of an array of this shape."""
        n = math.prod(shape)
        channel = math.prod(shape[2:])
        length = channel * -(-GROUP // channel) if channel else 1
        groups, rest = divmod(n, length)
        return cls(groups - 1, length, length + rest) if groups and rest else cls(groups, length, rest)

    @property
    def pairs(self) -> int:
        """How many lows and steps there are."""
        return self.groups + bool(self.rest)

    @property
    def bytes(self) -> int:
        """What all of it takes."""
        return 8 * self.pairs + self.groups * self.length + self.rest


def encoded(values: Numbers, shape: tuple[int, ...], top: int = TOP) -> Levels | None:
    """All lows, all steps, all levels of the elements of an array of this shape, in their order; None if one is not finite, or all
    are next to zero (`STEPS`)."""
    layout = Layout.of(shape)
    found = np.empty(layout.bytes, np.uint8)
    lows, steps, levels = _parts(found, layout)
    whole = layout.groups * layout.length
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        narrow = values.astype(np.float32, copy=False)
    largest = _quantise(narrow[:whole].reshape(-1, layout.length), lows[: layout.groups], steps[: layout.groups],
                        levels[:whole].reshape(-1, layout.length), top)  # fmt: skip
    if layout.rest:
        rest = _quantise(narrow[whole:].reshape(1, -1), lows[-1:], steps[-1:], levels[whole:].reshape(1, -1), top)
        largest = max(largest, rest)
    return found if STEPS.hold(-largest, largest) and (largest or not values.any()) else None


def decoded(data: Levels, shape: tuple[int, ...]) -> Floats | None:
    """The values that lows, steps and levels stand for, in their order; None if not all would be finite.

    There are as many bytes as `Layout.of(shape)` says.
    """
    layout = Layout.of(shape)
    lows, steps, levels = _parts(data, layout)
    with np.errstate(all="ignore"):
        if not (np.isfinite(lows + TOP * steps).all() and (steps >= 0).all()):
            return None
    values = np.empty(len(levels), np.float32)
    whole = layout.groups * layout.length
    _restore(levels[:whole].reshape(-1, layout.length), lows[: layout.groups], steps[: layout.groups],
             values[:whole].reshape(-1, layout.length))  # fmt: skip
    if layout.rest:
        _restore(levels[whole:].reshape(1, -1), lows[-1:], steps[-1:], values[whole:].reshape(1, -1))
    return values


def _parts(encoded: Levels, layout: Layout) -> tuple[Floats, Floats, Levels]:
    end = 8 * layout.pairs
    pairs: Floats = encoded[:end].view(np.float32)
    return pairs[: layout.pairs], pairs[layout.pairs :], encoded[end:]


def _quantise(values: Floats, lows: Floats, steps: Floats, levels: Levels, top: int) -> float:
    """Fill lows, steps and levels, a row for each group. The largest magnitude of a value; infinite if a value is not finite, or
    `decoded` would refuse one."""
    largest = 0.0
    rows = max(1, _BLOCK // values.shape[1])
    scratch = np.empty((min(rows, len(values)), values.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for k in range(0, len(values), rows):
            block = values[k : k + rows]
            low, high = block.min(axis=1), block.max(axis=1)
            step = (high - low) / np.float32(top)
            if not np.isfinite(low + TOP * step).all():
                return math.inf
            largest = max(largest, -float(low.min()), float(high.max()))
            step[step < _LEAST_STEP] = 0
            per_step = np.divide(1, step, out=np.zeros_like(step), where=step > 0)
            lows[k : k + rows], steps[k : k + rows] = low, step
            work = np.subtract(block, low[:, None], out=scratch[: len(block)])
            work *= per_step[:, None]
            np.rint(work, out=work)
            np.minimum(work, top, out=work)  # the inverse is rounded
            levels[k : k + rows] = work
    return largest


def _restore(levels: Levels, lows: Floats, steps: Floats, values: Floats) -> None:
    rows = max(1, _BLOCK // levels.shape[1])
    for k in range(0, len(levels), rows):
        block = values[k : k + rows]
        np.multiply(levels[k : k + rows], steps[k : k + rows, None], out=block)
        block += lows[k : k + rows, None]
