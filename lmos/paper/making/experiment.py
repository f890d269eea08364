"""What a table or figure of the paper is: a function from a `Lab` to a `Result`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from lmos.paper.making.lab import Lab

Verdict = Literal["agrees", "differs", "note"]
"""Of a reading: the paper and the numbers say the same, they do not, or it is no comparison."""


@dataclass(frozen=True)
class Reading:
    """One sentence or two about a difference, and what it comes to."""

    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Shown:
    """A table of the page."""

    title: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Result:
    """What an experiment gives: `frame` is NAME.csv."""

    frame: pd.DataFrame
    tables: tuple[Shown, ...]
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Experiment:
    """One table or figure of the paper; `draw` makes NAME.png of the CSV's table."""

    name: str
    title: str
    place: str
    run: Callable[[Lab], Result]
    draw: Callable[[pd.DataFrame], Figure] | None = None
