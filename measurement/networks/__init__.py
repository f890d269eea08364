"""Networks by name: the same architecture and the same bits wherever they are built, and a digest that proves it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line
from measurement.networks.seeding import Postponed, seeded_fills
from measurement.networks.weights import OF_A_SOURCE, load_weights, parse_weights, seed_of, weights_path
from measurement.sources import TORCHVISION, DownloadError, get
from measurement.tracing.stored import packed, plain
from measurement.tracing.undisturbed import check_usable, to_eval

__all__ = [
    "Contents",
    "DownloadError",
    "build_network",
    "bytes_of",
    "check_builder",
    "hollow_module",
    "is_open",
    "network_digest",
    "parse_builder",
]

_BIAS = re.compile(r"(, )?\bbias=(True|False)")
"""Releases of torch differ in which modules say this of themselves, and the list of tensors shows it anyway."""


def parse_builder(text: str) -> str:
    """The builder string of a NETWORK argument: `alexnet` is `torchvision:alexnet`, `SOURCE:NAME` is kept.

    Looks at the form only; `build_network` finds out whether there is such a thing.
    """
    if text.isidentifier():
        return f"{TORCHVISION}:{text}"
    get(text)
    return text


def check_builder(builder: str) -> None:
    """Raises InputError if there is no such network here, MissingExtraError if a package that it needs is not installed.

    Imports the module that code of one's own is in. Builds nothing.
    """
    source, name = get(builder)
    source.check(name)


def is_open(builder: str) -> bool:
    """Whether a server may build the network for whoever asks: one of a closed list, without code of anybody else."""
    return get(builder)[0].is_open


def build_network(builder: str, weights: str, *, allow_code: bool = False) -> nn.Module:
    """The network in eval mode, on the CPU.

    `builder` is `torchvision:NAME`, `timm:NAME`, `hf:DIRECTORY`, `onnx:FILE` or, with `allow_code`, `package.module:callable`: a
    callable without arguments that returns an nn.Module (modules in the current directory count). `weights` is `seeded:N`,
    `bundled:NAME`, `torchvision:NAME` (published weights, downloaded once by torchvision), `hf:safetensors` (those in DIRECTORY),
    `onnx:initializers` (those in FILE), or `file:PATH`.
    Raises InputError for names, code or weights that cannot be used, DownloadError without a network, MissingExtraError if a
    package is not installed.
    """
    return _build(builder, weights, None, allow_code)[0]


def hollow_module(builder: str, weights: str, postponed: Postponed, *, allow_code: bool = False) -> tuple[nn.Module, Path | None]:
    """As `build_network`, with as little memory as can be, and the file that the weights came from.

    Seeded weights are left to be drawn in `postponed`. Those of a file are views of the file, mapped into memory and not to
    be changed, unless its format is an old one of torch's, which is read whole.
    """
    return _build(builder, weights, postponed, allow_code)


def _build(builder: str, weights: str, postponed: Postponed | None, allow_code: bool) -> tuple[nn.Module, Path | None]:
    kind, value = parse_weights(weights)
    parsed = parse_builder(builder)
    source, name = get(parsed)
    place = parsed.partition(":")[0]
    if kind in OF_A_SOURCE and kind != (source.whose or place):
        whose = "a torchvision model" if kind == TORCHVISION else f"a network of {kind}:"
        raise InputError(weights, f"published weights belong to {whose}, not to {builder}")
    if source.runs_code and not allow_code:
        raise InputError(builder, "names code to run, which is refused unless it is explicitly allowed")
    source.load()  # here: seconds that other networks need not wait; and not while fills are postponed
    with seeded_fills(seed_of(weights), postponed):
        if kind in OF_A_SOURCE:
            module, file = source.trained(name, value, weights, mapped=postponed is not None)
            return module.eval(), file
        module = source.build(name)
    check_usable(module, builder)
    if kind != "seeded":
        load_weights(module, weights, mapped=postponed is not None)
    try:
        return to_eval(module), None if kind == "seeded" else weights_path(weights)
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
