"""Numbers in 4 bits, by groups of 64 in a row, as arrays: the arithmetic of the codec `int4`.

A group's values become `low + step * (0..15)`, low and step in half precision, 2 bytes each. Low is rounded down and the last
step covers the largest value, so that none is off by more than half a step, and what is 0 after a ReLU stays 0. What is left at
the end is filled up with its last value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from measurement.magnitudes import HALF

GROUP = 64
"""Elements that share low and step: with 4 bytes for 64, half a bit for each element."""
_TOP = 15
"""The highest level."""
Numbers = npt.NDArray[np.float32 | np.float64]
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Groups:
    """How an array of `n` elements lies in groups, two elements a byte."""

    n: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Groups:
        """That of an array of this shape."""
        return cls(math.prod(shape))

    @property
    def count(self) -> int:
        """How many groups there are."""
        return -(-self.n // GROUP)

    @property
    def bytes(self) -> int:
        """What all of it takes: lows and steps, then levels, those of the last byte filled up."""
        return 4 * self.count + -(-self.n // 2)

    def encoded(self, values: Numbers) -> Bytes | None:
        """All lows, all steps, all levels, the first of a byte in its lower half; None if half precision does not hold the values
        (`HALF`), or what is made of the highest level."""
        if not self.n:
            return None
        with np.errstate(all="ignore"):
            if not HALF.hold(float(values.min()), float(values.max())):
                return None
            rows = np.pad(values.astype(np.float32, copy=False), (0, self.count * GROUP - self.n), mode="edge").reshape(-1, GROUP)
            low = _down(rows.min(axis=1))
            step = _up((rows.max(axis=1) - low.astype(np.float32)) / np.float32(_TOP))
            wide = step.astype(np.float32)[:, None]
            if not (np.isfinite(low).all() and (low.astype(np.float32) + _TOP * wide[:, 0] <= HALF.most).all()):
                return None
            levels = np.divide(rows - low.astype(np.float32)[:, None], wide, out=np.zeros_like(rows), where=wide > 0)
            whole = np.minimum(np.rint(levels), _TOP).astype(np.uint8).ravel()[: self.n]
        return np.concatenate([low.view(np.uint8), step.view(np.uint8), self._packed(whole)])

    def decoded(self, data: Bytes) -> Floats | None:
        """The values in their order; None if a low or step is none of `encoded`'s. There are as many bytes as `bytes` says."""
        low, step = data[: 2 * self.count].view(np.float16), data[2 * self.count : 4 * self.count].view(np.float16)
        if not (np.isfinite(low).all() and np.isfinite(step).all() and (step >= 0).all()):
            return None
        levels = np.zeros(self.count * GROUP, np.float32)
        levels[: self.n] = self._unpacked(data[4 * self.count :])
        rows = levels.reshape(-1, GROUP) * step.astype(np.float32)[:, None] + low.astype(np.float32)[:, None]
        found: Floats = rows.ravel()[: self.n]
        return found

    def _packed(self, levels: Bytes) -> Bytes:
        even = np.append(levels, np.uint8(0)) if len(levels) % 2 else levels
        found: Bytes = np.bitwise_or(even[::2], np.left_shift(even[1::2], np.uint8(4)))
        return found

    def _unpacked(self, data: Bytes) -> Bytes:
        return np.stack([data & 15, data >> 4], axis=1).ravel()[: self.n]


def _down(values: Floats) -> npt.NDArray[np.float16]:
    """The nearest halves that are no larger."""
    halves = values.astype(np.float16)
    return np.where(halves.astype(np.float32) > values, np.nextafter(halves, np.float16(-np.inf)), halves)


def _up(values: Floats) -> npt.NDArray[np.float16]:
    """The nearest halves that are no smaller."""
    halves = values.astype(np.float16)
    return np.where(halves.astype(np.float32) < values, np.nextafter(halves, np.float16(np.inf)), halves)
