"""A front of latency and memory as a function of s = 1/B, and exact polynomials in s, from which rules' breakpoints follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Polynomial = tuple[Fraction, ...]
"""Coefficients, the constant first."""


@dataclass(frozen=True)
class MovingFront:
    """The points of a front around one bandwidth, least latency first, and the point that a rule chose there.

    The latency (s) of each is a line in s (seconds per byte), its edge memory (B) is constant. `s` is the value that is
    examined, `chosen` the index of the point that the rule chooses there, None if it admits no point.
    """

    latencies: tuple[Polynomial, ...]
    memory_bytes: tuple[int, ...]
    s: Fraction
    chosen: int | None

    @property
    def spread(self) -> Polynomial:
        """The latency of the last point minus that of the first."""
        return combined((1, self.latencies[-1]), (-1, self.latencies[0]))

    @property
    def over_least(self) -> list[Polynomial]:
        """Each point's latency minus that of the first. Divided by `spread`, it is between 0 and 1."""
        return [combined((1, line), (-1, self.latencies[0])) for line in self.latencies]

    @property
    def missing(self) -> list[Fraction]:
        """Each point's memory, scaled: 0 for the most memory on the front, 1 for the least. It needs two points or more."""
        most, least = self.memory_bytes[-1], self.memory_bytes[0]
        return [Fraction(most - memory, most - least) for memory in self.memory_bytes]


def never(_moving: MovingFront, _argument: str) -> list[Polynomial]:
    """The `changes` of a rule that chooses the same point of a front as long as the front has the same points."""
    return []


def combined(*terms: tuple[Fraction | int, Polynomial]) -> Polynomial:
    """The sum of polynomials of the same degree, each multiplied by a number."""
    return tuple(sum((factor * c for (factor, _), c in zip(terms, column, strict=True)), Fraction(0))
                 for column in zip(*(polynomial for _, polynomial in terms), strict=True))


def product(p: Polynomial, q: Polynomial) -> Polynomial:
    """The product of two polynomials of degree one."""
    return (p[0] * q[0], p[0] * q[1] + p[1] * q[0], p[1] * q[1])


def constant(value: Fraction | float) -> Polynomial:
    """A number as a polynomial of degree one."""
    return (Fraction(value), Fraction(0))


def beside_the_chosen(polynomials: Sequence[Polynomial], chosen: int) -> list[Polynomial]:
    """Every other polynomial minus the chosen one. As long as none of them changes its sign, the chosen one stays the least."""
    return [combined((1, other), (-1, polynomials[chosen])) for k, other in enumerate(polynomials) if k != chosen]
