"""`lmos cache`: the profiles and graphs that are kept on disk, and an end to them."""

from __future__ import annotations

import json
from datetime import datetime

from lmos.kept import VARIABLE, shared_cache
from lmos.output import out, print_json, table
from lmos_opt.errors import InputError
from lmos_opt.units import counted, format_size


def run(what: str | None, as_json: bool) -> None:
    """Raises InputError for a word other than `clear`, and where files cannot be removed or nothing is kept."""
    if what not in (None, "clear"):
        raise InputError("cache", f"{what!r} is not a command of the cache; expected clear, or nothing")
    cache = shared_cache()
    if cache is None:
        raise InputError(VARIABLE, "is empty, or there is no home: nothing is kept")
    removed = None if what is None else cache.clear()
    entries = cache.entries()
    total = sum(entry.bytes for entry in entries)
    if as_json:
        found = {"folder": str(cache.folder), "bytes": total, "most_bytes": cache.most_bytes, "removed": removed,
                 "entries": [{"path": str(one.path), "bytes": one.bytes, "used_s": one.used_s} for one in entries]}  # fmt: skip
        print_json(json.dumps(found, indent=1) + "\n")
    elif removed is not None:
        out().print(f"{cache.folder}: {counted(removed, 'file')} removed")
    else:
        title = (f"{cache.folder}: {counted(len(entries), 'file')}, {format_size(total)} "
                 f"of at most {format_size(cache.most_bytes)}")
        rows = [[one.path.name, format_size(one.bytes), f"{datetime.fromtimestamp(one.used_s):%Y-%m-%d %H:%M}"] for one in entries]
        out().print(table(title, ["file", "size", "last used"], rows, left=[0, 2]))
