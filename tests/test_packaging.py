"""The wheel: five packages with the data inside, and a front without torch from an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import lmos_opt

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True,
                   capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def names(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


def test_it_holds_the_five_packages_and_nothing_beside_them(names):
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lmos_opt", "measurement", "runner", "lmos_edge", "lmos"}
    assert not any(name.endswith(".pyc") for name in names)


def test_it_holds_all_code_and_data(names):
    for package in ("lmos_opt", "measurement", "runner", "lmos_edge", "lmos"):
        assert {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")} <= names
        assert f"{package}/py.typed" in names
        assert {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.html")} <= names
    data = {f"lmos_opt/{path.relative_to(ROOT)}" for path in (ROOT / "data").rglob("*") if path.is_file()}
    assert data <= names


NEED_NO_TORCH = (
    "front vgg19 --bandwidth 10Mbps", "plan vgg19 --select knee -o plan.json --plot cut.svg", "report plan.json -o plan.html",
    "model vgg19 -o vgg19.mps", "doctor --json",
)  # fmt: skip
NEED_TORCH = ("export plan.json -o halves", "profile alexnet", "serve", "run plan.json", "demo")
PROGRAM = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout

sys.modules["torch"] = sys.modules["torchvision"] = None
import lmos_opt

assert lmos_opt.__file__.startswith(sys.argv[1])
from lmos.cli import main

found = {}
for command in json.loads(sys.argv[2]):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(command.split())
    found[command] = code, out.getvalue(), err.getvalue()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def said(wheel, tmp_path_factory):
    """What `lmos` from the unpacked wheel, in an empty folder, where torch cannot be imported, ends with and writes, by its
    arguments; one process does all of it."""
    installed, empty = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("empty")
    zipfile.ZipFile(wheel).extractall(installed)
    command = [sys.executable, "-c", PROGRAM, str(installed), json.dumps([*NEED_NO_TORCH, *NEED_TORCH])]
    done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(installed)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_front_from_the_wheel_without_torch(said):
    code, out, err = said[NEED_NO_TORCH[0]]
    assert (code, err) == (0, "")
    assert "vgg19: 13 non-dominated" in out


def test_pages_models_and_the_doctor_need_no_torch(said):
    for command in NEED_NO_TORCH[1:4]:
        assert said[command][0] == 0, said[command]
    _, doctor, _ = said["doctor --json"]
    assert "torch's threads" not in doctor
    assert '"highs"' in doctor


@pytest.mark.parametrize("command", NEED_TORCH)
def test_what_needs_torch_says_so(said, command):
    expected = "lmos: this command needs the extra 'torch': pip install 'lmos[torch]'\n"
    assert said[command] == [1, "", expected]


@pytest.mark.slow
def test_installed_alone_it_traces_and_plans(wheel, tmp_path):
    """Needs a package index."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    lmos, empty = tmp_path / "venv" / "bin" / "lmos", tmp_path / "empty"
    empty.mkdir()
    front = subprocess.run([lmos, "front", "vgg19", "--json"], cwd=empty, capture_output=True, text=True, check=True)
    assert '"x1": 44' in front.stdout
    subprocess.run([lmos, "plan", "vgg19", "--select", "knee", "-o", "plan.json"], cwd=empty, check=True)
    assert (empty / "plan.json").is_file()


def test_one_version_stands_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert project["version"] == lmos_opt.__version__ == cited[1]
    assert f"\n## {project['version']}\n" in (ROOT / "CHANGELOG.md").read_text()
