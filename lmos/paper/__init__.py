"""The paper's experiments: one file each. `experiments/NAME.py` holds `EXPERIMENT`; the file's name registers it.

An experiment is one function from a `Lab` to a `Result`: the table that becomes NAME.csv, smaller tables for the page, and
readings, each computed from the numbers beside it. Everything common is in `lmos/paper/making/`: the cache, the
progress, the paper's numbers, pictures, the page, provenance.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from lmos.paper.making.experiment import Experiment
from lmos_opt.errors import InputError, likely

if TYPE_CHECKING:

    pass


def names() -> list[str]:
    """All experiments, in the order of the page."""
    return sorted(module.name for module in iter_modules(__path__) if not module.ispkg)


def get(name: str) -> Experiment:
    """The experiment of that name; InputError lists what there is."""
    if name not in names():
        raise InputError("reproduce", f"{name!r} is not an experiment; there are {', '.join(names())}{likely(name, names())}")
    found: Experiment = import_module(f"{__name__}.{name}").EXPERIMENT
    return found
