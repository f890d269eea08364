"""What tests of the numbers share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from lmos_opt import formulation, rules

Write = Callable[[str, str], None]


@contextmanager
def _beside(package: ModuleType, folder: Path) -> Iterator[Write]:
    """Puts files beside those of a package: a name and a text; gone afterwards."""
    written = []

    def write(name: str, text: str) -> None:
        (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        written.append(f"{package.__name__}.{name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        yield write
        for module in written:
            sys.modules.pop(module, None)


@pytest.fixture
def new_rule(tmp_path: Path) -> Iterator[Write]:
    """Puts a file beside the shipped selection rules, for one test."""
    with _beside(rules, tmp_path) as write:
        yield write


@pytest.fixture
def new_block(tmp_path: Path) -> Iterator[Write]:
    """Puts a file beside the shipped blocks of constraints, for one test."""
    with _beside(formulation, tmp_path) as write:
        yield write
