"""Cuts of a network that is traced once, beside the tracing that each would cost by itself."""

from __future__ import annotations

import torch

import measurement
import runner
from measurement.networks import build_network


class Splits:
    """ResNet-50 on a picture."""

    timeout = 600

    def setup(self) -> None:
        """Build and trace it."""
        self.module = build_network("torchvision:resnet50", "seeded:0")
        self.example = torch.zeros(1, 3, 224, 224)
        self.network = measurement.trace(self.module, self.example)
        self.names = [layer.name for layer in self.network.layers]

    def time_trace(self) -> None:
        """One tracing."""
        measurement.trace(self.module, self.example)

    def time_split(self) -> None:
        """One cut in the middle, of the network that is traced."""
        runner.split(self.network, self.names[: len(self.names) // 2])

    def time_split_module(self) -> None:
        """The same cut with its own tracing."""
        runner.split_module(self.module, self.names[: len(self.names) // 2], self.example)
