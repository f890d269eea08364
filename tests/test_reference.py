"""The reference of names names all that is public, each under the package that exports it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "python.md").read_text()
DESCRIBED = re.findall(r"^::: ([\w.]+)$", PAGE, re.MULTILINE)
BESIDE = ("run_plan", "serve", "Access", "sweep", "build_model", "Event", "Observer")
"""Not exported by a package, and promised all the same."""


@pytest.mark.parametrize("package", ["lmos_opt", "measurement", "runner", "lmos"])
def test_every_public_name_is_in_the_reference(package):
    public = {*getattr(import_module(package), "__all__", ())}
    members = {name.strip() for listed in re.findall(r"members: \[([^\]]*)\]", PAGE) for name in listed.split(",")}
    described = {path.rpartition(".")[2] for path in DESCRIBED if path.startswith(f"{package}.")}
    here = described | (members if package == "lmos_opt" else set())
    assert public - here - {"__version__"} == set()
    assert {name for name in public if f"`{name}`" not in PAGE and f"`{package}.{name}`" not in PAGE} == set()


def test_names_that_no_package_exports_are_in_the_reference():
    assert set(BESIDE) <= {path.rpartition(".")[2] for path in DESCRIBED}


def test_nothing_is_described_twice():
    assert len(DESCRIBED) == len({*DESCRIBED})
