"""Formats of others, one file each: `recognises` a file's first line, and `read` its lines.

A line that cannot be read is one InputError that names the file, the line, what stands there and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmos_opt.errors import InputError
from lmos_opt.files import LARGEST_NUMBER


@dataclass(frozen=True)
class Line:
    """A line that is not empty, with its number and file."""

    file: str
    number: int
    text: str

    def wrong(self, expected: str) -> InputError:
        """The error to raise if the line is not what is expected."""
        return InputError(self.file, f"line {self.number}: got {self.text!r:.80}; expected {expected}")

    def numbers(self, parts: Sequence[str], expected: str) -> list[float]:
        """Its parts as finite numbers of at least zero."""
        try:
            found = [float(part) for part in parts]
        except ValueError:
            raise self.wrong(expected) from None
        if not all(0 <= one <= LARGEST_NUMBER for one in found):
            raise self.wrong(expected)
        return found


def lines_of(file: str, text: str) -> Iterator[Line]:
    """The lines that hold something, with their numbers."""
    return (Line(file, k, line.strip()) for k, line in enumerate(text.splitlines(), 1) if line.strip())


COLUMNS = "six numbers: a time of day, milliseconds since the start, latitude, longitude, bytes, the milliseconds they took"


def six_columns(lines: Sequence[Line], from_epoch: str) -> list[tuple[float, float]]:
    """How long each step lasts (s) and its rate (B/s), in a log of what was downloaded; `from_epoch` is what the first column has.

    Steps follow upon each other, also where the log has a gap.
    """
    expected = COLUMNS.replace("a time of day", from_epoch)
    steps = []
    for line in lines:
        parts = line.text.split()
        if len(parts) != 6:
            raise line.wrong(expected)
        *_, n_bytes, lasts_ms = line.numbers([*parts[:2], *(part.removeprefix("-") for part in parts[2:4]), *parts[4:]], expected)
        if not lasts_ms:
            raise line.wrong("more than 0 milliseconds in the last column")
        steps.append((lasts_ms / 1e3, n_bytes * 1e3 / lasts_ms))
    return steps


def first_of_six(line: str) -> float | None:
    """The first of six numbers; None if the line is something else."""
    try:
        found = [float(part) for part in line.split()]
    except ValueError:
        return None
    return found[0] if len(found) == 6 else None
