"""The site: built with every warning an error, and every page looked at in a real browser, wide and narrow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, Browser

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")
pytestmark = [pytest.mark.docs, pytest.mark.xdist_group("site")]  # built once
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_notebook_and_command_is_on_it(site: Path) -> None:
    pages = {str(path.relative_to(site).with_suffix("")) for path in site.rglob("*.html")}
    docs = ROOT / "docs"
    assert {str(path.relative_to(docs).with_suffix("")) for path in docs.rglob("*.md")} <= pages
    assert {f"notebooks/{path.stem}" for path in (docs / "notebooks").glob("*.ipynb")} <= pages
    commands = (site / "reference" / "commands.html").read_text()
    assert {"front", "plan", "run", "report", "ui", "export", "model", "doctor"} <= set(re.findall(r'id="lmos-(\w+)"', commands))
    assert "non-dominated objective vector once" in (site / "reference" / "python.html").read_text()


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    source = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]*)"|<link[^>]*rel="stylesheet"[^>]*href="([^"]*)"')
    for page in site.rglob("*.html"):
        loaded = source.findall(page.read_text())
        assert not [address for pair in loaded for address in pair if address.startswith(("http", "//"))], page


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_every_page_fits_wide_and_narrow_windows(site: Path, page: Browser) -> None:
    for file in sorted(site.rglob("*.html")):
        if file.name == "404.html":  # made for a server's root
            continue
        page.open(file.as_uri())
        for width in (1280, 400):
            page.resize(width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (file, width)
            assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"), file
        assert page.errors == [], file
