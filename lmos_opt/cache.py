"""A folder of results. The key of a result is made of everything that the result is made from, so an old result is never used for
other data.

Values are JSON files, written under another name and renamed: a run that is killed leaves whole results or none.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from lmos_opt.errors import InputError, LmosError
from lmos_opt.files import read_json
from lmos_opt.processes.writing import make_folder, write_atomically

_OURS = re.compile(r"[a-z]+-[0-9a-f]{40}\.json|\.[a-z]+-[0-9a-f]+\.\w+\.part")
"""Results, and what a run that was killed left of one: nothing else in the folder is ever counted or removed."""


class Cache:
    """Results in `folder`, one file for each result; the folder is made when the first one is written."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def key(self, kind: str, ingredients: Mapping[str, Any]) -> str:
        """The key of a result: `kind`, and SHA-256 over everything that the result is made from, given as JSON values."""
        text = json.dumps(ingredients, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    def read(self, key: str) -> Any | None:
        """The result, or None if it is not there; InputError for a file that holds no JSON."""
        path = self._path(key)
        return read_json(path) if path.exists() else None

    def write(self, key: str, value: Any) -> None:
        """Keep a result; InputError if the folder cannot be written."""
        path = self._path(key)
        make_folder(path.parent)
        write_atomically(path, _encoded(value))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


@dataclass(frozen=True)
class Entry:
    """A file of a cache, its size, and when it was last written or read (seconds since 1970)."""

    path: Path
    bytes: int
    used_s: float


class SharedCache(Cache):
    """A cache that several processes use at once and that never raises: a file that cannot be read or written counts as missing.

    Only the user can read the files. If they take more than `most_bytes`, those that were not used for the longest time are
    removed.
    """

    def __init__(self, folder: str | os.PathLike[str], most_bytes: int) -> None:
        super().__init__(folder)
        self.most_bytes = most_bytes

    def read(self, key: str) -> Any | None:
        """The result, or None if there is none that can be read."""
        try:
            found = super().read(key)
        except (LmosError, OSError):
            return None
        with suppress(OSError):
            os.utime(self._path(key))
        return found

    def write(self, key: str, value: Any) -> None:
        """Keep a result if the folder can be written, and remove old files if they take too much."""
        data = _encoded(value)
        with suppress(LmosError, OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path(key), data, mode=0o600)
            self._shrink()

    def entries(self) -> list[Entry]:
        """The files, the last used one first."""
        return sorted(self._files(), key=lambda entry: (-entry.used_s, entry.path.name))

    def clear(self) -> int:
        """Remove all files, and return their number. InputError for a file that cannot be removed."""
        found = self.entries()
        for entry in found:
            try:
                entry.path.unlink(missing_ok=True)  # another process may have been faster
            except OSError as error:
                raise InputError(str(entry.path), f"cannot be removed: {(error.strerror or str(error)).lower()}") from None
        return len(found)

    def _shrink(self) -> None:
        total = 0
        for entry in self.entries():
            total += entry.bytes
            if total > self.most_bytes:
                entry.path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Entry]:
        with suppress(OSError), os.scandir(self.folder) as found:
            for file in found:
                if _OURS.fullmatch(file.name) and file.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        about = file.stat(follow_symlinks=False)
                        yield Entry(Path(file.path), about.st_size, about.st_mtime)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


@cache
def source_digest(*packages: str) -> str:
    """SHA-256 over the Python source of installed packages: a part of the key and of the provenance of everything that they
    compute."""
    digest = hashlib.sha256()
    for package in packages or ("lmos_opt",):
        here = Path(import_module(package).__file__ or "").parent
        for path in sorted(here.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(here)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
