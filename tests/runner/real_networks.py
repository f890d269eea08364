"""Published architectures in small configurations with random weights, built by name on both sides, and an example of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lmos.bench.zoo.networks import bidirectional_gru, unet  # noqa: F401 - built by name too
from measurement.sources import indices, numbers
from measurement.tracing.calls import Example
from tests.runner.input_networks import NETWORKS, nested  # noqa: F401 - likewise

_TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def clip() -> nn.Module:
    """transformers', both towers."""
    from transformers import CLIPConfig, CLIPModel

    text = {**_TOWER, "vocab_size": 60, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 59}
    return CLIPModel(CLIPConfig(text_config=text, vision_config={**_TOWER, "image_size": 32, "patch_size": 16}, projection_dim=8))


def raft() -> nn.Module:
    """torchvision's small RAFT with fewer channels, for pictures of 32 by 32."""
    from torchvision.models.optical_flow.raft import BottleneckBlock, _raft

    return _raft(
        weights=None, progress=False, feature_encoder_layers=(8, 8, 12, 16, 16), feature_encoder_block=BottleneckBlock,
        feature_encoder_norm_layer=nn.InstanceNorm2d, context_encoder_layers=(8, 8, 12, 16, 32),
        context_encoder_block=BottleneckBlock, context_encoder_norm_layer=None, corr_block_num_levels=2, corr_block_radius=1,
        motion_encoder_corr_layers=(8,), motion_encoder_flow_layers=(8, 8), motion_encoder_out_channels=10,
        recurrent_block_hidden_state_size=16, recurrent_block_kernel_size=((3, 3),), recurrent_block_padding=((1, 1),),
        flow_head_hidden_size=8, use_mask_predictor=False,
    )  # fmt: skip


def conformer() -> nn.Module:
    """torchaudio's."""
    from torchaudio.models import Conformer

    return Conformer(input_dim=16, num_heads=2, ffn_dim=32, num_layers=1, depthwise_conv_kernel_size=5)


class Levels(nn.Module):
    """A picture's features at two resolutions, large enough that what a detector finds depends on the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.out_channels = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 2, 2), [8, 8]

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        one = torch.relu(self.one(9 * picture))
        return OrderedDict({"0": one, "1": torch.relu(self.two(one))})


def faster_rcnn() -> nn.Module:
    """torchvision's, over two levels of features."""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.rpn import AnchorGenerator

    backbone: Any = Levels()
    backbone.out_channels = 8
    return FasterRCNN(backbone, rpn_anchor_generator=AnchorGenerator(((8,), (16,)), ((0.5, 1.0, 2.0),) * 2), min_size=64,
                      max_size=96, box_head=TwoMLPHead(8 * 49, 16), box_predictor=FastRCNNPredictor(16, 3), box_score_thresh=0.4,
                      box_nms_thresh=0.2, rpn_post_nms_top_n_test=100)  # fmt: skip


def ssd() -> nn.Module:
    """torchvision's, likewise."""
    from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
    from torchvision.models.detection.ssd import SSD

    return SSD(Levels(), DefaultBoxGenerator([[2], [2]]), (64, 64), 3)


EXAMPLES: dict[str, Callable[[], Example]] = {
    "clip": lambda: {"input_ids": indices(1, 8, below=60), "pixel_values": numbers(1, 3, 32, 32, least=-1.0)},
    "raft": lambda: {"image1": numbers(1, 3, 32, 32), "image2": numbers(1, 3, 32, 32).flip(-1), "num_flow_updates": 2},
    "conformer": lambda: (numbers(2, 20, 16), torch.tensor([20, 14])),
    "nested": lambda: NETWORKS["nested"]()[1],
    "unet": lambda: numbers(1, 3, 32, 32),
    "faster_rcnn": lambda: ([numbers(3, 64, 96)],),
    "ssd": lambda: ([numbers(3, 64, 96)],),
    "bidirectional_gru": lambda: indices(1, 12, below=100),
}  # fmt: skip
