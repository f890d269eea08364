"""The small wheel: what the edge imports and nothing more, on three packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import lmos_opt

ROOT = Path(__file__).parents[2]
HERE = ROOT / "lmos_edge"
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
for name in ("torch", "pydantic", "pandas", "pyomo", "typer", "rich", "isal"):
    sys.modules[name] = None
import lmos_edge.__init__, lmos_edge.command, lmos_edge.report, lmos_edge.running
files = {getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]}
print(json.dumps(sorted(file for file in files if file.startswith(sys.argv[1]))))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=HERE, check=True,
                   capture_output=True)  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "unpacked")
    return folder / "unpacked"


def test_it_holds_the_modules_that_the_edge_imports_and_no_others(unpacked: Path) -> None:
    done = subprocess.run([sys.executable, "-I", "-c", PROGRAM, str(unpacked)], capture_output=True, text=True, check=True)
    imported = {str(Path(file).relative_to(unpacked)) for file in json.loads(done.stdout)} | {"lmos_edge/__main__.py"}
    held = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*.py")}
    assert imported == held
    assert all((unpacked / name).read_bytes() == (ROOT / name).read_bytes() for name in held)
    assert {path.name for path in (unpacked / "lmos_opt" / "data" / "pictures").iterdir()} == {
        path.name for path in (ROOT / "data" / "pictures").iterdir()
    }


def test_it_has_the_version_and_the_packages_of_the_whole() -> None:
    small, whole = (tomllib.loads((folder / "pyproject.toml").read_text())["project"] for folder in (HERE, ROOT))
    assert small["version"] == whole["version"] == lmos_opt.__version__
    assert small["requires-python"] == whole["requires-python"]
    extras = whole["optional-dependencies"]
    of_whole = [*whole["dependencies"], *extras["torch"], *extras["export"]]
    ours, theirs = (dict(map(_least, needed)) for needed in (small["dependencies"], of_whole))
    assert all(least <= theirs[name] for name, least in ours.items())


def _least(dependency: str) -> tuple[str, tuple[int, ...]]:
    """A package and its earliest release: an environment that has what the whole needs has what the small one needs."""
    name, least = re.split(">=|==", dependency.partition(",")[0])
    return name, tuple(map(int, least.split(".")))
