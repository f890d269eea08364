"""`masks`: a class for every pixel, by a tensor of (batch, classes, height, width) logits, such as torchvision's `out`."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lmos_opt.files import Amount, Count, Record, Text
from runner.tasks import COLOURS, Context, Entry, Png, Result, Task

if TYPE_CHECKING:
    from torch import Tensor

MOST = len(COLOURS)
"""The most classes that are drawn: those with the most pixels."""
SIDE = 192
"""Pixels of a drawn mask's longer side, at most."""


class Region(Record):
    """A class, its name, and its share of the pixels."""

    index: Count
    name: Text
    share: Amount


class Masks(Result):
    """The classes with most pixels, and where they are (a PNG with transparent ground, as base64; None: not kept)."""

    task: Literal["masks"] = "masks"
    regions: Annotated[tuple[Region, ...], Field(max_length=MOST)]
    mask: Png | None = None

    @property
    def in_words(self) -> str:
        """The largest regions."""
        return ", ".join(f"{one.name} {100 * one.share:.0f} %" for one in self.regions[:3])

    @property
    def entries(self) -> Sequence[Entry]:
        """Each class with its share and colour."""
        return [Entry(one.name, f"{100 * one.share:.1f} %", _colour(one.index) if one.index else None) for one in self.regions]

    @property
    def overlay(self) -> str | None:
        """The mask."""
        return self.mask


class MasksTask(Task):
    """Outputs with a tensor `out`, or `logits`, of four dimensions and several classes."""

    rank = 20
    result = Masks

    def recognises(self, outputs: Mapping[str, Tensor]) -> bool:
        """Whether there is such a tensor under such a name."""
        return any(_is_map(outputs.get(path)) for path in ("output.out", "output.logits"))

    def read(self, outputs: Mapping[str, Tensor], context: Context) -> Masks | None:
        """The likeliest class of each pixel, or one of two where there is one channel: whether it is above 0."""
        import torch

        named = [outputs.get(path) for path in ("output.out", "output.logits", *outputs)]
        logits = next((tensor for tensor in named if tensor is not None and _is_map(tensor, least=1)), None)
        if logits is None:
            return None
        first = logits[0].nan_to_num()
        classes = first.argmax(0) if len(first) > 1 else (first[0] > 0).long()
        counts = torch.bincount(classes.flatten())
        largest = counts.argsort(descending=True, stable=True)[:MOST]
        kept = [int(k) for k in largest if counts[k] > 0]
        regions = tuple(Region(index=k, name=context.name(k), share=float(counts[k]) / classes.numel()) for k in kept)
        return Masks(regions=regions, mask=_drawn(classes, kept) if context.is_drawn else None)


def _is_map(tensor: Tensor | None, least: int = 2) -> bool:
    return (tensor is not None and tensor.dim() == 4 and tensor.is_floating_point() and min(tensor.shape) > 0
            and tensor.shape[1] >= least and tensor.shape[2] * tensor.shape[3] > 1)  # fmt: skip


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _drawn(classes: Tensor, kept: Sequence[int]) -> str:
    """Each kept class in its colour, class 0 and all others transparent: nothing is usually the first class."""
    import torch
    from PIL import Image

    step = max(1, -(-max(classes.shape) // SIDE))
    small = classes[step // 2 :: step, step // 2 :: step]
    places = torch.full(small.shape, len(kept), dtype=torch.uint8)
    for k, index in enumerate(kept):
        if index:
            places[small == index] = k
    picture = Image.fromarray(places.numpy(), "P")
    colours = [bytes.fromhex(_colour(index)[1:]) for index in kept]
    picture.putpalette(b"".join([*colours, b"\0\0\0"]))
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=len(kept), optimize=True)
    return b64encode(stream.getvalue()).decode()


TASK = MasksTask()
