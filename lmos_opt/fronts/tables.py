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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InputError
from lmos_opt.files import parse_json
from lmos_opt.front import Front
from lmos_opt.processes.writing import write_atomically

if TYPE_CHECKING:
    import pandas as pd

WHOLE = "front"
"""The column, and the key in the metadata."""
_QUOTED = re.compile(r"[\s'\"\\|]")
"""A layer's name with one of these stands in quotes, as a shell has them."""
_NONE = f"holds no front as a whole (column or metadata {WHOLE!r}); expected a file that Front.save wrote"


def write(front: Front, path: str | os.PathLike[str]) -> None:
    """Write the front by suffix, `.csv` or `.parquet`."""
    frame = front.to_frame()
    if not front.complete:
        frame["complete"] = False
    whole = json.dumps({key: value for key, value in front.to_dict().items() if key != "points"}, ensure_ascii=False)
    write_atomically(path, _csv(frame, whole) if Path(path).suffix.lower() == ".csv" else _parquet(frame, whole))


def read(path: str | os.PathLike[str]) -> Front:
    """The front in a file that `write` wrote. InputError names the file and what is wrong in it."""
    source = str(path)
    whole, rows = (_read_csv if Path(path).suffix.lower() == ".csv" else _read_parquet)(path, source)
    about = parse_json(whole, f"{source}, {WHOLE}")
    if not (isinstance(about, dict) and isinstance(about.get("objectives"), list)):
        raise InputError(source, _NONE)
    names = [name for one in about["objectives"] if isinstance(one, dict) and isinstance(name := one.get("name"), str)]
    points = []
    for number, row in enumerate(rows, 1):
        try:
            points.append(_point(row, names))
        except (AttributeError, TypeError, ValueError):  # columns of other types
            raise InputError(source, f"row {number} is no point of a front as Front.save writes it") from None
    return Front.from_dict({**about, "points": points}, source)


def _csv(frame: pd.DataFrame, whole: str) -> bytes:
    for column, joined in (("edge_layers", _layers), ("places", _places), ("solution", _solution), ("codecs", _codecs)):
        if column in frame:
            frame[column] = [joined(value) for value in frame[column]]
    if frame.empty:  # no point, so no row that could hold the rest
        frame = frame.astype(object).reindex([0], fill_value="")
        frame.loc[:, frame.columns == "complete"] = False
    frame[WHOLE] = [whole, *[""] * (len(frame) - 1)]
    return frame.to_csv(index=False).encode()


def _parquet(frame: pd.DataFrame, whole: str) -> bytes:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if "solution" in frame:  # whole and real numbers are one type in a column
        reals = [{name: float(value) for name, value in found.items()} for found in frame["solution"]]
        frame["solution"] = pd.Series(reals, dtype=object, index=frame.index)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, WHOLE.encode(): whole.encode()}), buffer)
    return buffer.getvalue()


def _read_csv(path: str | os.PathLike[str], source: str) -> tuple[bytes, list[dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(source, (getattr(error, "strerror", None) or str(error)).lower()) from None
    whole = rows[0].pop(WHOLE, None) if rows else None
    if not whole:
        raise InputError(source, _NONE)
    found: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 2):
        cells = {name: cell for name, cell in row.items() if name != WHOLE}
        if any(cell for name, cell in cells.items() if name != "complete"):
            found.append({name: _parsed(name, cell, f"{source}, line {number}") for name, cell in cells.items()})
    return whole.encode(), found


def _parsed(name: str | None, cell: str | None, where: str) -> Any:
    """A cell's value; numbers as they are written, to the last digit."""
    if name is None or cell is None:
        raise InputError(where, "has more or fewer cells than there are columns")
    try:
        if name == "edge_layers":
            return shlex.split(cell)
        if name == "places":
            return [shlex.split(part) for part in cell.split(" | ")] if "'" not in cell else _parts(shlex.split(cell))
        if name == "solution":
            return {one.rpartition("=")[0]: float(one.rpartition("=")[2]) for one in shlex.split(cell)}
        if name == "codecs":
            return {one.rpartition("=")[0]: one.rpartition("=")[2] for one in shlex.split(cell)}
        return None if name == "complete" else int(cell) if re.fullmatch(r"-?\d+", cell) else float(cell)
    except ValueError:
        raise InputError(where, f"{name}: got {cell!r:.60}, expected {_EXPECTED.get(name, 'a number')}") from None


_EXPECTED = {"edge_layers": "names of layers, blanks between them", "places": "names of layers, bars between places",
             "solution": "NAME=NUMBER, blanks between them", "codecs": "NAME=CODEC, blanks between them"}


def _read_parquet(path: str | os.PathLike[str], source: str) -> tuple[bytes, list[dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(Path(path).read_bytes()))
        rows = table.to_pylist()
    except (pa.ArrowException, ValueError):
        raise InputError(source, "is not a Parquet file") from None
    except OSError as error:
        raise InputError(source, (error.strerror or str(error)).lower()) from None
    whole = (table.schema.metadata or {}).get(WHOLE.encode())
    if whole is None:
        raise InputError(source, _NONE)
    return bytes(whole), rows


def _point(row: dict[str, Any], names: Sequence[Any]) -> dict[str, Any]:
    """A row as a front file has the point."""
    found: dict[str, Any] = {"values": {name: _tidy(row[name]) for name in names if name in row}}
    if row.get("edge_layers") is not None and "x1" in row:
        found["edge_layers"] = list(row["edge_layers"])
        found |= {key: value for key, value in row.items() if re.fullmatch(r"x[1-9]\d*", key) and key not in names}
    if row.get("places") is not None:
        found["places"] = [list(place) for place in row["places"]]
    if row.get("solution") is not None:
        found["solution"] = {name: _tidy(value) for name, value in row["solution"].items() if value is not None}
    if row.get("codecs") is not None:
        found["codecs"] = {name: codec for name, codec in dict(row["codecs"]).items() if codec is not None}
    return found


def _codecs(codecs: dict[str, str]) -> str:
    return " ".join(f"{_quoted(name)}={codec}" for name, codec in codecs.items())


def _tidy(value: float) -> int | float:
    """A number as points have it: whole ones as int."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _quoted(name: str) -> str:
    return shlex.quote(name) if not name or _QUOTED.search(name) else name


def _layers(layers: Sequence[str]) -> str:
    return " ".join(map(_quoted, layers))


def _places(places: Sequence[Sequence[str]]) -> str:
    return " | ".join(map(_layers, places))


def _parts(words: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            found.append([])
        else:
            found[-1].append(word)
    return found


def _solution(solution: dict[str, float]) -> str:
    return " ".join(f"{_quoted(name)}={float(number)!r}" for name, number in solution.items())
