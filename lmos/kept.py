"""What is kept on disk of networks that were looked at: the folder, and what an entry depends on.

An entry that was made of a user's own code names the files that were imported, which must be the same still.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from types import ModuleType
from typing import Any

from lmos_opt.cache import SharedCache, source_digest
from runner.machine import installed_versions

VARIABLE = "LMOS_CACHE"
"""The environment variable that names the folder; empty, nothing is kept."""
MOST_BYTES = 256 * 2**20
_PACKAGES = ("lmos", "torch", "torchvision", "timm", "transformers", "safetensors", "numpy", "onnx", "onnxruntime")
_OWN = ("lmos", "lmos_opt", "measurement", "runner")
_READ_BYTES = 64 * 2**20
"""The signature of a larger file consists of its size and times, that of a smaller one of its content."""
_BEGAN_S = time.time()
"""The time (s) before a command imports code of a user's. A file that changed later may not be the one that was imported."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def shared_cache() -> SharedCache | None:
    """The cache of profiles: in $LMOS_CACHE, otherwise `lmos/profiles` in the user's folder of caches. None if nothing is kept."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return SharedCache(named, MOST_BYTES) if named else None
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # nobody's home
        return None
    return SharedCache(folder / "lmos" / "profiles", MOST_BYTES)


def versions() -> dict[str, Any]:
    """Of Python, of this project's code, and of the packages that networks come from."""
    return {"python": sys.version, "source": source_digest(*_OWN), "versions": installed_versions(_PACKAGES)}


def runs_code(network: str) -> bool:
    """Whether the network comes from code that has no version: none of the sources'."""
    return ":" in network and network.partition(":")[0] not in ("torchvision", "timm", "hf", "decoder", "decoder_int8", "onnx")


def unchanged(files: object) -> bool:
    """Whether these files, by their paths, still have these signatures."""
    return isinstance(files, dict) and all(
        isinstance(sign, str) and signature(Path(path), by_content=sign.startswith("sha256:")) == sign
        for path, sign in files.items())


def imported(network: str) -> dict[str, str] | None:
    """The files of the code that built a network, with their signatures; empty for code that has a version.

    None if one of them has changed since this process began: it may not be the code that was imported.
    """
    files = dict(_code()) if runs_code(network) else {}
    return None if any(map(_is_new, files)) else files


def signature(path: Path, by_content: bool = True) -> str | None:
    """A text that changes when the file does: its SHA-256, or for a large file its inode, size and times. None without a file."""
    try:
        about = path.stat()
        if not S_ISREG(about.st_mode):
            return None
        if by_content and about.st_size <= _READ_BYTES:
            return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    except (OSError, ValueError):
        return None
    return f"stat:{about.st_dev}:{about.st_ino}:{about.st_size}:{about.st_mtime_ns}:{about.st_ctime_ns}"


def _is_new(path: str) -> bool:
    try:
        return Path(path).stat().st_ctime >= _BEGAN_S
    except OSError:
        return True


def _code() -> Iterator[tuple[str, str]]:
    """The files of the code that this process has imported, with their signatures: a user's own by what they hold, of each
    installed package one by its times. Python itself and this project have a version."""
    places = sysconfig.get_paths()
    python = tuple(places[key] + os.sep for key in ("stdlib", "platstdlib"))
    for name, module in list(sys.modules.items()):
        file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if not isinstance(file, str) or not Path(file).is_absolute() or name.partition(".")[0] in _OWN:
            continue
        is_installed = not _INSTALLED.isdisjoint(Path(file).parts)
        if ("." in name) if is_installed else file.startswith(python):
            continue
        if (sign := signature(Path(file), by_content=not is_installed)) is not None:
            yield file, sign
