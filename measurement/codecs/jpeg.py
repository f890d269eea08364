"""`jpeg:Q`: the picture itself, as a JPEG of quality Q (1 to 100); what a practical user compares a split with.

For the input of networks that take pictures. What crosses is the cropped picture of 8 bits a channel, before it is normalised:
the edge finds it again in the input tensor, the server decodes and normalises it. Everything but the input travels as it is.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Self

from lmos_opt.errors import InputError
from lmos_opt.graph import INPUT
from lmos_opt.units import whole_of
from measurement.codecs import Codec, CodecError, Described

if TYPE_CHECKING:
    from torch import Tensor

    from lmos_opt.profile import NetworkSource, TensorSpec

_SCAN = b"\xff\xda"
"""Begins a scan; entropy-coded bytes do not have it. Many scans over few bytes would keep a decoder busy."""
_OTHERS = "choose raw, fp16, int8 or zstd"
"""For what a JPEG cannot hold."""


class Jpeg(Codec):
    """Takes the input alone, float32 of 1 x 3 x H x W or 1 x 1 x H x W; as it is where a JPEG would be longer."""

    only_input = True
    usual = ("75",)
    needs = "PIL"
    extra = "torch"

    def __init__(self, name: str, argument: str | None) -> None:
        quality = whole_of(argument or "")
        if quality is None or not 1 <= quality <= 100:
            raise InputError("codec", f"{name}{'' if argument is None else f':{argument:.60}'}: expected a quality from 1 to 100, "
                                      f"as in {name}:75")  # fmt: skip
        self.name = f"{name}:{quality}"
        self.quality = quality
        self._normalisation: Any = None

    def sent_bytes(self, tensor: Described) -> None:
        """None: the bytes depend on the picture."""
        del tensor

    def for_network(self, network: NetworkSource, tensor: TensorSpec | None) -> Self:
        """With the network's own normalisation of pictures; InputError if it takes none."""
        if tensor is None:
            raise InputError(self.name, f"is for networks that take one picture alone; {network.builder} takes several inputs; "
                                        f"{_OTHERS}")  # fmt: skip
        shape = tensor.shape
        if len(shape) != 4 or shape[0] != 1 or shape[1] not in (1, 3) or tensor.dtype != "float32":
            raise InputError(self.name, f"is for networks that take one picture; {network.builder} takes "
                                        f"{'x'.join(map(str, shape))} {tensor.dtype}; {_OTHERS}")  # fmt: skip
        from measurement.networks.preprocessing import normalisation_for

        found = self.__class__("jpeg", str(self.quality))
        found._normalisation = normalisation_for(network.builder, network.weights, shape)
        return found

    def encode(self, name: str, tensor: Tensor) -> bytes | None:
        """A baseline JPEG of the input; None for anything else."""
        from PIL import Image

        if name != INPUT:
            return None
        planes = self._normalisation.pixels(tensor[0])
        pixels = planes[0].numpy() if len(planes) == 1 else planes.permute(1, 2, 0).contiguous().numpy()
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=self.quality)
        return stream.getvalue() if stream.tell() < tensor.nbytes else None

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """The network's input from the picture. CodecError for a wrong size, which is checked first, and for more than one scan."""
        import numpy as np
        import torch
        from PIL import Image, UnidentifiedImageError

        if len(tensor.shape) != 4 or tensor.shape[0] != 1 or tensor.dtype != "float32" or self._normalisation is None:
            raise CodecError("only the input travels as a JPEG: one picture, float32")
        _, channels, height, width = tensor.shape
        data = bytes(payload)
        if data.count(_SCAN) != 1:
            raise CodecError("not a JPEG of one scan")
        try:
            with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
                if picture.size != (width, height) or picture.mode != ("RGB" if channels == 3 else "L"):
                    raise CodecError(f"a picture of {picture.size[0]}x{picture.size[1]} {picture.mode} for an input of "
                                     f"{width}x{height} with {channels} channels")  # fmt: skip
                pixels = torch.from_numpy(np.array(picture)).reshape(height, width, channels)
        except UnidentifiedImageError:
            raise CodecError("not a JPEG") from None
        except (OSError, SyntaxError, ValueError, ImportError, Image.DecompressionBombError) as error:  # what decoders raise
            raise CodecError(f"not a JPEG that can be read: {error}") from None
        values: Tensor = self._normalisation(pixels.permute(2, 0, 1)).contiguous()
        return values.flatten()


CODEC = Jpeg
