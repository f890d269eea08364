"""Halves that hold their own weights alone: the same numbers, and no more memory than they need."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError
from runner.faults.fallback import Fallback
from runner.memory import PeakMemory, release, resident_bytes
from runner.parts.loading import load_planned
from runner.parts.network import DigestError, flat_outputs
from runner.parts.split import split_traced
from tests.runner.running import BRANCHED, NETWORKS, SQUEEZENET, TWO_OUTPUTS, WIDE, Plans, network_of, one_thread, whole

MIB = 2**20
COUNTING, CONVERTING = f"{__name__}:counting", f"{__name__}:converting"


def counting() -> nn.Module:
    """Looks at its numbers when it is built into a graph, so that shapes alone do not do."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)
            self.register_buffer("order", torch.tensor([1, 0]))

        def forward(self, x: Tensor) -> Tensor:
            parts = (self.one, self.two)
            for k in self.order.tolist():
                x = parts[k](x)
            return x.mean((1, 2))

    return Counting()


def converting() -> nn.Module:
    """For torch.export alone, which notes what the conversion took, and wants weights that were not made in inference mode."""

    class Converting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x).to(torch.float16).float()
            x[..., 0] = x[..., 1]
            return self.two(x)

    return Converting()


@pytest.mark.parametrize(("builder", "weights", "shape", "cuts"), [
    (BRANCHED, "seeded:2", (1, 3, 8, 8), (0, 2, 3, 5)),
    (TWO_OUTPUTS, "seeded:2", (1, 3, 8, 8), (1, 2)),
    (COUNTING, "seeded:2", (1, 3, 8, 8), (1, 2)),
    (CONVERTING, "seeded:2", (1, 3, 8, 8), (1, 2, -2)),
    (SQUEEZENET, "bundled:squeezenet1_1", (1, 3, 224, 224), (3, 30, 64)),
    ("torchvision:googlenet", "seeded:1", (1, 3, 64, 64), (20, 100)),
])  # fmt: skip
def test_halves_filled_on_their_own_give_the_whole_networks_bits(
    builder: str, weights: str, shape: tuple[int, ...], cuts: tuple[int, ...]
) -> None:
    plans = Plans(builder, weights, shape)
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    with one_thread(), torch.inference_mode():
        expected = flat_outputs(whole(plans(1))(image))
        for cut in cuts:
            plan = plans(cut)
            loaded = load_planned(network_of(plan), weights, (*NETWORKS, COUNTING, CONVERTING))
            head = split_traced(loaded.traced, plan.edge_layers)[0]
            loaded.hollow.fill(head)
            crossing = head(image)
            found, _ = Fallback(plan, network_of(plan), weights, (*NETWORKS, COUNTING, CONVERTING), None).run(crossing)
            assert found.keys() == expected.keys()
            assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_head_takes_its_own_weights_and_no_more_while_it_is_built() -> None:
    plan = Plans(WIDE, shape=(1, 3, 64, 64))(4)  # 101 MB of weights in all, next to nothing in these layers
    release()
    before = resident_bytes()
    with PeakMemory() as peak:
        loaded = load_planned(network_of(plan), "seeded:0", [WIDE])
        head = split_traced(loaded.traced, plan.edge_layers)[0]
        loaded.hollow.fill(head)
    assert peak.bytes - before < 30 * MIB


def test_another_network_than_the_plans_and_code_that_nobody_allowed_are_refused() -> None:
    network = network_of(Plans(BRANCHED)(1))
    with pytest.raises(DigestError, match=r"it is not the plan's network.* its code or its weights are others"):
        load_planned(network, "seeded:1", NETWORKS)
    with pytest.raises(InputError, match="nobody allowed"):
        load_planned(network, "seeded:0", ())
    trained = network_of(Plans(SQUEEZENET, shape=(1, 3, 64, 64))(1))
    with pytest.raises(DigestError, match="it is not the plan's network"):
        load_planned(trained, "bundled:squeezenet1_1", ())
