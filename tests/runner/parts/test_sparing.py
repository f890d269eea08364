"""Convolutions joined in their own layout: the same bits, fewer copies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import fx, nn

from measurement.networks.seeding import seeded_fills
from runner.parts.sparing import spare_copies
from tests import warm
from tests.runner.running import one_thread

IMAGE = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
MB = 1_000_000


def rows(*channels: int) -> fx.GraphModule:
    with seeded_fills(0):
        layers = [layer for a, b in zip((3, *channels), channels, strict=False)
                  for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True))]  # fmt: skip
        return fx.symbolic_trace(nn.Sequential(*layers).eval())


def sizes(graph: fx.GraphModule) -> dict[str, int]:
    found = {}

    class Sizes(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            value = super().run_node(n)
            found[n.name] = value.nbytes if isinstance(value, torch.Tensor) else 0
            return value

    with torch.inference_mode():
        Sizes(graph).run(IMAGE)
    return found


@pytest.mark.parametrize(("channels", "pairs"), [((64, 64, 64), 2), ((32, 64, 32, 32), 3), ((8, 8), 0)])
def test_joined_convolutions_give_the_same_bits(channels: tuple[int, ...], pairs: int) -> None:
    graph = rows(*channels)
    with one_thread(), torch.inference_mode():
        expected = graph(IMAGE)
        assert spare_copies(graph, sizes(graph)) == pairs
        assert torch.equal(graph(IMAGE), expected)
        assert not graph(IMAGE).is_mkldnn
    targets = [str(node.target) for node in graph.graph.nodes]
    assert targets.count("to_mkldnn") == targets.count("to_dense") == (pairs > 0)


def test_a_value_that_somebody_else_reads_stays_as_it_is() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.relu, self.two = nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.relu(self.one(x))
            return self.two(x) + x

    graph = fx.symbolic_trace(Twice().eval())
    assert spare_copies(graph, sizes(graph)) == 0


PEAKS = """
import torch
from runner.memory import PeakMemory, private_bytes, release, returned_at_once
from test_sparing import IMAGE, rows, sizes, spare_copies

def peak(graph):
    graph(IMAGE)
    release()
    idle = private_bytes()
    with PeakMemory() as found:
        graph(IMAGE)
    print(found.private_bytes - idle)

with returned_at_once(), torch.inference_mode():
    graph = rows(64, 64)
    peak(graph)
    spare_copies(graph, sizes(graph))
    peak(graph)
"""


def test_joined_convolutions_hold_no_further_copies() -> None:
    done = warm.run([sys.executable, "-c", PEAKS], cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    apart, joined = map(int, done.stdout.split())
    assert apart > 36 * MB
    assert joined < 29 * MB
