"""Which numbers a format holds: neither infinite in it, nor so small that nothing is left of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Magnitudes:
    """A format that holds arrays whose largest magnitude is from `least` to `most`, and arrays of zeros."""

    least: float
    most: float

    def hold(self, low: float, high: float) -> bool:
        """Whether they hold an array from `low`, its least element, to `high`, its largest one; False if one is NaN."""
        return -self.most <= low and high <= self.most and (low == high == 0 or max(-low, high) >= self.least)


HALF = Magnitudes(2.0**-14, 65504.0)
"""Of half precision. From its least normal number on, rounding changes an element by at most 2^-11 of the array's largest
magnitude."""
STEPS = Magnitudes(1e-32, 3.4028234663852886e38)
"""Of steps in float32 (`measurement.levels`). A group whose step is too small becomes one value; from `least` on this changes
an element by less than 0.3 % of the array's largest magnitude."""
