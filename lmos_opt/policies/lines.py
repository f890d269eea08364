"""Latency against s = 1/B of one hop: every split is a line, and where a choice between lines changes is found exactly.

The latency of a split is `a + b * s`, b the bytes that cross the hop, a all else: compute times, the other hops, exchanges' fixed
costs and the way back, which has a rate of its own. All numbers of an instance are doubles, so all of this is done in rational
arithmetic, and a place where something changes is the root of a polynomial of degree one or two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from math import isqrt
from typing import Generic, TypeVar

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.rules.moving import Polynomial
from lmos_opt.split import Split
from lmos_opt.stages import back_bytes, decoded, encoded, rtt_s

Label = TypeVar("Label")

GRAIN = Fraction(1, 2**52)
"""Places nearer to each other than this, relatively, are one place: doubles do not tell them apart."""
NEAR = Fraction(1, 2**20)
"""Nearer than this share of an interval to a change, rounding might decide a choice: it is made elsewhere."""
ONE_VALUE = Fraction(1, 10**12)
"""Times nearer than this share of the largest are one value, as on a front: sums of the same numbers differ by less."""
ROOT_BITS = 160
"""Bits of a square root: three times a double's."""


@dataclass(frozen=True)
class LatencyLine:
    """A split's latency `fixed_s + crossing_bytes * s` (s in seconds a byte of one hop), exactly, and the first place's memory."""

    split: Split
    fixed_s: Fraction
    crossing_bytes: int
    memory_bytes: int

    def at(self, s: Fraction) -> Fraction:
        """The latency in seconds."""
        return self.fixed_s + self.crossing_bytes * s


def lines_of(splits: Sequence[Split], hop: int = 1) -> list[LatencyLine]:
    """The lines of an instance's splits over one hop's bandwidth, in their order; hops are counted from 1.

    Fixed times of lines with as many crossing bytes that differ by less than ONE_VALUE of the largest of all are one value,
    the least of them: they are what 0.1 + 0.2 is to 0.3.
    """
    if not splits:
        return []
    fixed = _FixedTimes.of(splits[0].instance, hop)
    return _without_rounding([LatencyLine(split, *fixed.of_split(split), split.memory_bytes) for split in splits])


@dataclass(frozen=True)
class _FixedTimes:
    """The times that do not depend on the bandwidth of one hop, as whole multiples of 1/scale (s) if possible, for quick sums."""

    instance: Instance
    hop: int
    scale: int
    times: dict[str, tuple[int, ...]]
    coding: dict[tuple[int, str, int], int]
    exchanges: tuple[int, ...]

    @classmethod
    def of(cls, instance: Instance, hop: int) -> _FixedTimes:
        if instance.has_open_codecs:
            raise InputError(instance.name, "has codecs to choose among, and a policy's are fixed; expected one codec a tensor")
        times = {layer.name: tuple(map(Fraction, layer.t_s)) for layer in instance.layers}
        both = [(instance.encode_s, 0), (instance.decode_s, 1)]
        coding = {(end, name, p): Fraction(seconds(name, p)) for seconds, end in both for name in instance.tensors
                  for p in range(1, len(instance.places) + 1) if instance.takes_coding}  # fmt: skip
        exchanges = [Fraction(one.rtt_s) for one in instance.hops]
        scale = max(t.denominator for t in (*exchanges, *coding.values(), *chain(*times.values())))  # powers of two
        return cls(instance, hop, scale, {name: tuple(int(t * scale) for t in row) for name, row in times.items()},
                   {key: int(t * scale) for key, t in coding.items() if t}, tuple(int(t * scale) for t in exchanges))

    def of_split(self, split: Split) -> tuple[Fraction, int]:
        """The time (s) of a split without the bytes that cross the hop, and the number of these bytes."""
        instance = self.instance
        whole = sum(self.times[name][p] for p, names in enumerate(split.places) for name in names)
        if self.coding:
            for p in range(1, len(instance.places) + 1):
                ends = (encoded(instance, split.upto, p), decoded(instance, split.upto, p))
                whole += sum(self.coding.get((end, name, p), 0) for end, names in enumerate(ends) for name in names)
        rest, crossing = Fraction(0), 0
        for h, (one, before) in enumerate(zip(instance.hops, split.upto, strict=True), 1):
            whole += self.exchanges[h - 1] if rtt_s(instance, before, h) else 0
            n_bytes = sum(map(instance.sent_bytes, instance.crossing(before)))
            if h == self.hop:
                crossing = n_bytes
            else:
                rest += n_bytes / Fraction(one.bandwidth_bytes_per_s)
            if one.back_bytes_per_s is not None:
                rest += back_bytes(instance, before) / Fraction(one.back_bytes_per_s)
        return Fraction(whole, self.scale) + rest, crossing


def _without_rounding(lines: list[LatencyLine]) -> list[LatencyLine]:
    times = one_value([line.fixed_s for line in lines], [line.crossing_bytes for line in lines])
    return [replace(line, fixed_s=time) for line, time in zip(lines, times, strict=True)]


