"""Fronts as tables in files: a row for each point, and the properties of the whole front, so that they read back equal.

CSV has these properties as JSON in the first row of a last column, `front`; Parquet has them in its metadata, under the same name.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lmos_opt.errors import InputError
from lmos_opt.files import LARGEST_FILE_BYTES, as_text, parse_json, read_file
from lmos_opt.front import Front, own_column
from lmos_opt.processes.parquet import read_rows
from lmos_opt.processes.writing import write_atomically

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
WHOLE = "front"
"""The column, and the key in the metadata."""
_BESIDE = ("edge_layers", "places", "solution", "codecs", "complete")
"""The columns beside those of the objectives and of the numbers of layers, where points have such things."""
_QUOTED = re.compile(r"[\s'\"\\|=]")
"""A name with one of these stands in quotes, as a shell has them."""
_BIT = r"'[^']*'|\"[^\"]*\"|\\."
_WORD = re.compile(rf"(?:{_BIT}|[^\s'\"\\])+", re.DOTALL)
_PAIR = re.compile(rf"(.*)=((?:{_BIT}|[^'\"\\=])*)", re.DOTALL)
"""A word of a cell, and the two words of a pair, still in their quotes."""
_ABSENT = "-"
"""The cell of a point without a solution, or without codecs, beside points that have them."""
_NONE = f"holds no front as a whole (column or metadata {WHOLE!r}); expected a file that Front.save wrote"


def write(front: Front, path: str | os.PathLike[str]) -> None:
    """Write the front by suffix, `.csv` or `.parquet`."""
    frame = front.to_frame()
    if not front.complete:
        frame[own_column("complete", front.names)] = False
    whole = json.dumps({key: value for key, value in front.to_dict().items() if key != "points"}, ensure_ascii=False)
    as_file = _csv if Path(path).suffix.lower() == ".csv" else _parquet
    write_atomically(path, as_file(frame, front.names, whole))


def read(path: str | os.PathLike[str]) -> Front:
    """The front in a file that `write` wrote. InputError names the file and what is wrong in it."""
    source = str(path)
    is_csv = Path(path).suffix.lower() == ".csv"
    whole, columns, rows = (_read_csv if is_csv else _read_parquet)(path, source)
    about = parse_json(whole, f"{source}, {WHOLE}")
    if not (isinstance(about, dict) and isinstance(about.get("objectives"), list)):
        raise InputError(source, _NONE)
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise InputError(source, f"has the column {twice[0]!r:.60} twice")
    names = [name for one in about["objectives"] if isinstance(one, dict) and isinstance(name := one.get("name"), str)]
    own = {own_column(name, names): name for name in (*_BESIDE, *(f"x{p}" for p in range(1, len(columns) + 1)))}
    points = []
    for number, found in enumerate(rows, 1):
        where = f"{source}, line {number + 1}"
        row = {name: _parsed(own.get(name, ""), cell, f"{where}: {name}") if is_csv else cell for name, cell in found.items()}
        try:
            points.append(_point({name: row[name] for name in names if name in row},
                                 {own[column]: value for column, value in row.items() if column in own}))
        except (AttributeError, TypeError, ValueError):  # columns of other types
            raise InputError(source, f"row {number} is no point of a front as Front.save writes it") from None
    return Front.from_dict({**about, "points": points}, source)


def _csv(frame: pd.DataFrame, names: Sequence[str], whole: str) -> bytes:
    ways: dict[str, Callable[[Any], str]] = {"edge_layers": _layers, "places": _places, "solution": _solution, "codecs": _codecs}
    for name, joined in ways.items():
        column = own_column(name, names)
        if column in frame:
            frame[column] = [joined(value) if isinstance(value, dict | list) else _ABSENT for value in frame[column]]
    if frame.empty:  # no point, so no row that could hold the rest
        frame = frame.astype(object).reindex([0], fill_value="")
        frame.loc[:, frame.columns == own_column("complete", names)] = False
    frame[own_column(WHOLE, names)] = [whole, *[""] * (len(frame) - 1)]
    text: str = frame.to_csv(index=False)
    return text.encode()


def _parquet(frame: pd.DataFrame, names: Sequence[str], whole: str) -> bytes:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, kind in (("solution", float), ("codecs", str)):  # whole and real numbers are one type in a column
        column = own_column(name, names)
        if column in frame:
            found = [{key: kind(value) for key, value in one.items()} if isinstance(one, dict) else None for one in frame[column]]
            is_empty = not any(found)  # a struct without fields cannot be written
            frame[column] = pd.Series([None if one is None else "" if is_empty else one for one in found], dtype=object,
                                      index=frame.index)  # fmt: skip
    table = pa.Table.from_pandas(frame, preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, WHOLE.encode(): whole.encode()}), buffer)
    return buffer.getvalue()


def _read_csv(path: str | os.PathLike[str], source: str) -> tuple[bytes, list[str], list[dict[str, Any]]]:
    """The whole front's properties as JSON, the names of the columns, and the rows, whose cells are text."""
    csv.field_size_limit(2**31 - 1)
    text = as_text(read_file(path), source)
    try:
        header, *rows = [*csv.reader(io.StringIO(text, newline=""))] or [[]]
    except csv.Error as error:
        raise InputError(source, str(error)) from None
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(f"{source}, line {number}", "has more or fewer cells than there are columns")
    if not (rows and header[-1].rstrip("_") == WHOLE and rows[0][-1]):
        raise InputError(source, _NONE)
    columns = header[:-1]
    found = [dict(zip(columns, row, strict=False)) for row in rows]
    return rows[0][-1].encode(), columns, [row for row in found if any(set(row.values()) - {"", "False"})]


