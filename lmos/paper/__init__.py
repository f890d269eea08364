"""The paper's experiments: one file each. `experiments/NAME.py` holds `EXPERIMENT`; naming it is all the registration there is.

An experiment is one function from a `Lab` to a `Result`: the table that becomes NAME.csv, smaller tables for the page, and
readings, each computed from the numbers beside it. Everything common is in `lmos/paper/making/`: the cache, the
progress, the paper's numbers, pictures, the page, provenance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Literal

from lmos_opt.errors import InputError

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


def names() -> list[str]:
    """All experiments, in the order of the page."""
    return sorted(module.name for module in iter_modules(__path__) if not module.ispkg)


def get(name: str) -> Experiment:
    """The experiment of that name; InputError lists what there is."""
    if name not in names():
        raise InputError("reproduce", f"{name!r} is not an experiment; there are {', '.join(names())}")
    found: Experiment = import_module(f"{__name__}.{name}").EXPERIMENT
    return found
