"""torchaudio's Conformer: what makes a mask of the lengths is one layer, since the mask is as long as the longest."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.models import Conformer

from measurement.adapters import Adapted


class Layers(nn.Module):
    """Takes and returns what the Conformer does."""

    def __init__(self, network: Conformer) -> None:
        super().__init__()
        self.mask, self.conformer_layers = Mask(), network.conformer_layers
        self.training = network.training

    def forward(self, input: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames, and how many of each sound count."""
        mask = self.mask(lengths)
        x = input.transpose(0, 1)
        for layer in self.conformer_layers:
            x = layer(x, mask)
        return x.transpose(0, 1), lengths


class Mask(nn.Module):
    """Which frames do not count."""

    def forward(self, lengths: Tensor) -> Tensor:
        """A row for each sound, as many columns as the longest has frames."""
        longest = int(lengths.max())
        return torch.arange(longest, device=lengths.device, dtype=lengths.dtype).expand(len(lengths), longest) >= lengths[:, None]


def adapter(module: nn.Module) -> Adapted | None:
    """The Conformer, written so that its layers can be traced; None for any other module."""
    return (Layers(module), frozenset({"mask"})) if type(module) is Conformer else None


ADAPTER = adapter
