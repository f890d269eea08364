"""Traces by a user's name for them: a file in any of the formats, a bundled one, or a part of either, `FILE@PART`."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from importlib import import_module
from pathlib import Path
from typing import Any

from lmos_opt.data import data_dir
from lmos_opt.device import Source
from lmos_opt.errors import InputError, likely
from lmos_opt.files import as_text, input_errors, parse_json, read_file
from lmos_opt.imports import modules_of
from lmos_opt.processes.writing import write_atomically
from lmos_opt.traces import formats
from lmos_opt.traces.record import LinkTrace

SUFFIXES = (".json", ".csv", ".log")
"""The formats in which a trace is written: `lmos.trace/1`, seconds and rates, the columns of the HSDPA logs."""


def load_trace(trace: LinkTrace | str | os.PathLike[str]) -> LinkTrace:
    """The trace that text names; `@PART` takes a part of it; a LinkTrace is returned unchanged.

    InputError for text that names neither a file nor a bundled trace, for a file in no known format (docs/files.md), and for a
    wrong line in it.
    """
    if isinstance(trace, LinkTrace):
        return trace
    file, part = _and_part(str(trace))
    if file is None:
        known = bundled_traces()
        raise InputError(str(trace), f"is neither a file nor a bundled trace; bundled are {', '.join(known)}{likely(trace, known)}")
    found = _read(file)
    return found if part is None else found.part(part)


def is_trace(text: str) -> bool:
    """Whether text names a file or a bundled trace, or a part of either."""
    return _and_part(text)[0] is not None


def bundled_traces() -> list[str]:
    """The names of the bundled traces, sorted."""
    return sorted(path.stem for path in (data_dir() / "traces").glob("*") if path.suffix in SUFFIXES)


def save_trace(trace: LinkTrace, path: str | os.PathLike[str]) -> None:
    """Write a trace: as `lmos.trace/1` (.json), as seconds and rates (.csv), or in the columns of the HSDPA logs (.log).

    InputError for any other suffix, and if the file cannot be written.
    """
    from lmos_opt.processes.writing import checked_suffix
    from lmos_opt.traces.formats import hsdpa, seconds_and_rates

    suffix = checked_suffix(path, SUFFIXES)
    if suffix == ".json":
        trace.save(path)
        return
    lines = (seconds_and_rates if suffix == ".csv" else hsdpa).written(trace)
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def _and_part(text: str) -> tuple[Path | None, str | None]:
    """The file that text names, None if there is none, and the part after its last `@`."""
    found = _file(text)
    if found is not None or "@" not in text:
        return found, None
    name, _, part = text.rpartition("@")
    return _file(name), part


def _file(name: str) -> Path | None:
    if name in bundled_traces():
        return next(path for suffix in SUFFIXES if (path := data_dir() / "traces" / f"{name}{suffix}").is_file())
    return Path(name) if name and os.path.isfile(name) else None  # noqa: PTH113 - False also of text too long for a name


def _read(path: Path) -> LinkTrace:
    data = read_file(path).removeprefix(BOM_UTF8)
    if data.lstrip()[:1] == b"{":
        return LinkTrace.from_dict(parse_json(data, str(path)), str(path))
    lines = list(formats.lines_of(str(path), as_text(data, str(path))))
    known = [import_module(f"{formats.__name__}.{name}") for name in modules_of(*formats.__path__)]
    expected = "; or ".join(["a file lmos.trace/1", *(one.WHAT for one in known)])
    if not lines:
        raise InputError(str(path), f"is empty; expected {expected}")
    found: Any = next((one for one in known if one.recognises(lines[0].text)), None)
    if found is None:
        raise lines[0].wrong(expected)
    further = {"rtt_s": found.rtts(lines)} if hasattr(found, "rtts") else {}
    steps = found.read(lines)
    source = Source(what="seconds, rate_bytes_per_s", source=f"{path.name}, read as {found.WHAT}")
    with input_errors(str(path)):
        return LinkTrace.of_steps(path.stem, f"read from {path.name}", steps, sources=(source,), **further)
