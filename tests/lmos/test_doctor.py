"""`lmos doctor`: findings that agree with what is tried here another way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from lmos import doctor
from lmos.cli import main
from lmos_opt import LmosError, pareto_front, solvers
from lmos_opt.sources import Options, instance_of, load_source

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def found() -> dict[str, doctor.Finding]:
    return {f"{finding.part} {finding.name}": finding for finding in doctor.findings()}


def test_a_solver_is_there_if_it_solves(found: dict[str, doctor.Finding]) -> None:
    instance = instance_of(load_source("alexnet"), Options())
    for name in solvers.names():
        try:
            pareto_front(instance, solver=name)
            works = True
        except LmosError:
            works = False
        assert found[f"solver {name}"].is_there == works


def test_the_machine_is_as_its_commands_say(found: dict[str, doctor.Finding]) -> None:
    can = shutil.which("unshare") is not None and subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0
    assert found["machine network namespaces"].is_there == can
    if not can:
        assert not found["machine tc tbf"].is_there
    if find_spec("torch"):
        assert "processors" in found["machine torch's threads"].detail


def test_the_extras_it_names_are_the_projects() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    assert set(doctor.EXTRAS) == extras - {"all", "bench", "dev", "docs", "zoo"}


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=1", "nosuch-thing[more]>=2; extra == 'plots'", "lmos[plots]; extra == 'ui'", 'numpy; extra == "ui"']
    monkeypatch.setattr(doctor, "requires", lambda _: lines)
    found = {finding.name: finding for finding in doctor.findings()}
    assert found["required packages"].is_there
    assert found["plots"].detail == "missing: nosuch-thing; pip install 'lmos[plots]'"
    assert found["ui"].detail == "missing: nosuch-thing; pip install 'lmos[ui]'"
    assert "torch" not in {finding.name for finding in found.values() if finding.part == "extra"}


def test_a_required_package_that_is_missing_is_exit_code_1(monkeypatch: pytest.MonkeyPatch,
                                                           capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: ["nosuch-thing"])
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    assert [f["name"] for f in found if f["part"] == "package" and not f["is_there"]] == ["required packages"]


def test_the_command_prints_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capfd.readouterr().out
    assert "highs" in out
    assert "network namespaces" in out


def test_the_package_is_the_command() -> None:
    """`python -m lmos_opt` and `lmos` are one."""
    done = subprocess.run([sys.executable, "-m", "lmos_opt", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("lmos ")
    wrong = subprocess.run([sys.executable, "-m", "lmos_opt", "front", "nosuch"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "is neither a file nor a bundled network" in wrong.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_be_taught_to_complete(shell: str) -> None:
    """The script that `--show-completion` prints in that shell; under a test runner there is no shell to be found out."""
    ask = {**os.environ, "_LMOS_COMPLETE": f"source_{shell}"}
    script = subprocess.run([sys.executable, "-c", "from lmos.cli import main; main()"], capture_output=True, text=True,
                            check=True, env=ask)
    assert f"_LMOS_COMPLETE=complete_{shell}" in script.stdout
