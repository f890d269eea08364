"""A small network trained here on scikit-learn's digits (1797 pictures of 8x8): a real classifier within seconds, seeded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmos_opt.errors import MissingExtraError
from measurement.networks.seeding import seeded_fills

_EPOCHS, _BATCH, _RATE, _HELD_OUT = 12, 64, 2e-3, 900


@dataclass(frozen=True)
class Digits:
    """Pictures (Nx1x8x8, 0..1) and their classes, to train on and to test with."""

    train: Tensor
    train_classes: Tensor
    test: Tensor
    test_classes: Tensor


def load_digits() -> Digits:
    """The data that comes with scikit-learn, the last 900 held out; MissingExtraError without scikit-learn."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise MissingExtraError("the digits of figure 4", "reproduce") from None
    found = load()
    pictures = torch.tensor(found.images, dtype=torch.float32).div(16).unsqueeze(1)
    classes = torch.tensor(found.target, dtype=torch.int64)
    return Digits(pictures[:-_HELD_OUT], classes[:-_HELD_OUT], pictures[-_HELD_OUT:], classes[-_HELD_OUT:])


def network() -> nn.Sequential:
    """Two convolutions and two linear layers."""
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))


def trained(digits: Digits, seed: int) -> nn.Sequential:
    """The network trained with Adam; initial weights and the order of the pictures come from `seed`."""
    with seeded_fills(seed):
        model = network()
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
    model.train()
    for _ in range(_EPOCHS):
        for batch in torch.randperm(len(digits.train), generator=order).split(_BATCH):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(digits.train[batch]), digits.train_classes[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval()
