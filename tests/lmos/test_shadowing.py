"""A user's own `runner.py` hides the package: a line says so, and names it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def version(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command, "--version"], cwd=folder, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})  # fmt: skip


@pytest.mark.parametrize("package", ["lmos_opt", "measurement", "runner"])
def test_a_file_where_the_command_is_called_is_named(tmp_path, package):
    own = tmp_path / f"{package}.py"
    own.write_text("raise SystemExit('it ran')\n")
    done = version(tmp_path, "-m", "lmos")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lmos: {own} hides the package {package!r} of lmos: rename it, or work in another folder\n"


def test_a_package_on_the_path_is_named(tmp_path):
    own = tmp_path / "runner"
    own.mkdir()
    (own / "__init__.py").touch()
    script = "import sys; from lmos.cli import main; sys.exit(main())"
    done = version(ROOT.parent, "-c", script, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 1
    assert str(own / "__init__.py") in done.stderr


def test_a_folder_without_code_and_a_link_to_the_checkout_hide_nothing(tmp_path):
    (tmp_path / "runner").mkdir()
    assert version(tmp_path, "-m", "lmos").returncode == 0
    (tmp_path / "checkout").symlink_to(ROOT)
    assert version(tmp_path, "-m", "lmos", PYTHONPATH=str(tmp_path / "checkout")).returncode == 0
