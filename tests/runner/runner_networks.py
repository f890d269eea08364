"""Small networks for the runner's tests, built by name on both sides."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Branched(nn.Module):
    """Two tensors cross between `left` and `joined`; in-place after the branch; a size is read at run time."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.left = nn.Conv2d(8, 8, 3, padding=1)
        self.right = nn.Conv2d(8, 8, 1)
        self.last = nn.Linear(8 * 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        joined = torch.cat([self.left(x), self.right(x) + x]).reshape(2, 1, 8, 8, 8).sum(0)
        return self.last(F.relu(joined).view(x.size(0), -1))


def branched() -> nn.Module:
    return Branched()


def two_outputs() -> nn.Module:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(3, 4, 3)
            self.head = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = self.features(x)
            return {"aux": x.mean(), "logits": self.head(x.mean((2, 3)))}

    return Two()


def four_channels() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(72, 3))


def wide() -> nn.Module:
    """101 MB of weights, of which the features have next to nothing: enough to tell who holds them, and quick to draw."""

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(16), nn.Flatten())
            self.classifier = nn.Sequential(nn.Linear(2048, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 10))

        def forward(self, x: Tensor) -> Tensor:
            return self.classifier(self.features(x))

    return Wide()


def row() -> nn.Module:
    """Two convolutions in a row, with 4 MB between them for pictures of 128x128."""
    return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1))


def slow() -> nn.Module:
    """Takes a while at the server: long enough to end it meanwhile."""

    class Slow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(6):
                x = torch.matmul(x, x).tanh()
            return x.mean((2, 3))

    return Slow()


def unlisted() -> nn.Module:
    """A network that no server of these tests was started with."""
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten())


class Colliding(nn.Module):
    """`chunk` gives two tensors, and a Sequential called `chunk` has a layer `chunk.0`; all three cross together."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.chunk = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1))
        self.last = nn.Linear(4 * 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        both, third = self.conv(x).chunk(2, dim=1), self.chunk(x)
        return self.last((both[0] - 2 * both[1] * third).flatten(1))


def colliding() -> nn.Module:
    return Colliding()


class Seeing(nn.Module):
    """Sees colours: for each pixel nothing, red, green or blue; and what a network for `what` returns of it."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 4, 1)
        self.smooth = nn.AvgPool2d(5, 1, 2)
        self.what = what
        with torch.no_grad():
            self.colours.weight.copy_(torch.tensor([[0.0, 0, 0], [2, -1, -1], [-1, 2, -1], [-1, -1, 2]])[:, :, None, None])
            self.colours.bias.copy_(torch.tensor([0.2, 0, 0, 0]))

    def forward(self, x: Tensor) -> object:
        seen = self.smooth(self.colours(x))
        if self.what == "masks":
            return {"out": seen, "aux": seen.mean((2, 3))}
        if self.what == "embedding":
            return {"embedding": seen.mean((2, 3))}
        if self.what == "boxes":
            sides = seen.flatten(2).amax(2).flatten().softmax(0)
            corner = torch.stack([sides * 20, sides * 30, sides * 90 + 20, sides * 60 + 30], 1)
            return [{"boxes": corner, "labels": sides.argsort(), "scores": sides}]
        return {"seen": seen}


def masks() -> nn.Module:
    return Seeing("masks")


def boxes() -> nn.Module:
    return Seeing("boxes")


def embedding() -> nn.Module:
    return Seeing("embedding")


def seen() -> nn.Module:
    return Seeing("tensors")
