"""The columns of Ghent University's 4G/LTE bandwidth logs: milliseconds since the epoch first, then as in the HSDPA logs.

Source: https://users.ugent.be/~jvdrhoof/dataset-4g/ (van der Hooft et al., 2016): milliseconds since the epoch, milliseconds since
the experiment began, latitude, longitude, bytes received since the last line, milliseconds since the last line.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmos_opt.traces.formats import Line, first_of_six, six_columns

WHAT = "the six columns of Ghent's 4G logs"
FROM_MS = 1e11
"""Numbers from here on are milliseconds since the epoch: as seconds, they would be of the year 5138."""


def recognises(first: str) -> bool:
    """Whether the line has six numbers, of which the first is in milliseconds."""
    found = first_of_six(first)
    return found is not None and found >= FROM_MS


def read(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """How long each step lasts (s) and its rate (B/s)."""
    return six_columns(lines, "milliseconds since the epoch")
