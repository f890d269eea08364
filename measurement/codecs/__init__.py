"""How crossing tensors travel: one file for each codec. `codecs/NAME.py` holds `CODEC`; the file's name registers it.

Nothing heavy is imported here or at the top of a codec: sizes are asked for where there is no torch.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from lmos_opt.codec_sizes import RAW
from lmos_opt.errors import InputError, LmosError, MissingExtraError, likely
from lmos_opt.graph import INPUT
from lmos_opt.imports import modules_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from lmos_opt.profile import NetworkSource, TensorSpec

Encoded = bytes | memoryview
__all__ = ["RAW", "Codec", "CodecError", "Described", "Encoded", "capabilities", "capability", "elements",
           "get", "names",
           "usual"]  # fmt: skip


class CodecError(LmosError):
    """Bytes that are not what a codec's other side would have sent."""


class Described(Protocol):
    """What is known of a tensor without its numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""

    @property
    def dtype(self) -> str:
        """torch's name of its elements' type."""

    @property
    def bytes(self) -> int:
        """Bytes of its elements as they are."""


class Codec:
    """A codec: the number of bytes that a tensor takes, its bytes, and the tensor from its bytes.

    - `is_lossless`: every bit comes back, and the strides too. `only_input`: for splits that send only the image.
    - `own` has the codecs of single tensors by name; it is empty except for `measurement.codec_choice.Several`.
    - `usual` are arguments to try if nobody gives one; empty if the codec takes no argument.
    - `needs` is a package that it uses besides torch, `extra` the extra of lmos that installs it.
    """

    is_lossless: ClassVar[bool] = False
    only_input: ClassVar[bool] = False
    own: ClassVar[Mapping[str, str]] = MappingProxyType({})
    usual: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str | None] = None
    extra: ClassVar[str] = "codecs"

    def __init__(self, name: str, argument: str | None) -> None:
        """Raises InputError for an argument that the codec does not take."""
        if argument is not None:
            raise InputError("codec", f"{name}:{argument}: {name} takes no argument")
        self.name = name

    def of(self, tensor: str) -> Self:
        """The codec of a tensor, by its name: this one. `measurement.codec_choice.Several` has others for some."""
        del tensor
        return self

    def sent_bytes(self, tensor: Described) -> int | None:
        """The number of bytes that the tensor takes, at most its own bytes; None if it depends on the tensor's numbers."""
        raise NotImplementedError

    def for_network(self, network: NetworkSource, tensor: TensorSpec | None) -> Self:
        """The codec for this network; InputError if it cannot be used there.

        `tensor` is the network's input; None if the network has other inputs than a single one called `input`.
        """
        del network, tensor
        return self

    def check_crossing(self, names: Iterable[str]) -> None:
        """Raises InputError if the codec is not for a split that sends these tensors."""
        other = next((name for name in names if self.only_input and name != INPUT), None)
        if other is not None:
            raise InputError(self.name, f"is for the image alone, and this split sends {other!r}; choose the split that sends the "
                                        "image (cut:0), or another codec")  # fmt: skip

    def encode(self, name: str, tensor: Tensor) -> Encoded | None:
        """The bytes of a dense tensor in main memory, or None if the tensor is to be sent as it is. A lossy codec gets it
        contiguous."""
        raise NotImplementedError

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """The elements in the order in which `encode` found them in memory, as one dimension.

        The payload comes from a peer, and may hold anything; it has fewer bytes than the tensor. Raises CodecError if it is
        wrong, before it takes more memory than the tensor needs.
        """
        raise NotImplementedError


def elements(tensor: Tensor) -> npt.NDArray[np.float32 | np.float64]:
    """A floating-point tensor's elements, as one dimension; float64 stays, all others become float32."""
    flat = tensor.flatten()
    found: npt.NDArray[np.float32 | np.float64] = (flat if flat.itemsize == 8 else flat.float()).numpy()
    return found


def names() -> list[str]:
    """The shipped codecs."""
    return list(modules_of(*__path__))


def get(text: str) -> Codec:
    """The codec of a name, with its argument after a colon: `int8`, `jpeg:75`.

    InputError for an unknown one or a wrong argument, MissingExtraError if a package that it uses is not installed.
    """
    name, colon, argument = text.partition(":")
    if name not in names():
        raise InputError("codec", f"{text!r} is not a codec; there are {', '.join(names())}{likely(name, names())}")
    kind = _kind(name)
    if not _is_here(kind):
        raise MissingExtraError(f"the codec {name}", kind.extra)
    return kind(name, argument if colon else None)


def usual() -> list[str]:
    """The shipped codecs, those that take an argument once for each that is usual: `zint:8`, `zint:6`."""
    return [f"{name}:{argument}" if argument else name for name in names() for argument in _kind(name).usual or ("",)]


@cache
def capabilities() -> tuple[str, ...]:
    """What a side of the protocol says that it can do: `codec:NAME` for each whose packages are installed."""
    return tuple(f"codec:{name}" for name in names() if _is_here(_kind(name)))


def capability(text: str) -> str:
    """What the other side must be able to do for this codec."""
    return f"codec:{text.partition(':')[0]}"


def _kind(name: str) -> type[Codec]:
    found: type[Codec] = import_module(f"{__name__}.{name}").CODEC
    return found


def _is_here(kind: type[Codec]) -> bool:
    return kind.needs is None or find_spec(kind.needs) is not None
