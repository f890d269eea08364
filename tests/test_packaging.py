"""The wheel: three packages with the data inside, and a front without torch from an empty folder."""

from __future__ import annotations

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


def test_it_holds_the_four_packages_and_nothing_beside_them(names):
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lmos_opt", "measurement", "runner", "lmos"}
    assert not any(name.endswith(".pyc") for name in names)


def test_it_holds_all_code_and_data(names):
    for package in ("lmos_opt", "measurement", "runner", "lmos"):
        assert {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")} <= names
        assert f"{package}/py.typed" in names
        assert {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.html")} <= names
    data = {f"lmos_opt/{path.relative_to(ROOT)}" for path in (ROOT / "data").rglob("*") if path.is_file()}
    assert data <= names


@pytest.fixture(scope="module")
def without_torch(wheel, tmp_path_factory):
    """Runs `lmos` from the unpacked wheel, in an empty folder, where torch cannot be imported."""
    installed, empty = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("empty")
    zipfile.ZipFile(wheel).extractall(installed)
    program = ("import sys; sys.modules['torch'] = sys.modules['torchvision'] = None\n"
               "import lmos_opt; assert lmos_opt.__file__.startswith(sys.argv[1])\n"
               "from lmos.cli import main; sys.exit(main(sys.argv[2:]))")  # fmt: skip

    def run(*arguments):
        return subprocess.run([sys.executable, "-c", program, str(installed), *arguments], cwd=empty, capture_output=True,
                              text=True, check=False, env={**os.environ, "PYTHONPATH": str(installed)})  # fmt: skip

    return run


def test_a_front_from_the_wheel_without_torch(without_torch):
    done = without_torch("front", "vgg19", "--bandwidth", "10Mbps")
    assert (done.returncode, done.stderr) == (0, "")
    assert "vgg19: 13 non-dominated" in done.stdout


def test_pages_models_and_the_doctor_need_no_torch(without_torch):
    for arguments in (["plan", "vgg19", "--select", "knee", "-o", "plan.json", "--plot", "cut.svg"],
                      ["report", "plan.json", "-o", "plan.html"], ["model", "vgg19", "-o", "vgg19.mps"]):
        done = without_torch(*arguments)
        assert done.returncode == 0, done.stderr
    doctor = without_torch("doctor", "--json")
    assert "torch's threads" not in doctor.stdout
    assert '"highs"' in doctor.stdout


@pytest.mark.parametrize("arguments", [["export", "plan.json", "-o", "halves"], ["profile", "alexnet"], ["serve"],
                                       ["run", "plan.json"], ["demo"]], ids=" ".join)  # fmt: skip
def test_what_needs_torch_says_so(without_torch, arguments):
    done = without_torch(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lmos: this command needs the extra 'torch': pip install 'lmos[torch]'\n"


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
