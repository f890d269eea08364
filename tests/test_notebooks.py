"""The notebooks: kept without outputs, and every one runs from its first cell to its last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import warm

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

pytestmark = pytest.mark.docs
NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))
LIMIT_S = 300


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].source.startswith("# ")
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")


@pytest.fixture(scope="module")
def kernel() -> Iterator[str]:
    """The name of a kernel whose processes begin at once."""
    with warm.commands() as folder, pytest.MonkeyPatch.context() as patch:
        spec = folder / "kernels" / "warm" / "kernel.json"
        spec.parent.mkdir(parents=True)
        argv = [str(folder / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": argv, "display_name": "warm", "language": "python"}))
        patch.setenv("JUPYTER_PATH", str(folder))
        yield "warm"


@pytest.mark.process
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, kernel: str, tmp_path: Path) -> None:
    """A cell that fails, or takes longer than LIMIT_S, fails here with what it printed."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=LIMIT_S, kernel_name=kernel, resources=folder).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)  # there are pictures
