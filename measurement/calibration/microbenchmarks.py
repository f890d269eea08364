"""Small networks for the micro-benchmarks: each kind of operation, at shapes that image networks have.

Layers are timed as they run inside a network: each reads what the layer before it has just written, other layers have pushed its
weights out of the caches, and the run has lasted for a while. An operation alone after a pause takes three to eight times as long
(threads sleep, memory is not there yet). An operation repeated in a loop is faster than in any network. So the benchmarks are
chains and blocks of layers, and a series runs many of them one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

_STAGES = ((112, 32), (56, 64), (28, 128), (14, 256), (7, 512))
"""Side and channels of the stages of an image network for 224x224."""


@dataclass(frozen=True)
class MicroBenchmark:
    """A small network, made when it is asked for, and the shape of its input (batch included)."""

    name: str
    shape: tuple[int, ...]
    build: Callable[[], nn.Module]


def benchmark_series() -> dict[str, list[MicroBenchmark]]:
    """All of them by what they are run with: convolutions, attention, and classifiers, whose weights would fill every cache."""
    return {"convolutions": list(_convolutions()), "attention": list(_attentions()), "classifiers": list(_classifiers())}


def _convolutions() -> Iterator[MicroBenchmark]:
    for side, width in _STAGES:
        yield MicroBenchmark(f"dense-{side}", (1, width, side, side), lambda width=width: _dense(width))  # type: ignore[misc]
        yield MicroBenchmark(f"inverted-{side}", (1, width // 2, side, side), lambda width=width: _inverted(width // 2))  # type: ignore[misc]
        yield MicroBenchmark(f"bottleneck-{side}", (1, 4 * width, side, side), lambda width=width: _Residual(_bottleneck(width)))  # type: ignore[misc]
        yield MicroBenchmark(f"branches-{side}", (1, 2 * width, side, side), lambda width=width: _Branches(width))  # type: ignore[misc]
    for name, kernel, stride, width in (("stem3", 3, 2, 32), ("stem7", 7, 2, 64), ("stem11", 11, 4, 64), ("vgg", 3, 1, 64)):
        yield MicroBenchmark(name, (1, 3, 224, 224), lambda k=kernel, s=stride, w=width: _stem(k, s, w))  # type: ignore[misc]


def _attentions() -> Iterator[MicroBenchmark]:
    yield MicroBenchmark("attention-197", (1, 197, 768), lambda: nn.Sequential(_Attention(768, 12), _feed_forward(768)))
    yield MicroBenchmark("attention-49", (1, 49, 384), lambda: nn.Sequential(_Attention(384, 12), _feed_forward(384)))
    for length, width in ((197, 384), (197, 768), (49, 384)):
        yield MicroBenchmark(f"attention-whole-{length}-{width}", (1, length, width),
                             lambda width=width: nn.Sequential(_SelfAttention(width, width // 64), nn.LayerNorm(width)))  # type: ignore[misc]


def _classifiers() -> Iterator[MicroBenchmark]:
    for read in (1280, 4096, 9216, 25088):
        yield MicroBenchmark(f"classifier-{read}", (1, read), lambda read=read: _classifier(read))  # type: ignore[misc]


def _dense(width: int) -> nn.Module:
    """Convolutions of 3x3 at full resolution and at half, wide and narrow, and one of 5x5."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(2 * width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        nn.Conv2d(width, width // 2, 5, padding=2), nn.MaxPool2d(2, 2, ceil_mode=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def _inverted(width: int) -> nn.Module:
    """What mobile networks are made of: 1x1, depthwise, a gate from pooled channels, 1x1."""
    wide = 6 * width
    return nn.Sequential(
        nn.Conv2d(width, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(inplace=True),
        nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.Hardswish(),
        _Gate(wide), nn.Conv2d(wide, width, 1, bias=False), nn.BatchNorm2d(width),
        nn.Conv2d(width, 3 * width, 1, bias=False), nn.BatchNorm2d(3 * width), nn.SiLU(inplace=True),
        nn.Conv2d(3 * width, 3 * width, 5, stride=2, padding=2, groups=3 * width, bias=False), nn.BatchNorm2d(3 * width),
        nn.ReLU6(inplace=True), nn.Conv2d(3 * width, 2 * width, 1, bias=False), nn.BatchNorm2d(2 * width),
    )  # fmt: skip


def _bottleneck(width: int) -> nn.Module:
    """1x1 down, 3x3 in groups, 1x1 up."""
    return nn.Sequential(
        nn.Conv2d(4 * width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width),
    )  # fmt: skip


def _stem(kernel: int, stride: int, width: int) -> nn.Module:
    """The first layers of a network: three channels of the whole picture."""
    return nn.Sequential(nn.Conv2d(3, width, kernel, stride, padding=kernel // 2), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
                         nn.MaxPool2d(3, 2), nn.AvgPool2d(3, stride=1, padding=1))  # fmt: skip


def _feed_forward(width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def _classifier(read: int) -> nn.Module:
    wide = min(read, 4096)
    return nn.Sequential(nn.Linear(read, wide), nn.ReLU(inplace=True), nn.Linear(wide, 1000), nn.Softmax(dim=1))


class _Residual(nn.Module):
    """A residual connection: the sum of a block's input and output."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.block(x) + x)
        return out


class _Gate(nn.Module):
    """A squeeze-and-excitation: each channel is multiplied by a weight that depends on the channels' means."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.down = nn.Conv2d(width, max(8, width // 16), 1)
        self.up = nn.Conv2d(max(8, width // 16), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * torch.sigmoid(self.up(torch.relu(self.down(self.pool(x)))))
        return out


class _Branches(nn.Module):
    """Convolutions of 1x1 and 3x3 over the same channels, put together, halved and shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(2 * width, width // 2, 1)
        self.one = nn.Conv2d(width // 2, width, 1)
        self.three = nn.Conv2d(width // 2, width, 3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = torch.relu(self.squeeze(x))
        joined = torch.cat([torch.relu(self.one(squeezed)), torch.relu(self.three(squeezed)), self.pool(squeezed)], 1)
        left, right = joined.chunk(2, dim=1)
        n, c, h, w = joined.shape
        return torch.cat([left, right], 1).view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class _Attention(nn.Module):
    """Attention written out: products of matrices, and a softmax between them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(torch.matmul(q * self.heads**-0.5, k.transpose(-2, -1)), -1)
        out: Tensor = x + self.project(torch.matmul(weights, v).transpose(1, 2).reshape(n, length, width))
        return out


class _SelfAttention(nn.Module):
    """torch's own, which is one operation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return out


class BenchmarkSeries(nn.Module):
    """Micro-benchmarks one after the other, in one run: `(1, n)` numbers, of which each part takes as many as it needs."""

    def __init__(self, parts: Sequence[MicroBenchmark]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({part.name: part.build() for part in parts})
        self.shapes = {part.name: part.shape for part in parts}

    @property
    def numbers(self) -> int:
        """How many numbers the input holds."""
        return max(prod(shape) for shape in self.shapes.values())

    def forward(self, x: Tensor) -> Tensor:
        """The sum of what the parts put out on average: something that hangs on all of them."""
        out = x[:, 0]
        for name, part in self.parts.items():
            shape = self.shapes[name]
            out = out + part(x[:, : prod(shape)].view(shape)).mean()
        return out
