"""torchaudio's Conformer: its layers are seen, and the mask that is made of lengths is one layer."""

from __future__ import annotations

import pytest
import torch

import measurement
import runner


def test_a_conformer_of_frames_and_lengths_is_split_at_its_layers():
    models = pytest.importorskip("torchaudio.models")
    network = models.Conformer(input_dim=8, num_heads=2, ffn_dim=8, num_layers=2, depthwise_conv_kernel_size=3).eval()
    example = torch.rand(2, 6, 8), torch.tensor([6, 4])
    traced = measurement.trace(network, example)
    assert list(traced.opaque) == ["mask"]
    assert sum(layer.name.startswith("conformer_layers.1.") for layer in traced.layers) > 10
    names = [layer.name for layer in traced.layers]
    other = torch.rand(2, 6, 8), torch.tensor([3, 6])
    for k in (0, 1, len(names) // 2, len(names)):
        head, tail = runner.split(traced, names[:k])
        assert all(map(torch.equal, tail(head(*other)), network(*other)))
