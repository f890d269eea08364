"""`run_sweep`: all fronts of a grid into one Parquet file, in parts: a run that was killed continues where it ended.

Parts are in the folder FILE.parts beside the file, until they are joined; each can be read by itself. The file is the same for any
number of workers and interruptions.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lmos_opt import solvers
from lmos_opt.cache import Cache, source_digest
from lmos_opt.errors import InputError, LmosError
from lmos_opt.instance import Instance
from lmos_opt.processes.parquet import read_table
from lmos_opt.processes.writing import check_output, make_folder, unwritable, write_atomically
from lmos_opt.sweeps.chunks import Chunk, schema, work
from lmos_opt.sweeps.grids import Grid
from lmos_opt.sweeps.wanted import checked_rules
from lmos_opt.sweeps.workers import answers

_KEY = b"lmos.sweep"
"""Where a file's metadata say which sweep it is of."""


class SweepFailedError(LmosError):
    """A front of a sweep could not be found; the message says which, and why."""


@dataclass(frozen=True)
class Swept:
    """What a run of a sweep did: the number of all fronts, of those that it found, and of those that were there already (`kept`).
    """

    fronts: int
    found: int
    kept: int


def run_sweep(grid: Grid, output: str | os.PathLike[str], *, instances: Sequence[Instance] | None = None, jobs: int | None = None,
              dask: str | None = None, on_part: Callable[[int, int], None] = lambda done, all_: None) -> Swept:  # fmt: skip
    """Find all fronts of a grid (or the choices of its rules) and write them to a Parquet file, a row for each point (or rule).

    `instances`, if given, replace the grid's sources; their names are in the column `source`. `jobs` processes run on this machine
    (None: one for each processor), or the workers of the Dask scheduler at `dask`. `on_part` is called with the number of fronts so
    far, and of all fronts; at first with the fronts that are there already. Parts of the same sweep that are there are kept; a
    complete file is not changed. Raises InputError for a grid that cannot be used and for parts of another sweep, ClusterError,
    SweepFailedError.
    """
    output = Path(output)
    check_output(output, (".parquet",))
    read = grid.instances() if instances is None else grid.of(instances)
    if grid.rules:
        grid = grid.model_copy(update={"rules": checked_rules(grid.rules, (instance for _, instance in read), grid.objectives)})
    places = max(len(instance.places) for _, instance in read)
    chunks = list(_chunks(grid, read, places))  # which refuses values that no key is made of
    key = _key(grid, read)
    n = sum(len(chunk.cases) for chunk in chunks)
    if _key_of(output) == key:
        on_part(n, n)
        return Swept(n, 0, n)
    parts = Path(f"{output}.parts")
    _claim(parts, key)
    todo = [chunk for chunk in chunks if not _part(parts, chunk.number).exists()]
    done = kept = n - sum(len(chunk.cases) for chunk in todo)
    on_part(done, n)
    sizes = {chunk.number: len(chunk.cases) for chunk in todo}
    for found in answers(work, todo, jobs, dask):
        if found.failure is not None:
            where, reason = found.failure
            raise InputError(where, reason) if found.is_input else SweepFailedError(f"{where}: {reason}")
        _write(_part(parts, found.number), found.table)
        done += sizes[found.number]
        on_part(done, n)
    _join(output, parts, len(chunks), schema(grid, places).with_metadata({_KEY: key.encode()}))
    return Swept(n, n - kept, kept)


def _chunks(grid: Grid, instances: list[tuple[dict[str, str], Instance]], places: int) -> Iterator[Chunk]:
    cases, number = grid.cases(len(instances)), 0
    while some := tuple(islice(cases, grid.chunk)):
        used = {case.instance: instances[case.instance] for case in some}
        yield Chunk(number, grid, some, used, places)
        number += 1


def _key(grid: Grid, instances: list[tuple[dict[str, str], Instance]]) -> str:
    """What tells one sweep from another: all that its fronts are made from."""
    solver = solvers.get(grid.solver)
    ingredients = {"grid": grid.model_dump(mode="json", by_alias=True), "solver": [solver.name, solver.version()],
                   "instances": [[labels, instance.to_dict()] for labels, instance in instances], "code": source_digest()}
    return Cache(".").key("sweep", ingredients)


def _claim(parts: Path, key: str) -> None:
    """Make the folder of parts this sweep's; InputError if it is another's."""
    mark = parts / "sweep"
    if mark.is_file() and mark.read_bytes() != key.encode():
        raise InputError(str(parts), "holds parts of another sweep, or of another version; remove it, or name another file")
    make_folder(parts)
    write_atomically(mark, key.encode())


def _part(parts: Path, number: int) -> Path:
    return parts / f"part-{number:06}.parquet"


def _write(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomically(path, buffer.getvalue())


def _join(output: Path, parts: Path, n: int, columns: Any) -> None:
    """All parts as one file, a row group each, in their order; then they are removed."""
    import pyarrow.parquet as pq

    joined = output.with_name(f".{output.name}.part")
    try:
        with joined.open("wb") as file, pq.ParquetWriter(file, columns) as writer:  # opened here: not every name is UTF-8
            for number in range(n):
                writer.write_table(_table_of(_part(parts, number), columns))
        joined.replace(output)
    except OSError as error:
        raise unwritable(output, error) from None
    finally:
        joined.unlink(missing_ok=True)
    shutil.rmtree(parts)


def _table_of(part: Path, columns: Any) -> Any:
    """A part's rows; InputError where somebody damaged the file."""
    import pyarrow as pa

    try:
        return read_table(part).cast(columns)
    except (OSError, ValueError, pa.ArrowException):  # what its readers raise
        raise InputError(str(part), "is no part of this sweep that can be read; remove it, and sweep again") from None


def _key_of(path: Path) -> str | None:
    """The key of the sweep in a file; None if there is no such file, or it has no key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            metadata = pq.read_schema(file).metadata or {}
    except (OSError, ValueError, pa.ArrowException):  # names that are no UTF-8 among them
        return None
    found = metadata.get(_KEY)
    return None if found is None else found.decode(errors="replace")
