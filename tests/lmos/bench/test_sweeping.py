"""The benchmark of sweeps checks what it times."""

import pandas as pd
import pytest

from lmos.bench.sweeping import DifferentTablesError, check, grid
from lmos_opt.sweeps.running import run_sweep


def test_a_lost_or_a_wrong_point_is_found(tmp_path):
    asked = grid(3)
    assert run_sweep(asked, tmp_path / "a.parquet", jobs=1).fronts == 4
    table = pd.read_parquet(tmp_path / "a.parquet")
    check(table, asked)
    moved = table.copy()
    moved.loc[1, "latency"] *= 1 + 1e-15
    for wrong in (table.drop(index=2), moved):
        with pytest.raises(DifferentTablesError, match="is not that of all cuts"):
            check(wrong, asked)
