"""Small networks with several inputs, or inputs of whole numbers, each with an example."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Bert(nn.Module):
    """Token and position embeddings, two encoder layers, a padding mask, a pooled answer."""

    def __init__(self, words: int = 50, width: int = 16) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(words, width), nn.Embedding(12, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Block(width) for _ in range(2))
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Logits, and the last hidden state."""
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])
        bias = None if mask is None else (1.0 - mask[:, None, None, :].float()) * -1e9
        for layer in self.layers:
            x = layer(x, bias)
        return {"logits": self.classifier(torch.tanh(self.pooler(x[:, 0]))), "hidden": x}


class Block(nn.Module):
    """Attention of two heads and a feed-forward part."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """As large as `x`."""
        q, k, v = (of(x).unflatten(-1, (2, -1)).transpose(1, 2) for of in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.out(seen))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Clip(nn.Module):
    """A tower for text and one for a picture; their product."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.vision = nn.Embedding(30, 8), nn.Conv2d(3, 8, 4, 4)
        self.of_text, self.of_vision = nn.Linear(8, 8), nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, ids: Tensor, picture: Tensor) -> Tensor:
        """A number for each pair of a text and a picture."""
        text = self.of_text(self.text(ids).mean(1))
        vision = self.of_vision(self.vision(picture).flatten(2).mean(2))
        return self.scale.exp() * F.normalize(text, dim=-1) @ F.normalize(vision, dim=-1).T


class Raft(nn.Module):
    """Two pictures through one encoder, all pairs of their features, and a flow that is bettered three times."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.InstanceNorm2d(8))
        self.update = nn.Conv2d(16 + 2, 2, 3, padding=1)

    def forward(self, image1: Tensor, image2: Tensor) -> list[Tensor]:
        """The flow after each step."""
        one, two = self.encoder(image1), self.encoder(image2)
        n, c, h, w = one.shape
        pairs = (one.flatten(2).transpose(1, 2) @ two.flatten(2)).view(n, h * w, h, w)
        best = pairs.flatten(2).amax(2).view(n, 1, h, w).expand(n, 16 - c, h, w)
        flow, found = one.new_zeros(n, 2, h, w), []
        for _ in range(3):
            flow = flow + self.update(torch.cat([one, best, flow], 1))
            found.append(F.interpolate(flow, scale_factor=4.0, mode="bilinear", align_corners=False))
        return found


class Conformer(nn.Module):
    """Frames and their lengths: a convolution over time, attention that sees no padding, and the lengths again."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.block = nn.Linear(6, 16), Block(16)
        self.depthwise, self.norm = nn.Conv1d(16, 16, 3, padding=1, groups=16), nn.BatchNorm1d(16)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames of another width, and their lengths."""
        padding = torch.arange(frames.shape[1]) >= lengths[:, None]
        x = self.project(frames).masked_fill(padding[..., None], 0.0)
        x = x + F.silu(self.norm(self.depthwise(x.transpose(1, 2)))).transpose(1, 2)
        return self.block(x, padding[:, None, None, :].float() * -1e9), lengths


class Nested(nn.Module):
    """A dictionary with a list and a tuple in it, a constant, and half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: dict[str, Any], scale: Tensor, twice: bool = False, how: str = "sum") -> dict[str, Any]:
        """Whatever can be made of them."""
        a, (b, (c,)) = self.linear(x["a"]), x["rest"]
        a = a * scale.float() * (2 if twice else 1) + x["shift"]
        return {"both": (torch.where(c, a, b), a.mean(1) if how == "mean" else a.sum(1)), "scale": scale}


class UNet(nn.Module):
    """Down, up, and what was before beside it; told how far the noise is."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Embedding(10, 8)
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1)
        self.up, self.out = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """As large as the sample."""
        one = F.relu(self.down1(sample))
        two = F.relu(self.down2(one)) + self.time(timestep)[:, :, None, None]
        return self.out(torch.cat([one, self.up(two)], 1))


class Gru(nn.Module):
    """Integers, embedded, read in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.out = nn.Embedding(20, 8), nn.Linear(16, 4)
        self.gru = nn.GRU(8, 8, batch_first=True, bidirectional=True)

    def forward(self, ids: Tensor) -> Tensor:
        """A class for each place."""
        return self.out(self.gru(self.embedding(ids))[0])


def _ids(most: int, *shape: int) -> Tensor:
    return torch.randint(0, most, shape, generator=torch.Generator().manual_seed(3))


def _nested() -> dict[str, Any]:
    x = {"a": torch.rand(2, 4), "rest": [torch.rand(2, 4), (torch.rand(2, 4) > 0.5,)], "shift": 0.5}
    return {"x": x, "scale": torch.rand(2, 1).half(), "twice": True, "how": "mean"}


NETWORKS: dict[str, Any] = {
    "bert": lambda: (Bert(), {"ids": _ids(50, 1, 12), "mask": torch.tensor([[1] * 9 + [0] * 3])}),
    "clip": lambda: (Clip(), {"ids": _ids(30, 1, 7), "picture": torch.rand(1, 3, 16, 16)}),
    "raft": lambda: (Raft(), (torch.rand(1, 3, 16, 24), torch.rand(1, 3, 16, 24))),
    "conformer": lambda: (Conformer(), (torch.rand(2, 10, 6), torch.tensor([10, 7]))),
    "nested": lambda: (Nested(), _nested()),
    "unet": lambda: (UNet(), (torch.rand(1, 3, 8, 8), torch.tensor([7]))),
    "gru": lambda: (Gru(), _ids(20, 1, 9)),
}
"""By name: what gives a network and an example."""


def bert() -> nn.Module:
    """For a command line: `input_networks:bert`."""
    return Bert()


def clip() -> nn.Module:
    """Likewise."""
    return Clip()


def raft() -> nn.Module:
    """Likewise."""
    return Raft()


def conformer() -> nn.Module:
    """Likewise."""
    return Conformer()


def nested() -> nn.Module:
    """Likewise."""
    return Nested()


def unet() -> nn.Module:
    """Likewise."""
    return UNet()


def gru() -> nn.Module:
    """Likewise."""
    return Gru()
