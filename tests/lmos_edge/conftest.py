"""A small network's export, made once a module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lmos_opt import Plan
from runner.parts.exporting import export_plan
from tests.runner.running import BRANCHED, NETWORKS, Plans, one_thread


@dataclass(frozen=True)
class Export:
    """A plan's file, and the folder of its export, the whole network in it."""

    plan: Plan
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "plan.json"

    @property
    def head(self) -> Path:
        return self.folder / "head.onnx"


@pytest.fixture(scope="package")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    pytest.importorskip("onnxruntime")
    plan, folder = Plans(BRANCHED)(3), tmp_path_factory.mktemp("export")
    with one_thread():
        export_plan(plan, folder, networks=NETWORKS, whole=True)
    return Export(plan, folder)
