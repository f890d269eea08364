"""A small network's export, kept beside the tests: to write one takes ten seconds of a processor.

`python -m tests.lmos_edge.conftest` writes it again. tests/runner/parts/test_exporting.py looks whether `lmos export` writes such
files, and whether the edge runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lmos_opt import Plan

KEPT = Path(__file__).parent / "export"


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


@pytest.fixture(scope="session")
def export() -> Export:
    pytest.importorskip("onnxruntime")
    return Export(Plan.load(KEPT / "plan.json"), KEPT)


def main() -> None:
    from runner.parts.exporting import export_plan
    from tests.runner.running import BRANCHED, NETWORKS, Plans

    export_plan(Plans(BRANCHED)(3), KEPT, networks=NETWORKS, whole=True)
    (KEPT / "tail.onnx").unlink()


if __name__ == "__main__":
    main()
