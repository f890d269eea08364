"""torchvision's RAFT, of two pictures to the flow between them: what reads sizes and numbers in the middle is parts of its own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.optical_flow._utils import make_coords_grid, upsample_flow
from torchvision.models.optical_flow.raft import RAFT

from measurement.adapters import Adapted


class Flow(nn.Module):
    """Takes and returns what the RAFT does."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.feature_encoder, self.context_encoder = network.feature_encoder, network.context_encoder
        self.pyramid, self.look_up = Pyramid(network.corr_block), LookUp(network.corr_block)
        self.places, self.upsampled = Places(), Upsampled()
        self.update_block, self.mask_predictor = network.update_block, network.mask_predictor
        self.training = network.training

    def forward(self, image1: Tensor, image2: Tensor, num_flow_updates: int = 12) -> list[Tensor]:
        """The flow after each update."""
        one, two = torch.chunk(self.feature_encoder(torch.cat([image1, image2])), 2)
        pyramid = self.pyramid(one, two)
        seen = self.context_encoder(image1)
        n = self.update_block.hidden_state_size
        hidden, context = torch.tanh(seen[:, :n]), torch.relu(seen[:, n:])
        start = now = self.places(seen)
        found = []
        for _ in range(num_flow_updates):
            hidden, change = self.update_block(hidden, context, self.look_up(pyramid, now), now - start)
            now = now + change
            mask = None if self.mask_predictor is None else self.mask_predictor(hidden)
            found.append(self.upsampled(now - start, mask))
        return found


class Pyramid(nn.Module):
    """Products of all pairs of places, at several resolutions."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.training = block.training

    def forward(self, one: Tensor, two: Tensor) -> list[Tensor]:
        """The finest first."""
        block: Any = copy.copy(self.block)
        block.build_pyramid(one, two)
        return list(block.corr_pyramid)


class LookUp(nn.Module):
    """What a pyramid holds around each place."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.training = block.training

    def forward(self, pyramid: list[Tensor], places: Tensor) -> Tensor:
        """A channel for each neighbour."""
        block: Any = copy.copy(self.block)
        block.corr_pyramid = list(pyramid)
        found: Tensor = block.index_pyramid(centroids_coords=places)
        return found


class Places(nn.Module):
    """The coordinates of each place."""

    def forward(self, features: Tensor) -> Tensor:
        """Of the features' batch, height and width."""
        batch, _, height, width = features.shape
        found: Tensor = make_coords_grid(batch, height, width).to(features.device)
        return found


class Upsampled(nn.Module):
    """A flow as large as the pictures."""

    def forward(self, flow: Tensor, mask: Tensor | None) -> Tensor:
        """By the mask where there is one, else interpolated."""
        found: Tensor = upsample_flow(flow=flow, up_mask=mask)
        return found


def adapter(module: nn.Module) -> Adapted | None:
    """A RAFT, written so that its encoders and updates can be traced; None for any other module."""
    return (Flow(module), frozenset({"pyramid", "look_up", "places", "upsampled"})) if type(module) is RAFT else None


ADAPTER = adapter
