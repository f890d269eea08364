"""Where networks come from: one file for each source, imported when a network of it is named.

A builder is written `SOURCE:NAME`, as `timm:mobilenetv3_small_100`; whatever names no source here is `package.module:callable`,
code of the user's own. A source builds a network with initial weights, and says what it knows of it.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.imports import modules_of
from lmos_opt.preprocessing import Conventions
from lmos_opt.profile import TensorSpec

Example: TypeAlias = Tensor | tuple[Any, ...] | dict[str, Any]
"""What a network is called with: a tensor, a tuple (its arguments), or a dict (by name), of tensors, tuples, lists and dicts."""

TORCHVISION = "torchvision"
OTHERS = "callables"
"""The source of what names no other."""
_SEED = 20
"""Of the numbers in examples."""


class DownloadError(LmosError):
    """Published weights could not be fetched; `weights` names them."""

    def __init__(self, weights: str, reason: str) -> None:
        self.weights = weights
        super().__init__(f"{weights}: cannot be downloaded ({reason}); use file:PATH with a state dict fetched "
                         "elsewhere, or seeded:0")


class Source:
    """One source of networks. It imports the packages `needs`, which the extra `extra` installs.

    - `is_open`: a server builds its networks for everybody. They are a closed list, and run nobody else's code.
    - `runs_code`: to build a network runs code that the network's name gives.
    - `pattern` is the regular expression of its names.
    - `whose` is the name of another source, if its networks and weights are those of that source.
    - `is_decoder`: its networks write text, token by token.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "torch"
    is_open: ClassVar[bool] = False
    runs_code: ClassVar[bool] = False
    pattern: ClassVar[str] = r"[\w.-]+"
    whose: ClassVar[str | None] = None
    is_decoder: ClassVar[bool] = False

    def load(self) -> None:
        """Import the packages now, which takes seconds. MissingExtraError if they are not installed."""
        for package in self.needs:
            if find_spec(package) is None:
                raise MissingExtraError(f"networks of {package}", self.extra)
        for package in self.needs:
            import_module(package)

    def check(self, name: str) -> None:
        """Raises InputError if there is no network of this name, MissingExtraError if a package is missing. Builds nothing."""
        del name
        self.load()

    def build(self, name: str) -> nn.Module:
        """The network with the initial weights that its own code draws. InputError if there is no network of this name."""
        raise NotImplementedError

    def trained(self, name: str, value: str, weights: str, mapped: bool) -> tuple[nn.Module, Path | None]:
        """The network with the weights that this source itself has under `value`, and their one file, if it is that.

        With `mapped`, they are views of the file. `weights` names them in errors: InputError if there are none such.
        """
        raise InputError(weights, f"there are no such weights of {name}")

    def stands_for(self, allowed: str, name: str) -> bool:
        """Whether the network `allowed` here may be the one that is called `name` elsewhere; the digest tells whether it is."""
        return allowed == name

    def usual_weights(self, name: str) -> str | None:
        """The weights that are taken where the user names none; None for seeded ones."""
        del name
        return None

    def example(self, name: str, module: nn.Module) -> Example:
        """An input, with seeded numbers. InputError if the source cannot know one."""
        del module
        raise InputError(name, "nothing says what it takes; say it with --input")

    def remarks(self, name: str) -> tuple[str, ...]:
        """What is done to the network that a user may not expect; a line each."""
        del name
        return ()

    def conventions(self, name: str, tensor: TensorSpec) -> Conventions:
        """What is known of the network beyond its layers, for an input of this shape and dtype."""
        del name, tensor
        return Conventions()


def names() -> list[str]:
    """The sources."""
    return list(modules_of(*__path__))


def get(builder: str) -> tuple[Source, str]:
    """The source of a builder, and the network's name there. InputError for one that no source could have."""
    place, colon, name = builder.partition(":")
    if place not in names():
        place, name = OTHERS, builder
    source: Source = import_module(f"{__name__}.{place}").SOURCE
    if not colon or not re.fullmatch(source.pattern, name):
        raise InputError(builder, "is no network; expected a torchvision model such as alexnet, timm:NAME, hf:DIRECTORY, "
                                  "onnx:FILE or package.module:callable")  # fmt: skip
    return source, name


def example_of(builder: str, module: nn.Module) -> Example:
    """An example of the input of the network that `builder` names. InputError if nothing says what it takes."""
    source, name = get(builder)
    return source.example(name, module)


def numbers(*shape: int, least: float = 0.0, below: float = 1.0) -> Tensor:
    """Seeded numbers, uniform between these."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(_SEED)) * (below - least) + least


def indices(*shape: int, below: int) -> Tensor:
    """Seeded whole numbers from 0 on, as of words of a vocabulary."""
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(_SEED))
