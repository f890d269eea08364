"""What comes over a link is laid out as it was where it was made: other strides would end in other bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from measurement.tracing import trace
from measurement.tracing.aliasing import gaps_of
from runner.parts.split import split
from runner.wire.tensors import pack, unpack


class Halves(nn.Module):
    """Sums of what a convolution makes: of half of its channels, of one number for all rows, and turned."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)

    def forward(self, x: Tensor) -> list[Tensor]:
        first, second = self.conv(x).chunk(2, 1)
        wide = second[:, :, :1].expand(-1, -1, 50, -1)
        return [first.sum(), first.mean((0, 1)), wide.sum(), wide.mean((0, 2)), second.transpose(1, 3)[:, ::2].sum((0, 1))]


def test_every_cut_over_a_link_gives_the_whole_networks_bits() -> None:
    torch.manual_seed(0)
    network, image = Halves().eval(), torch.randn(3, 3, 40, 40)
    traced = trace(network, image)
    names = [layer.name for layer in traced.layers]
    odd = 0
    with torch.inference_mode():
        whole = network(image)
        for n in range(1, len(names)):
            head, tail = split(traced, names[:n])
            crossing = head(image)
            odd += any(gaps_of(tensor) is not None for tensor in crossing.values())
            headers, parts = pack(crossing)
            crossing.update(unpack(headers, memoryview(bytearray(b"".join(parts)))))
            assert all(torch.equal(one, other) for one, other in zip(tail(crossing), whole, strict=True)), names[:n]
    assert odd > 2


@pytest.mark.parametrize(("strides", "expected"), [
    ((12, 4, 1), None), ((1, 2, 6), (1, 2, 6)), ((24, 4, 1), (24, 4, 1)), ((24, 8, 2), (24, 8, 2)),
    ((0, 4, 1), (0, 4, 1)), ((2, 1, 1), None),
])  # fmt: skip
def test_gaps(strides: tuple[int, ...], expected: tuple[int, ...] | None) -> None:
    assert gaps_of(torch.zeros(200).as_strided((2, 3, 4), strides)) == expected


def test_what_comes_densely_lies_as_it_did_where_it_was_made() -> None:
    """`view` after a layer that keeps the order of dimensions works on the layout that was traced, and on no other."""
    class Turned(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x.transpose(1, 2)).transpose(1, 2).view(1, 12)

    traced = trace(Turned(), image := torch.randn(1, 3, 4))
    for n in range(1, len(traced.layers)):
        head, tail = split(traced, [layer.name for layer in traced.layers[:n]])
        dense = {name: tensor.contiguous() for name, tensor in head(image).items()}
        assert torch.equal(tail(dense), Turned()(image)), n
