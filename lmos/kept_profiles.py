"""Profiles that are kept on disk: a network is built and traced once, and read where it is asked for again.

What a profile depends on is its key: the network as typed, the versions of what builds and traces it, the files of a folder or
of weights. Of a user's own code the entry names the files that were imported, which must be the same still. Nothing relies on
an entry: a plan's digest is proven where it is run, as always.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from lmos.kept import imported, runs_code, shared_cache, signature, unchanged, versions
from lmos.kept_graphs import KeptGraphs
from lmos.output import say
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.profile import Granularity, NetworkProfile

if TYPE_CHECKING:
    from lmos.profiles import Inputs

PAPER_NETWORKS = ("alexnet", "vgg13", "vgg16", "vgg19", "mobilenet_v2")
_NETWORK = re.compile(r"[A-Za-z_][\w.]*:\S.*")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A network and the options of `lmos profile` that decide its profile, as typed.

    A folder `hf:DIRECTORY` whose texts' lengths are given (`prompt`, `context`) is taken as a decoder, token by token.
    """

    network: str
    weights: str | None = None
    granularity: str | None = None
    inputs: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()
    prompt: int | None = None
    context: int | None = None

    @property
    def has_lengths(self) -> bool:
        """Whether it is to be a decoder, by how long its texts are."""
        return self.prompt is not None or self.context is not None


def as_decoder(network: str) -> str:
    """A folder of transformers as a decoder, token by token."""
    return f"decoder:{network.removeprefix('hf:')}"


def is_network(text: str) -> bool:
    """Whether a source is a network by name: `timm:NAME`, `package.module:callable` and the like, and no file."""
    return _NETWORK.fullmatch(text) is not None and not text.endswith(".json") and not _is_file(text)


def kept_profile(asked: Asked) -> NetworkProfile:
    """The network's profile: as it was kept, else made now and kept.

    Raises InputError for what cannot be used, MissingExtraError without torch, and what `trace_network` raises.
    """
    cache = shared_cache()
    key = None if cache is None else cache.key("profile", _ingredients(asked))
    if cache is None or key is None:
        return _made(asked)[0]
    if (found := _read(cache.read(key), asked)) is not None:
        for line in found[1]:
            say(line)
        return found[0]
    profile, said = _made(asked)
    files = imported(asked.network)
    if files is not None and cache.key("profile", _ingredients(asked)) == key:
        cache.write(key, {"profile": profile.to_dict(), "said": said, "files": files})
    return profile


def _made(asked: Asked) -> tuple[NetworkProfile, list[str]]:
    try:
        from lmos.profiles import Lengths, make_profile, parse_inputs, weights_of
        from measurement.networks import parse_builder
    except ImportError:
        raise MissingExtraError("this command", "torch") from None
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        say(line)

    builder = parse_builder(_builder(asked))
    inputs: Inputs = parse_inputs(asked.inputs)
    if asked.has_lengths:
        if inputs is not None:
            raise InputError("--input", "stands beside --prompt or --context, which say what a decoder takes")
        inputs = Lengths(asked.prompt, asked.context)
    profile = make_profile(builder, weights_of(builder, asked.weights), _granularity(asked, builder), inputs, asked.opaque, tell,
                           KeptGraphs.here())
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
    """An entry's profile and what was said of it; None if it is damaged, another's, or its files have changed."""
    if not isinstance(entry, dict):
        return None
    said = entry.get("said")
    if not isinstance(said, list) or not all(isinstance(line, str) for line in said) or not unchanged(entry.get("files")):
        return None
    try:
        profile = NetworkProfile.from_dict(entry.get("profile"))
    except LmosError:
        return None
    is_it = profile.network is not None and profile.network.builder == _builder(asked)
    return (profile, said) if is_it else None


def _ingredients(asked: Asked) -> dict[str, Any]:
    """What the profile depends on and is known before anything is imported."""
    found: dict[str, Any] = {**asdict(asked), "network": _builder(asked), **versions()}
    place, _, name = asked.network.partition(":")
    if place in ("hf", "decoder", "decoder_int8"):
        found["folder"] = {path.name: signature(path) for path in _files(Path(name))}
    if place == "onnx":
        found["file"] = signature(Path(name))
    if asked.weights is not None:
        found["weights_file"] = signature(Path(asked.weights.removeprefix("file:")))
    if runs_code(asked.network):
        found["where"] = [str(Path.cwd()), os.environ.get("PYTHONPATH")]
    return found


def _builder(asked: Asked) -> str:
    """As `parse_builder`, which is of a module that takes seconds to import; of a decoder, token by token."""
    if asked.has_lengths and asked.network.startswith("hf:"):
        return as_decoder(asked.network)
    return f"torchvision:{asked.network}" if asked.network.isidentifier() else asked.network


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


