"""torchvision's networks by their names there, and the weights that it publishes for them."""

from __future__ import annotations

import difflib
import inspect
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from torch import nn

from lmos_opt.errors import InputError
from measurement.sources import DownloadError, Example, Source, numbers

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

_OPTIONS: dict[str, dict[str, Any]] = {
    # The auxiliary heads serve training only; init_weights is the default, said aloud to silence a warning about it.
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
_SHAPES = {"mvit": (16, 224, 224), "swin3d": (16, 224, 224), "s3d": (16, 224, 224), "": (16, 112, 112)}
"""Frames, height and width that video networks were made for, by how their names begin."""


class Torchvision(Source):
    """All families: classification, detection, segmentation, video, optical flow, and those with quantized weights."""

    needs: ClassVar[tuple[str, ...]] = ("torchvision",)
    is_open: ClassVar[bool] = True
    pattern: ClassVar[str] = r"[A-Za-z_]\w*"

    def check(self, name: str) -> None:
        """InputError names the networks that it could be."""
        super().check(name)
        _found(name)

    def build(self, name: str) -> nn.Module:
        """The network without weights of anybody else; InputError names those that it could be."""
        return _builder_of(name)(weights=None, **_OPTIONS.get(name, {}))

    def trained(self, name: str, value: str, weights: str, mapped: bool) -> tuple[nn.Module, Path | None]:
        """The network with published weights, which torchvision downloads once. DownloadError if that fails."""
        builder, entry = _builder_of(name), _entry(name, value, weights)
        try:
            with redirect_stdout(sys.stderr), _mapping() if mapped else nullcontext():  # torch prints that it downloads
                module: nn.Module = builder(weights=entry, progress=False)
        except URLError as error:
            raise DownloadError(weights, str(error.reason)) from None
        except OSError as error:
            raise DownloadError(weights, error.strerror or str(error)) from None
        return module, _cached_file(entry)

    def example(self, name: str, module: nn.Module) -> Example:
        """One of the family's input: a picture, a list of them, two of them, or a film."""
        del module
        family = family_of(name)
        if family == "video":
            frames = next(shape for prefix, shape in _SHAPES.items() if name.startswith(prefix))
            return numbers(1, 3, *frames)
        if family == "detection":
            return ([numbers(3, 320, 320)],)
        if family == "optical_flow":
            return (numbers(1, 3, 128, 128, least=-1.0), numbers(1, 3, 128, 128, least=-1.0).flip(-1))
        return numbers(1, 3, 224, 224)


SOURCE = Torchvision()


def family_of(name: str) -> str:
    """The family of a network: `detection`, `segmentation`, `video`, `optical_flow`, `quantization`; `models` for classifiers."""
    place = str(getattr(_found(name), "__module__", ""))
    return next((part for part in ("detection", "segmentation", "video", "optical_flow", "quantization") if f".{part}." in place),
                "models")  # fmt: skip


def _found(name: str) -> Callable[..., nn.Module]:
    from torchvision.models import get_model_builder, list_models

    names = list_models()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or ["alexnet", "vgg16", "resnet18"]
        own = f"; a network of {name}.py here is {name}:CALLABLE" if Path(f"{name}.py").is_file() else ""
        raise InputError(name, f"is no torchvision model; there are e.g. {', '.join(near)}{own}")
    builder: Callable[..., nn.Module] = get_model_builder(name)
    return builder


def _builder_of(name: str) -> Callable[..., nn.Module]:
    builder = _found(name)
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
