"""The page: every experiment beside the paper's numbers, in one file that needs no network."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos.paper.making.experiment import Experiment, Result
from lmos_opt.processes.writing import write_atomically
from lmos_opt.units import counted

if TYPE_CHECKING:
    import pandas as pd

_HERE = Path(__file__).parent
_UNITS = {"s": "s", "bytes": "B", "percent": "%"}


def section(experiment: Experiment, result: Result, picture: bytes | None, account: dict[str, Any]) -> str:
    """One experiment's part of the page; `picture` is a PNG."""
    return _render("section.html", experiment=experiment, readings=result.readings, account=account,
                   tables=[(shown.title, *_cells(shown.frame)) for shown in result.tables],
                   picture=None if picture is None else b64encode(picture).decode())


def skipped(experiment: Experiment, reason: str) -> str:
    """The part of an experiment that could not be made here."""
    return _render("section.html", experiment=experiment, readings=(), account=None, tables=[], picture=None,
                   reason=reason)


def save_page(path: Path, sections: Sequence[tuple[Experiment, str | None]]) -> None:
    """Write the page; an experiment without a section is named as not made yet."""
    from markupsafe import Markup

    made = [(experiment, None if text is None else Markup(text)) for experiment, text in sections]
    write_atomically(path, _render("page.html", sections=made).encode())


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    values.setdefault("reason", None)
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)
    return environment.get_template(template).render(counted=counted, **values)


def _cells(frame: pd.DataFrame) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Column names, and rows of (text, is a number)."""
    rows = [[(_text(value), isinstance(value, int | float) and not isinstance(value, bool)) for value in row]
            for row in frame.astype(object).itertuples(index=False, name=None)]
    return [_heading(str(name)) for name in frame.columns], rows


def _heading(name: str) -> str:
    """A column's name in words: `t_edge_s` is `t edge (s)`."""
    stem, _, last = name.rpartition("_")
    unit = _UNITS.get(last) if stem else None
    return f"{stem} ({unit})".replace("_", " ") if unit else name.replace("_", " ")


def _text(value: Any) -> str:
    import pandas as pd

    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return str(value)
