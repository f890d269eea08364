"""Small networks of the families whose windows attend to each other: as the published ones, with fewer and narrower blocks."""

from __future__ import annotations

from torch import nn
from torchvision.models.maxvit import MaxVit
from torchvision.models.swin_transformer import SwinTransformer


def swin() -> nn.Module:
    """Of pictures of 64: windows that do not divide it, and are shifted."""
    return SwinTransformer(patch_size=[4, 4], embed_dim=12, depths=[2, 2], num_heads=[2, 4], window_size=[7, 7], num_classes=10)


def maxvit() -> nn.Module:
    """Of pictures of 64."""
    return MaxVit(input_size=(64, 64), stem_channels=8, partition_size=4, block_channels=[8, 16], block_layers=[1, 2], head_dim=4,
                  stochastic_depth_prob=0.2, num_classes=10)  # fmt: skip