def one_value(times: Sequence[Fraction], groups: Sequence[int] | None = None) -> list[Fraction]:
    """The times, in which nearly equal times of a group are replaced by the least of them.

    Times are nearly equal if they differ by less than ONE_VALUE of the largest time.
    """
    grain = ONE_VALUE * max(times, default=Fraction(0))
    keys = list(zip(groups or [0] * len(times), times, strict=True))
    found = list(times)
    known: int | None = None
    for k in sorted(range(len(times)), key=lambda k: keys[k]):
        if known is not None and keys[k][0] == keys[known][0] and times[k] - times[known] < grain:
            found[k] = times[known]
        else:
            known = k
    return found


def ever_needed(lines: Iterable[LatencyLine], low: Fraction, high: Fraction) -> list[LatencyLine]:
    """The lines, most memory first, that no other line dominates on the whole of [low, high]; of equal lines the first.

    If a line is not above another one at both ends, it is not above it between them.
    """
    ends = [(line, line.at(low), line.at(high)) for line in lines]
    kept: list[tuple[LatencyLine, Fraction, Fraction]] = []
    for entry in sorted(ends, key=lambda e: (-e[0].memory_bytes, e[1], e[2])):
        if not any(other[1] <= entry[1] and other[2] <= entry[2] for other in kept):
            kept.append(entry)
    return [line for line, _, _ in kept]


def front_at(lines: Sequence[LatencyLine], s: Fraction) -> tuple[tuple[int, ...], list[Polynomial]]:
    """The front at s: indices of the non-dominated lines, least latency first; and polynomials that tell where it changes.

    `lines` are sorted by memory, the most first. As long as none of the polynomials changes its sign, the front has the same lines.
    """
    found: list[int] = []
    certificates: list[Polynomial] = []
    least = Fraction(0)
    for k, line in enumerate(lines):
        latency = line.at(s)
        if found:
            best = lines[found[-1]]
            certificates.append((line.fixed_s - best.fixed_s, Fraction(line.crossing_bytes - best.crossing_bytes)))
            if latency >= least:
                continue
            if best.memory_bytes == line.memory_bytes:
                found.pop()
        found.append(k)
        least = latency
    return tuple(reversed(found)), certificates


def roots(polynomial: Polynomial) -> list[Fraction]:
    """The real roots of a polynomial of degree two at most; none of one that is zero everywhere.

    They are exact, except for square roots, which have ROOT_BITS bits.
    """
    c0, c1, c2 = (*polynomial, Fraction(0), Fraction(0))[:3]
    if c2 == 0:
        return [] if c1 == 0 else [-c0 / c1]
    discriminant = c1 * c1 - 4 * c2 * c0
    if discriminant < 0:
        return []
    half = -(c1 + (_sqrt(discriminant) if c1 >= 0 else -_sqrt(discriminant))) / 2  # no cancellation
    return [Fraction(0)] if half == 0 else [half / c2, c0 / half]


def _sqrt(value: Fraction) -> Fraction:
    product = value.numerator * value.denominator
    shift = max(0, ROOT_BITS - product.bit_length() // 2)
    return Fraction(isqrt(product << (2 * shift)), value.denominator << shift)


@dataclass(frozen=True)
class Piece(Generic[Label]):
    """An interval and its label."""

    low: Fraction
    high: Fraction
    label: Label


def pieces(
    low: Fraction, high: Fraction, look: Callable[[Fraction], tuple[Label, list[Polynomial]]]
) -> list[Piece[Label]]:
    """What holds where in [low, high]: adjoining intervals in order, neighbours with different labels.

    `look(s)` gives the label at s and polynomials; the label holds around s as far as none of them changes its sign.
    What remains on either side is looked at likewise, so that every look finds a piece or lands on a root, and there
    are about as many looks as pieces.
    """
    found: list[Piece[Label]] = []
    left = [(low, high)]
    while left:
        a, b = left.pop()
        if b - a <= GRAIN * b and found:
            continue
        s = _between(a, b)
        label, certificates = look(s)
        changes = {root for polynomial in certificates for root in roots(polynomial) if a < root < b}
        near = [root for root in changes if abs(root - s) <= NEAR * (b - a)]
        if near and b - a > GRAIN * b:
            left += [(near[0], b), (a, near[0])]
            continue
        start = max((root for root in changes if root < s), default=a)
        end = min((root for root in changes if root > s), default=b)
        found.append(Piece(start, end, label))
        left += [(end, b), (a, start)]
    return _joined(low, high, found)


def _between(a: Fraction, b: Fraction) -> Fraction:
    """The middle, or a double near it: that has fewer digits."""
    middle = (a + b) / 2
    short = Fraction(float(middle))
    return short if a < short < b else middle


def _joined(low: Fraction, high: Fraction, found: Iterable[Piece[Label]]) -> list[Piece[Label]]:
    """Pieces in order, equal neighbours one, each beginning where the one before ends."""
    kept: list[Piece[Label]] = []
    for piece in sorted(found, key=lambda piece: piece.low):
        if kept and kept[-1].label == piece.label:
            continue
        start = piece.low if kept else low
        if kept:
            kept[-1] = Piece(kept[-1].low, start, kept[-1].label)
        kept.append(Piece(start, high, piece.label))
    return kept
