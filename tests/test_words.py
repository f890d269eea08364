"""Words that only the project's own authors understand do not come back to pages, help texts, docstrings and messages."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRIVATE = {
    "rung": "attempt", "ladder": "series of attempts", "kin": "similar", "house": "project, or shared state", "parade": "series",
    "naught": "nothing", "whereof": "of which", "therein": "in it", "thereof": "of it", "whence": "from which", "thither": "there",
    "hither": "here", "anew": "again", "as ever": "as always", "in vain": "without an answer", "no news": "known already",
    "a matter of coins": "chance", "is to be had": "is available", "under way for a while": "has lasted for a while",
}  # fmt: skip
"""Each word or phrase, and what to say instead."""
WORDS = re.compile(rf"\b({'|'.join(map(re.escape, PRIVATE))})s?\b", re.IGNORECASE)
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("data/**/README.md")])
NOTEBOOKS = sorted(ROOT.glob("docs/notebooks/*.ipynb"))
PACKAGES = ("lmos_opt", "measurement", "runner", "lmos_edge", "lmos")
MODULES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def found(text: str) -> list[str]:
    """Each word that should not be there, and what to say instead."""
    return [f"{match[0]!r}: say {PRIVATE[match[1].lower()]!r}" for match in WORDS.finditer(text)]


def prose(page: str) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```|`[^`\n]+`", "", page, flags=re.DOTALL | re.MULTILINE)


def strings(module: Path) -> Iterator[tuple[int, str]]:
    """The line and the text of every string with a space: docstrings, help texts, messages."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_words_that_everybody_knows(page):
    assert found(prose(page.read_text())) == []


def test_notebooks_use_words_that_everybody_knows():
    texts = [(book.name, "".join(cell["source"])) for book in NOTEBOOKS for cell in json.loads(book.read_text())["cells"]
             if cell["cell_type"] == "markdown"]  # fmt: skip
    assert [(name, words) for name, text in texts if (words := found(prose(text)))] == []


def test_docstrings_help_texts_and_messages_use_words_that_everybody_knows():
    wrong = [f"{module.relative_to(ROOT)}:{line}: {words}" for module in MODULES for line, text in strings(module)
             if (words := found(prose(text)))]
    assert wrong == []


def test_a_private_word_is_found_in_any_of_them():
    assert found("another Rung of the ladders") == ["'Rung': say 'attempt'", "'ladders': say 'series of attempts'"]
    assert found(prose("a `rung` is code\n```python\nrung = 1\n```\nand kind is no kin")) == ["'kin': say 'similar'"]


def test_the_glossary_is_short_enough_to_be_read_and_explains_each_word_once():
    rows = re.findall(r"^\| (.+?) \| .+ \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    words = [word.strip() for row in rows[2:] for word in row.split(",")]  # after the head and its line
    assert 0 < len(rows[2:]) <= 30
    assert len(words) == len(set(words))
