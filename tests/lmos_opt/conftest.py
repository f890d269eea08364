"""What tests of the numbers share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lmos_opt import rules


@pytest.fixture
def new_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Puts a file beside the shipped selection rules, for one test: a name and a text."""
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(tmp_path)])
    written = []

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        written.append(f"{rules.__name__}.{name}")

    yield write
    for module in written:
        sys.modules.pop(module, None)
