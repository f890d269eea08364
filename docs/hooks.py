"""What mkdocs cannot do alone: pages that nobody listed, a page a notebook, a page of all commands, links that leave the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import typer
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from lmos.cli.application import app

_HERE = Path(__file__).parent
_NAMED_BLOCK = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)
_EQUATION = re.compile(r"^```math\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+(?:data|tests|lmos_opt|runner|measurement|lmos)/[^)]+)\)")


def on_config(config: Any) -> Any:
    """Pages that mkdocs.yml does not list stand under Explanation, so that none is written for nobody."""
    explanation = next(section["Explanation"] for section in config["nav"] if "Explanation" in section)
    listed = set(_listed(config["nav"]))
    explanation += [path for path in (str(file.relative_to(_HERE)) for file in sorted(_HERE.rglob("*.md"))) if path not in listed]
    return config


def _listed(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from _listed(item)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made here."""
    for path in sorted((_HERE / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook_page(path)))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Files of the repository that are no pages are named, not linked; a block that is a file has its name above it;
    equations become MathML, which browsers draw without a script."""
    def opening(found: re.Match[str]) -> str:
        return f"```{found[1]}" if found[2] == "output" else f'```{found[1]} title="{found[2]}"'

    def equation(found: re.Match[str]) -> str:
        return f'<div style="overflow-x: auto; padding: .9em 0; font-size: 1.1em">{convert(found[1], display="block")}</div>\n'

    markdown = _EQUATION.sub(equation, _NAMED_BLOCK.sub(opening, markdown))
    return _OUTSIDE.sub(lambda found: f"{found[1]} (`{found[2].replace('../', '')}`)", markdown)


def notebook_page(path: Path) -> str:
    """A notebook's cells as markdown; outputs are not kept, so there are none to show."""
    cells = nbformat.read(path, as_version=4).cells
    parts = [cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```" for cell in cells]
    parts.insert(1, f"[This page as a notebook]({path.name}), without outputs: run it to see them.")
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Every command's help."""
    command = typer.main.get_command(app)
    context = typer.Context(command)
    return get_docs_for_click(obj=command, ctx=context, name="lmos", title="Commands")
