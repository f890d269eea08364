"""Parts on an engine against a server process: the path that a GPU takes, on the processor."""

from __future__ import annotations

import pytest

from lmos.bench import engine_cuts
from lmos.bench.engine_cuts import surveyed
from lmos.commands import bench_gpu
from measurement import engines
from measurement.timing import on_engine


@pytest.mark.slow
def test_what_a_gpu_would_run_runs_on_the_processor(monkeypatch, capsys):
    monkeypatch.setattr(engine_cuts, "CUTS", (0.7,))
    monkeypatch.setattr(engine_cuts, "_IMAGES", 2)
    for module in (on_engine, engine_cuts):
        monkeypatch.setattr(module, "PAUSE_S", 0.0)
    monkeypatch.setattr(on_engine, "REPEATS", 2)
    monkeypatch.setattr(on_engine.time_on, "__defaults__", (0.0,))
    wholes, cuts = surveyed(["squeezenet1_1"], engines.get("torch"), [], lambda _: None)
    assert [(one.network, one.precision, one.error) for one in wholes] == [("squeezenet1_1", "float32", 0.0)]
    assert [(one.cut, one.layers, one.error, one.engine) for one in cuts] == [(46, 66, 0.0, "")]
    assert cuts[0].predicted_s > 0
    monkeypatch.setattr(engine_cuts, "surveyed", lambda *asked: (wholes, cuts))
    bench_gpu.run("squeezenet1_1", "torch", "float32", "", as_json=False)
    assert "off by" in capsys.readouterr().out
