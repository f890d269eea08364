"""`lmos model`: the integer program as a file for other solvers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from lmos.front_request import FrontRequest, is_own, own_objective, read
from lmos.output import err
from lmos_opt.errors import InputError
from lmos_opt.model_files import SUFFIXES, save_model
from lmos_opt.objectives import Objective
from lmos_opt.processes.writing import check_output


def run(request: FrontRequest, output: Path, bounds: Sequence[str]) -> None:
    """Raises InputError for an objective, a bound or a suffix that cannot be used."""
    check_output(output, SUFFIXES)
    if len(request.chosen) != 1:
        raise InputError("--objective", f"{request.objectives!r} is not one objective; the others are for --bound")
    instance = read(request).instance
    save_model(instance, output, objective=request.chosen[0], bounds=dict(map(_bound, bounds)), memory_model=request.model,
               proper_split=request.proper_split, variables=request.added, constraints=request.asked)
    err().print(f"lmos: wrote {output}", soft_wrap=True)


def _bound(text: str) -> tuple[str | Objective, float]:
    name, found, number = text.partition("=")
    try:
        value = float(number)
        if not found or not isfinite(value):
            raise ValueError
        return own_objective(name) if is_own(name) else name, value
    except ValueError:
        raise InputError("--bound", f"{text!r} is not a bound; expected NAME=NUMBER such as latency=0.5") from None
