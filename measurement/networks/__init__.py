"""Networks by name: the same architecture and the same bits wherever they are built, and a digest that proves it."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.error import URLError
from urllib.parse import urlparse

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lmos_opt.errors import THEIR_ERRORS, InputError, LmosError, first_line
from lmos_opt.imports import current_directory_importable, find_object
from measurement.networks.seeding import Postponed, seeded_fills
from measurement.networks.weights import load_weights, parse_weights, seed_of, weights_path
from measurement.tracing.stored import packed, plain
from measurement.tracing.undisturbed import check_usable, to_eval

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

TORCHVISION = "torchvision"
_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_BIAS = re.compile(r"(, )?\bbias=(True|False)")
"""Releases of torch differ in which modules say this of themselves, and the list of tensors shows it anyway."""
_OPTIONS: dict[str, dict[str, Any]] = {
    # The auxiliary heads serve training only; init_weights is the default, said aloud to silence a warning about it.
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


class DownloadError(LmosError):
    """Published weights could not be fetched; `weights` names them."""

    def __init__(self, weights: str, reason: str) -> None:
        self.weights = weights
        super().__init__(f"{weights}: cannot be downloaded ({reason}); use file:PATH with a state dict fetched "
                         "elsewhere, or seeded:0")


def parse_builder(text: str) -> str:
    """The builder string of a NETWORK argument: `alexnet` is `torchvision:alexnet`, `package.module:callable` is kept.

    Looks at the form only; `build_network` finds out whether there is such a thing.
    """
    if text.isidentifier():
        return f"{TORCHVISION}:{text}"
    if _CALLABLE.fullmatch(text):
        return text
    raise InputError(text, "is no network; expected a torchvision model such as alexnet, or package.module:callable")


def build_network(builder: str, weights: str, *, allow_code: bool = False) -> nn.Module:
    """The network in eval mode, on the CPU.

    `builder` is `torchvision:NAME` or, with `allow_code`, `package.module:callable`: a callable without arguments that
    returns an nn.Module (modules in the current directory are found too). `weights` is `seeded:N`, `bundled:NAME`,
    `torchvision:NAME` (published weights, downloaded once by torchvision), or `file:PATH`.
    Raises InputError for names, code or weights that cannot be used, DownloadError without a network.
    """
    return _build(builder, weights, None, allow_code)


def hollow_module(builder: str, weights: str, postponed: Postponed, *, allow_code: bool = False) -> tuple[nn.Module, Path | None]:
    """As `build_network`, with as little memory as can be, and the file that the weights came from.

    Seeded weights are left to be drawn in `postponed`. Those of a file are views of the file, mapped into memory and not to
    be changed, unless its format is an old one of torch's, which is read whole.
    """
    module = _build(builder, weights, postponed, allow_code)
    kind, value = parse_weights(weights)
    if kind == TORCHVISION:
        return module, _cached_file(_entry(builder.partition(":")[2], value, weights))
    return module, None if kind == "seeded" else weights_path(weights)


def _build(builder: str, weights: str, postponed: Postponed | None, allow_code: bool) -> nn.Module:
    kind, value = parse_weights(weights)
    place, _, name = parse_builder(builder).partition(":")
    if kind == TORCHVISION and place != TORCHVISION:
        raise InputError(weights, f"published weights belong to a torchvision model, not to {builder}")
    if place == TORCHVISION:
        import torchvision  # noqa: F401 - here: seconds that other networks need not wait; and not while fills are postponed
    with seeded_fills(seed_of(weights), postponed):
        if kind == TORCHVISION:
            return _published(name, value, weights, mapped=postponed is not None).eval()
        if place == TORCHVISION:
            module = _torchvision_builder(name)(weights=None, **_OPTIONS.get(name, {}))
        elif allow_code:
            module = _call(builder, place, name)
        else:
            raise InputError(builder, "names code to run, which is refused unless it is explicitly allowed")
    check_usable(module, builder)
    if kind != "seeded":
        load_weights(module, weights, mapped=postponed is not None)
    try:
        return to_eval(module)
    except THEIR_ERRORS as error:  # the user's code may raise anything
        raise InputError(builder, f"cannot be put into eval mode: {first_line(error)}") from error


Contents = Callable[[torch.Tensor], Iterable[npt.NDArray[np.uint8]]]
"""The bytes of a tensor, in pieces."""


def bytes_of(tensor: torch.Tensor) -> npt.NDArray[np.uint8]:
    """A tensor's bytes, without copying them where they lie in order."""
    found: npt.NDArray[np.uint8] = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return found