def _parsed(name: str, cell: str, where: str) -> Any:
    """A cell's value; numbers as they are written, to the last digit."""
    try:
        if name == "edge_layers":
            return [*map(_plain, _words(cell))]
        if name == "places":
            return _parts(_words(cell))
        if name in ("solution", "codecs"):
            return None if cell == _ABSENT else dict(_pair(word, float if name == "solution" else str) for word in _words(cell))
        return None if name == "complete" else int(cell) if re.fullmatch(r"-?\d+", cell) else float(cell)
    except ValueError:
        raise InputError(where, f"got {cell!r:.60}, expected {_EXPECTED.get(name, 'a number')}") from None


_EXPECTED = {"edge_layers": "names of layers, blanks between them", "places": "names of layers, bars between places",
             "solution": "NAME=NUMBER, blanks between them", "codecs": "NAME=CODEC, blanks between them"}


def _read_parquet(path: str | os.PathLike[str], source: str) -> tuple[bytes, list[str], list[dict[str, Any]]]:
    """The whole front's properties as JSON, the names of the columns, and the rows."""
    import pyarrow as pa

    try:
        table, rows = read_rows(read_file(path), LARGEST_FILE_BYTES)
    except (pa.ArrowException, OSError, ValueError):
        raise InputError(source, "is not a Parquet file") from None
    except (OverflowError, MemoryError) as error:  # of a date, or of a small file with very many rows
        raise InputError(source, f"holds no front: {error or 'it takes more memory than there is'}") from None
    whole = (table.schema.metadata or {}).get(WHOLE.encode())
    if whole is None:
        raise InputError(source, _NONE)
    return bytes(whole), table.column_names, rows


def _point(values: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A row as a front file has the point: the objectives' values, and what its other columns hold."""
    found: dict[str, Any] = {"values": {name: _tidy(value) for name, value in values.items()}}
    if own.get("edge_layers") is not None and "x1" in own:
        found["edge_layers"] = list(own["edge_layers"])
        found |= {key: value for key, value in own.items() if key not in _BESIDE}
    if own.get("places") is not None:
        found["places"] = [list(place) for place in own["places"]]
    for key in ("solution", "codecs"):
        if own.get(key) is not None:
            found[key] = {name: _tidy(value) for name, value in dict(own[key]).items() if value is not None}
    return found


def _tidy(value: Any) -> Any:
    """A number as points have it: whole ones as int."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _quoted(name: str) -> str:
    """As `shlex.quote`, which leaves an equals sign bare."""
    return "'" + name.replace("'", "'\"'\"'") + "'" if not name or _QUOTED.search(name) else name


def _layers(layers: Sequence[str]) -> str:
    return " ".join(map(_quoted, layers))


def _places(places: Sequence[Sequence[str]]) -> str:
    return " | ".join(map(_layers, places))


def _solution(solution: Mapping[str, float]) -> str:
    return " ".join(f"{_quoted(name)}={float(number)!r}" for name, number in solution.items())


def _codecs(codecs: Mapping[str, str]) -> str:
    return " ".join(f"{_quoted(name)}={_quoted(codec)}" for name, codec in codecs.items())


def _words(cell: str) -> list[str]:
    """The words of a cell, still in their quotes: a bar in quotes is a name. ValueError if a quote is not closed."""
    shlex.split(cell)
    return _WORD.findall(cell)


def _plain(word: str) -> str:
    return shlex.split(word)[0]


def _parts(words: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            found.append([])
        else:
            found[-1].append(_plain(word))
    return found


def _pair(word: str, kind: Callable[[str], T]) -> tuple[str, T]:
    """The two sides of the last equals sign that stands in no quotes. ValueError if there is none."""
    if (found := _PAIR.fullmatch(word)) is None:
        raise ValueError("expected an equals sign")
    name, value = found.groups()
    return _plain(name), kind(_plain(value))
