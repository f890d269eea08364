"""What pages have in common: tables, pictures, a look, and how a template becomes one file that needs no network."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import MissingExtraError
from lmos_opt.plots import style
from lmos_opt.processes.writing import check_output, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Table:
    """Text in rows; `numbers` are the columns that are right-aligned."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Picture:
    """An SVG image as text for the page, and what it shows for those who do not see it."""

    data: str
    says: str


def picture_of(ax: Axes, says: str) -> Picture:
    """The picture of some Axes' figure."""
    return Picture(b64encode(style.svg_of(ax).encode()).decode(), f"{says}: {ax.get_title()}")


def check_page(path: Path) -> None:
    """InputError unless a page may have that name."""
    check_output(path, (".html", ".htm"))


def write_page(path: Path, folder: Path, **parts: Any) -> None:
    """Write the template `page.html` of a folder with its parts. MissingExtraError without jinja2."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("a page", "plots") from None
    environment = Environment(loader=FileSystemLoader([folder, Path(__file__).parent]), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    write_atomically(path, environment.get_template("page.html").render(**parts).encode())
