"""Networks of the zoo that no source has by a name, and what each of them takes (`EXAMPLES`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from measurement.sources import Example, indices, numbers

WORDS = 100


class Tagger(nn.Module):
    """A class for each word of a text."""

    def __init__(self, kind: Callable[..., nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 16)
        self.recurrent = kind(16, 24, batch_first=True, **options)
        self.classes = nn.Linear(48 if self.recurrent.bidirectional else 24, 9)

    def forward(self, ids: Tensor) -> Tensor:
        """Scores of classes."""
        found: Tensor = self.classes(self.recurrent(self.words(ids))[0])
        return found


class UNet(nn.Module):
    """A picture to a mask, with ways past the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = _twice(3, 8), _twice(8, 16), _twice(16, 32)
        self.up2, self.up1 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.back2, self.back1, self.last = _twice(32, 16), _twice(16, 8), nn.Conv2d(8, 2, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, picture: Tensor) -> Tensor:
        """Scores of each pixel's classes."""
        one = self.down1(picture)
        two = self.down2(self.pool(one))
        low = self.middle(self.pool(two))
        low = self.back2(torch.cat([two, self.up2(low)], 1))
        found: Tensor = self.last(self.back1(torch.cat([one, self.up1(low)], 1)))
        return found


def _twice(given: int, made: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(given, made, 3, padding=1), nn.BatchNorm2d(made), nn.ReLU(inplace=True),
                         nn.Conv2d(made, made, 3, padding=1), nn.BatchNorm2d(made), nn.ReLU(inplace=True))  # fmt: skip


def bidirectional_gru() -> nn.Module:
    """Integers to classes, read both ways."""
    return Tagger(nn.GRU, bidirectional=True, num_layers=2)


def lstm_tagger() -> nn.Module:
    """Integers to classes."""
    return Tagger(nn.LSTM)


def rnn_elman() -> nn.Module:
    """The simplest recurrent network."""
    return Tagger(nn.RNN)


def unet() -> nn.Module:
    """A small U-Net."""
    return UNet()


def conformer() -> nn.Module:
    """torchaudio's, of frames and their numbers."""
    from torchaudio.models import Conformer

    module: nn.Module = Conformer(input_dim=16, num_heads=2, ffn_dim=32, num_layers=2, depthwise_conv_kernel_size=5)
    return module


def conv_tasnet() -> nn.Module:
    """torchaudio's, of a mixed sound."""
    from torchaudio.models import ConvTasNet

    module: nn.Module = ConvTasNet(enc_num_feats=32, msk_num_feats=16, msk_num_hidden_feats=32, msk_num_layers=2, msk_num_stacks=1)
    return module


def deepspeech() -> nn.Module:
    """torchaudio's, of frames."""
    from torchaudio.models import DeepSpeech

    module: nn.Module = DeepSpeech(n_feature=16, n_hidden=32)
    return module


def wav2letter() -> nn.Module:
    """torchaudio's, of a sound."""
    from torchaudio.models import Wav2Letter

    module: nn.Module = Wav2Letter(num_classes=20)
    return module


def yolo11n() -> nn.Module:
    """ultralytics' smallest detector."""
    from ultralytics.nn.tasks import DetectionModel

    module: nn.Module = DetectionModel("yolo11n.yaml", verbose=False)
    return module


def yolov8n_seg() -> nn.Module:
    """ultralytics' smallest network for masks."""
    from ultralytics.nn.tasks import SegmentationModel

    module: nn.Module = SegmentationModel("yolov8n-seg.yaml", verbose=False)
    return module


EXAMPLES: dict[str, Callable[[], Example]] = {
    "bidirectional_gru": lambda: indices(1, 12, below=WORDS),
    "conformer": lambda: (numbers(2, 20, 16), torch.tensor([20, 14])),
    "conv_tasnet": lambda: numbers(1, 1, 2000, least=-1.0),
    "deepspeech": lambda: numbers(1, 1, 20, 16),
    "lstm_tagger": lambda: indices(1, 12, below=WORDS),
    "rnn_elman": lambda: indices(1, 12, below=WORDS),
    "unet": lambda: numbers(1, 3, 64, 64),
    "wav2letter": lambda: numbers(1, 1, 4000, least=-1.0),
    "yolo11n": lambda: numbers(1, 3, 160, 160),
    "yolov8n_seg": lambda: numbers(1, 3, 160, 160),
}
