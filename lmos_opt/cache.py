"""A folder of results by content: what went into a result is its key, so nothing is computed twice, and nothing is stale.

Values are JSON files, written beside their place and renamed: a run that is killed leaves whole results or none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from lmos_opt.errors import InputError
from lmos_opt.files import read_json, write_atomically


class Cache:
    """Results under `folder`, one file a result; the folder is made when the first one is written."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def key(self, kind: str, ingredients: Mapping[str, Any]) -> str:
        """The key of a result: `kind` and SHA-256 over all that it is made from, given as JSON values."""
        text = json.dumps(ingredients, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    def read(self, key: str) -> Any | None:
        """The result, or None if it is not there; InputError for a file that holds no JSON."""
        path = self._path(key)
        return read_json(path) if path.exists() else None

    def write(self, key: str, value: Any) -> None:
        """Keep a result; InputError where the folder cannot be written."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(str(path.parent), f"cannot be a folder: {(error.strerror or str(error)).lower()}") from None
        write_atomically(path, json.dumps(value, separators=(",", ":"), allow_nan=False).encode())

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


@cache
def source_digest(*packages: str) -> str:
    """SHA-256 over the Python source of installed packages: an ingredient of whatever they compute, and of its provenance."""
    digest = hashlib.sha256()
    for package in packages or ("lmos_opt",):
        here = Path(import_module(package).__file__ or "").parent
        for path in sorted(here.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(here)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