def network_digest(module: nn.Module, structure: Iterable[tuple[str, str, Sequence[str]]],
                   contents: Contents = lambda tensor: (bytes_of(tensor),)) -> str:
    """`sha256:<hex>` over architecture and weights: equal digests, equal networks.

    The architecture is every submodule's name, class and extra_repr (but for `bias=`), the traced `structure` (name,
    kind, inputs of each layer), and every parameter's and buffer's name, dtype and shape (one that stands under two
    names is described twice); after it come the bytes of every parameter and buffer once, as `contents` gives them. What
    quantized modules pack away counts as buffers, under the name of what packs it and a number.
    """
    named: dict[str, torch.Tensor] = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
        **{f"{name}[{k}]": tensor for name, holder in packed(module) for k, tensor in enumerate(plain(holder))},
    }
    tensors = {f"{name}[{k}]" if len(parts) > 1 else name: tensor
               for name, holder in named.items() for parts in (plain(holder),) for k, tensor in enumerate(parts)}  # fmt: skip
    first: dict[int, str] = {}
    for name, tensor in tensors.items():
        first.setdefault(id(tensor), name)
    header = {
        "modules": [[name, type(part).__name__, _BIAS.sub("", part.extra_repr())]
                    for name, part in module.named_modules(remove_duplicate=False)],
        "structure": [[name, kind, list(inputs)] for name, kind, inputs in structure],
        "tensors": [[name, str(tensor.dtype), list(tensor.shape), first[id(tensor)]]
                    for name, tensor in tensors.items()],
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode() + b"\n")
    for name, tensor in tensors.items():
        if first[id(tensor)] == name and tensor.numel():
            for part in contents(tensor):
                digest.update(part.data)
    return f"sha256:{digest.hexdigest()}"


def _torchvision_builder(name: str) -> Callable[..., nn.Module]:
    from torchvision.models import get_model_builder, list_models

    names = list_models()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or ["alexnet", "vgg16", "resnet18"]
        raise InputError(name, f"is no torchvision model; there are e.g. {', '.join(near)}")
    builder: Callable[..., nn.Module] = get_model_builder(name)
    if "weights_backbone" in inspect.signature(builder).parameters:  # else building detectors would download a backbone
        return lambda **options: builder(weights_backbone=None, **options)
    return builder


def _entry(name: str, entry: str, weights: str) -> WeightsEnum:
    from torchvision.models import get_model_weights

    entries = get_model_weights(name)
    if entry not in entries.__members__:
        published = ", ".join(entries.__members__)
        raise InputError(weights, f"torchvision publishes no such weights of {name}; it has {published}")
    found: WeightsEnum = entries[entry]
    return found


def _published(name: str, value: str, weights: str, mapped: bool) -> nn.Module:
    builder, entry = _torchvision_builder(name), _entry(name, value, weights)
    try:
        with _mapping() if mapped else nullcontext():
            module: nn.Module = builder(weights=entry, progress=False)
    except URLError as error:
        raise DownloadError(weights, str(error.reason)) from None
    except OSError as error:
        raise DownloadError(weights, error.strerror or str(error)) from None
    return module


def _cached_file(entry: WeightsEnum) -> Path:
    """Where torchvision keeps what it downloaded."""
    return Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(urlparse(entry.url).path).name)


@contextmanager
def _mapping() -> Iterator[None]:
    """Inside the block, torchvision's networks take published weights as views of the mapped file, once that was fetched."""
    from torchvision.models import WeightsEnum

    fetch, load = WeightsEnum.get_state_dict, nn.Module.load_state_dict

    def get_state_dict(entry: WeightsEnum, *args: Any, **options: Any) -> Any:
        path = _cached_file(entry)
        if not path.exists():
            fetch(entry, *args, **options)
        if not zipfile.is_zipfile(path):
            return fetch(entry, *args, **options)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)

    def load_state_dict(module: nn.Module, state: Any, *args: Any, **options: Any) -> Any:
        return load(module, state, *args, **{**options, "assign": True})

    with (
        mock.patch.object(WeightsEnum, "get_state_dict", get_state_dict),
        mock.patch.object(nn.Module, "load_state_dict", load_state_dict),
    ):
        yield


def _call(builder: str, module_name: str, path: str) -> nn.Module:
    with current_directory_importable():
        target = find_object(builder, module_name, path)
        if not callable(target):
            raise InputError(builder, f"{path!r} is {_a(target)}, not a callable")
        try:
            inspect.signature(target).bind()
        except TypeError as error:
            raise InputError(builder, f"must be callable without arguments: {error}") from None
        except ValueError:  # no signature is known, as of some C functions: let the call tell
            pass
        try:
            made = target()
        except THEIR_ERRORS as error:  # the user's code may raise anything
            raise InputError(builder, f"failed with {first_line(error)}") from error
    if not isinstance(made, nn.Module):
        raise InputError(builder, f"returned {_a(made)}, expected a torch.nn.Module")
    return made


def _a(value: object) -> str:
    return f"a value of type {type(value).__name__}"
