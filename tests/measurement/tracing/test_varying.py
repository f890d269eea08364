"""Which sizes depend on numbers: beside the sizes that each cut sends for other inputs, and beside what the front admits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.plan import make_plan
from lmos_opt.split import down_closed_sets
from measurement.tracing import trace_network
from runner.parts.network import outputs_of, varying_outputs
from runner.parts.split import split
from runner.places.checked import check_sizes
from tests.runner.running import SETTING


class Picks(nn.Module):
    """Some elements go on, and then a fixed number of sums of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last((h[h > 0] * 2).mean().reshape(1, 1))


class Experts(nn.Module):
    """Each row goes to one of two experts, and back to its place."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts, self.last = nn.Linear(8, 2), nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)]), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        chosen, out = self.gate(x).argmax(-1), torch.zeros_like(x)
        for k, expert in enumerate(self.experts):
            rows = torch.where(chosen == k)[0]
            out = out.index_add(0, rows, expert(x[rows]))
        return self.last(out)


class Counts(nn.Module):
    """A number becomes a size; and the rows that were found are returned."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.first(x)
        found = (h.sum(1) > 0).nonzero().squeeze(1)
        return self.last(h[: found.shape[0]]).sum(0), found


class Orders(nn.Module):
    """Rows in another order, each twice: sizes that are known."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 3)
        self.register_buffer("order", torch.arange(5, -1, -1))

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x)[self.order].repeat_interleave(2, 0)


class Branches(nn.Module):
    """Code that looks at numbers, whose output has the size of its input or, if it `drops` some, another one."""

    def __init__(self, drops: bool) -> None:
        super().__init__()
        self.drops = drops

    def forward(self, x: Tensor) -> Tensor:
        x = x / 2 if x.max() > 1 else x
        return x[x[:, 0] > 0] if self.drops else x


class Unrolled(nn.Module):
    """A loop over a size, which torch.export follows, and rows that are dropped."""

    def forward(self, x: Tensor) -> Tensor:
        for k in range(x.shape[1]):
            x = x - k / 80
        return torch.masked_select(x, x > 0).sum(0, keepdim=True) * 2


NETWORKS = {"picks": Picks(), "experts": Experts(), "counts": Counts(), "orders": Orders(),
            "steady": nn.Sequential(nn.Linear(8, 8), Branches(False), nn.Linear(8, 3), nn.ReLU()),
            "drops": nn.Sequential(nn.Linear(8, 8), Branches(True), nn.Linear(8, 3), nn.ReLU()),
            "unrolled": Unrolled()}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_an_instance_admits_just_the_cuts_that_send_the_same_sizes_for_other_numbers(name):
    generator = torch.Generator().manual_seed(3)
    inputs = [torch.randn(6, 8, generator=generator) for _ in range(6)]
    torch.manual_seed(1)
    network = trace_network(NETWORKS[name], inputs[0])
    profile = network.profile()
    instance = Instance.from_profile(profile)
    free = instance.replace(together=())
    same = set()
    for edge in down_closed_sets(free):
        head, _ = split(network, edge)
        if len({tuple((key, tensor.shape) for key, tensor in head(x).items()) for x in inputs}) == 1:
            same.add(edge)
    admitted = {*down_closed_sets(instance)}
    assert admitted == same
    for edge in admitted:
        head, tail = split(network, edge)
        plan = make_plan(instance, edge, setting=SETTING, profile=profile)
        check_sizes(plan, network)
        assert all(map(torch.equal, tree_leaves(tail(head(inputs[1]))), tree_leaves(NETWORKS[name](inputs[1]))))
    for edge in {*down_closed_sets(free)} - admitted:
        plan = make_plan(free, edge, setting=SETTING, profile=profile)
        with pytest.raises(InputError, match=r"^plan\.crossing: '\w+' would cross, and its size depends on numbers"):
            check_sizes(plan, network)
    assert (len(same) < len([*down_closed_sets(free)])) == (name not in {"orders", "steady"})


def test_a_result_whose_size_depends_on_numbers_may_have_any_size_and_the_others_may_not():
    network = trace_network(Counts(), torch.randn(6, 8))
    assert [*outputs_of(network)] == ["output.0", "output.1"]
    assert varying_outputs(network) == {"output.1"}
