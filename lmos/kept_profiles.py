"""Profiles that are kept on disk: a network is built and traced once, and read where it is asked for again.

What a profile depends on is its key: the network as typed, the versions of what builds and traces it, the files of a folder or
of weights. Of a user's own code the entry names the files that were imported, which must be the same still. Nothing relies on
an entry: a plan's digest is proven where it is run, as always.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from stat import S_ISREG
from types import ModuleType
from typing import Any, cast, get_args

from lmos.output import say
from lmos_opt.cache import SharedCache, source_digest
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.profile import Granularity, NetworkProfile

VARIABLE = "LMOS_CACHE"
"""The environment variable that names the folder; empty, nothing is kept."""
MOST_BYTES = 256 * 2**20
PAPER_NETWORKS = ("alexnet", "vgg13", "vgg16", "vgg19", "mobilenet_v2")
_PACKAGES = ("lmos", "torch", "torchvision", "timm", "transformers", "safetensors", "numpy")
_OWN = ("lmos", "lmos_opt", "measurement", "runner")
_READ_BYTES = 64 * 2**20
"""Larger files are known by their size and times, smaller ones by what they hold."""
_BEGAN_S = time.time()
"""Before a command imports any code of a user's: files that changed since may be others than those that were imported."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_NETWORK = re.compile(r"[A-Za-z_][\w.]*:\S.*")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A network and the options of `lmos profile` that decide its profile, as typed."""

    network: str
    weights: str | None = None
    granularity: str | None = None
    inputs: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()


def is_network(text: str) -> bool:
    """Whether a source is `timm:NAME`, `hf:DIRECTORY`, `package.module:callable` or `torchvision:NAME`, and no file."""
    return _NETWORK.fullmatch(text) is not None and not text.endswith(".json") and not _is_file(text)


def profile_cache() -> SharedCache | None:
    """Where profiles are kept: $LMOS_CACHE, else `lmos/profiles` in the user's folder of caches; None where they are not."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return SharedCache(named, MOST_BYTES) if named else None
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # nobody's home
        return None
    return SharedCache(folder / "lmos" / "profiles", MOST_BYTES)


def kept_profile(asked: Asked) -> NetworkProfile:
    """The network's profile: as it was kept, else made now and kept.

    Raises InputError for what cannot be used, MissingExtraError without torch, and what `trace_network` raises.
    """
    cache = profile_cache()
    key = None if cache is None else cache.key("profile", _ingredients(asked))
    if cache is None or key is None:
        return _made(asked)[0]
    if (found := _read(cache.read(key), asked)) is not None:
        for line in found[1]:
            say(line)
        return found[0]
    profile, said = _made(asked)
    files = dict(_code()) if _runs_code(asked.network) else {}
    if cache.key("profile", _ingredients(asked)) == key and not any(map(_is_new, files)):
        cache.write(key, {"profile": profile.to_dict(), "said": said, "files": files})
    return profile


def _made(asked: Asked) -> tuple[NetworkProfile, list[str]]:
    try:
        from lmos.profiles import make_profile, parse_inputs, weights_of
        from measurement.networks import parse_builder
    except ImportError:
        raise MissingExtraError("this command", "torch") from None
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        say(line)

    builder = parse_builder(asked.network)
    inputs = parse_inputs(asked.inputs)
    profile = make_profile(builder, weights_of(builder, asked.weights), _granularity(asked, builder), inputs, asked.opaque, tell)
    return profile, said


def _granularity(asked: Asked, builder: str) -> Granularity:
    """As asked; else as the paper has it, for the paper's networks alone."""
    if asked.granularity is None:
        name = builder.rpartition(":")[2]
        return "paper" if builder.startswith("torchvision:") and name in PAPER_NETWORKS else "module"
    if asked.granularity not in get_args(Granularity):
        raise InputError("--granularity", f"{asked.granularity!r} is not one of {', '.join(get_args(Granularity))}")
    return cast(Granularity, asked.granularity)


def _read(entry: Any, asked: Asked) -> tuple[NetworkProfile, list[str]] | None:
    """An entry's profile and what was said of it; None where it is damaged, another's, or its files have changed."""
    if not isinstance(entry, dict):
        return None
    files, said = entry.get("files"), entry.get("said")
    if not isinstance(files, dict) or not isinstance(said, list) or not all(isinstance(x, str) for x in (*said, *files.values())):
        return None
    if any(_signature(Path(path), by_content=sign.startswith("sha256:")) != sign for path, sign in files.items()):
        return None
    try:
        profile = NetworkProfile.from_dict(entry.get("profile"))
    except LmosError:
        return None
    is_it = profile.network is not None and profile.network.builder == _builder(asked)
    return (profile, said) if is_it else None


def _ingredients(asked: Asked) -> dict[str, Any]:
    """What the profile depends on and is known before anything is imported."""
    found: dict[str, Any] = {**asdict(asked), "network": _builder(asked), "python": sys.version, "source": source_digest(*_OWN),
                             "versions": {name: _version(name) for name in _PACKAGES}}  # fmt: skip
    place, _, name = asked.network.partition(":")
    if place == "hf":
        found["folder"] = {path.name: _signature(path) for path in _files(Path(name))}
    if asked.weights is not None:
        found["weights_file"] = _signature(Path(asked.weights.removeprefix("file:")))
    if _runs_code(asked.network):
        found["where"] = [str(Path.cwd()), os.environ.get("PYTHONPATH")]
    return found


def _builder(asked: Asked) -> str:
    """As `parse_builder`, which is of a module that takes seconds to import."""
    return f"torchvision:{asked.network}" if asked.network.isidentifier() else asked.network


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _runs_code(network: str) -> bool:
    """Whether the network comes from code that has no version: none of the sources'."""
    return ":" in network and network.partition(":")[0] not in ("torchvision", "timm", "hf")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than names are
        return False


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except (OSError, ValueError):
        return []


def _signature(path: Path, by_content: bool = True) -> str | None:
    """What changes where the file does: its SHA-256, of a large one its place, size and times; None where there is none."""
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
        if (sign := _signature(Path(file), by_content=not is_installed)) is not None:
            yield file, sign
