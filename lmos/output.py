"""What commands print: tables on standard output, activity on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_LITERAL: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
"""Names from files are printed as they are: `conv[/b]` is no markup and `:cat:` no picture."""
WIDTH = 120
"""Columns of a table where standard output is no terminal."""


def out() -> Console:
    """Standard output, for tables and JSON."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, soft_wrap=True, **_LITERAL)


def err() -> Console:
    """Standard error, for activity and logs."""
    return Console(stderr=True, **_LITERAL)


def say(line: str) -> None:
    """Print a line for the user on standard error, so that it does not mix with the output of the command."""
    err().print(f"lmos: {line}", soft_wrap=True)


def print_json(text: str) -> None:
    """JSON on standard output, as it is; characters that standard output cannot hold are escaped as JSON has it."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    sys.stdout.write(text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> Table:
    """A table of text; columns are right-aligned but those in `left`."""
    found = Table(title=Text(title), title_justify="left", title_style="bold", header_style="bold")
    for k, column in enumerate(columns):
        found.add_column(column, justify="left" if k in left else "right", overflow="fold")
    for row in rows:
        found.add_row(*row)
    return found


def last_layers(n_places: int) -> list[str]:
    """Titles of columns: the last layer at each place but the last one."""
    return ["last layer at the edge"] if n_places == 2 else [f"last at place {p}" for p in range(1, n_places)]


def last_of(places: Sequence[Sequence[str]]) -> list[str]:
    """The cells of these columns."""
    return [(tuple(layers) or ("(none)",))[-1] for layers in places[:-1]]


@contextmanager
def activity(what: str) -> Iterator[Callable[[str], None]]:
    """Say on standard error what is under way, while it is; the value changes the words. Silent in a pipe."""
    console = err()
    with console.status(Text(what)) as status:
        yield lambda words: status.update(Text(words))


@contextmanager
def live(picture: Any, refreshes_per_s: float) -> Iterator[None]:
    """Draw something on standard error again and again while the block lasts, and take it away at its end; what is logged
    meanwhile appears above it."""
    console = err()
    with Live(console=console, get_renderable=lambda: picture, refresh_per_second=refreshes_per_s, transient=True,
              redirect_stdout=False):  # fmt: skip
        yield
