"""Small programs as arrays, for tests of what works on them."""

from __future__ import annotations

import numpy as np

from lmos_opt.programs.milp import LinearForm, Milp


def form(*coefficients: float, constant: float = 0.0) -> LinearForm:
    """A form over the first columns."""
    return LinearForm(np.arange(len(coefficients)), np.array(coefficients, dtype=float), constant)


def binaries(n: int, row: tuple[float, ...] = (), least: float = -np.inf) -> Milp:
    """n binary variables, and one row, of at least `least`, if there is one."""
    rows = (form(*row),) if row else ()
    return Milp("toy", tuple(f"x{k}" for k in range(n)), np.zeros(n), np.ones(n), np.ones(n, dtype=bool), rows,
                np.full(len(rows), least), np.full(len(rows), np.inf), ("needed",) * len(rows))  # fmt: skip
