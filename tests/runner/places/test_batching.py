"""Several peers' images as one batch: everybody's own answers, the same as one by one, and only where that holds and pays."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from runner.parts.part import Crossing, Middle, Tail
from runner.parts.split import split_module
from runner.places import batching
from runner.places.batching import Batches, run, sizes_that_pay
from tests.runner.running import one_thread

IMAGE = torch.zeros(1, 3, 8, 8)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(batching, "PAYS", 1e6)  # what is fast depends on the machine
    with one_thread():
        yield


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()


class Mixing(nn.Module):
    """What comes out for an image depends on the others."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) - x.mean(0, keepdim=True)


class OneForAll(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x).sum()


class Flat(nn.Module):
    """The example's batch stands in its graph."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x).reshape(1, -1)


def crossings(head: nn.Module, n: int) -> list[Crossing]:
    return [head(torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(k))) for k in range(n)]


def test_a_tail_that_treats_images_apart_may_be_batched() -> None:
    _, tail = split_module(network(), ["0"], IMAGE)
    assert sizes_that_pay(tail, 6) == [2, 4, 6]


@pytest.mark.parametrize("module", [Mixing, OneForAll, Flat])
def test_a_tail_that_does_not_is_left_alone(module: type[nn.Module]) -> None:
    _, tail = split_module(module(), [], IMAGE)
    assert sizes_that_pay(tail, 4) == []


def test_batches_that_do_not_pay_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PAYS", 0.0)
    _, tail = split_module(network(), ["0"], IMAGE)
    assert sizes_that_pay(tail, 4) == []


def test_nothing_is_batched_where_what_comes_is_no_single_image_of_fractions() -> None:
    _, tail = split_module(network(), ["0"], IMAGE.repeat(2, 1, 1, 1))
    assert sizes_that_pay(tail, 4) == []
    _, tail = split_module(nn.Sequential(nn.Embedding(4, 3), nn.ReLU()).eval(), [], torch.zeros(1, 5, dtype=torch.int64))
    assert sizes_that_pay(tail, 4) == []


class Counted(nn.Module):
    """A tail that notes its batches, and can hold the first one up."""

    def __init__(self, tail: nn.Module) -> None:
        super().__init__()
        self.tail, self.sizes, self.may_go, self.has_begun = tail, list[int](), threading.Event(), threading.Event()

    def forward(self, crossing: Crossing) -> Tensor:
        self.sizes.append(next(iter(crossing.values())).shape[0])
        self.has_begun.set()
        assert self.may_go.wait(10)
        found: Tensor = self.tail(crossing)
        return found


@torch.inference_mode()
def answers(tail: Counted, given: list[Crossing], sizes: list[int]) -> list[Tensor]:
    """Everybody asks while the first one is being computed."""
    batches, found = Batches(tail, sizes, threading.Lock()), dict[int, Tensor]()

    def ask(k: int) -> None:
        with torch.inference_mode():
            found[k] = batches.infer(given[k]).made["output"]

    askers = [threading.Thread(target=ask, args=(k,)) for k in range(len(given))]
    askers[0].start()
    assert tail.has_begun.wait(10)
    for asker in askers[1:]:
        asker.start()
    while len(batches._waiting) < len(given) - 1:
        pass
    tail.may_go.set()
    for asker in askers:
        asker.join(10)
    return [found[k] for k in range(len(given))]


def test_everybody_gets_their_own_answer() -> None:
    head, tail = split_module(network(), ["0"], IMAGE)
    with torch.inference_mode():
        given = crossings(head, 6)
        alone = [run(tail, [crossing])[0]["output"] for crossing in given]
        counted = Counted(tail)
        together = answers(counted, given, [2, 4])
    assert counted.sizes == [1, 4, 1]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_a_batch_that_fails_is_computed_one_by_one() -> None:
    class Narrow(Counted):
        def forward(self, crossing: Crossing) -> Tensor:
            found = super().forward(crossing)
            if self.sizes[-1] > 1:
                raise RuntimeError("no memory")
            return found

    head, tail = split_module(network(), ["0"], IMAGE)
    with torch.inference_mode():
        given = crossings(head, 4)
        alone = [run(tail, [crossing])[0]["output"] for crossing in given]
        narrow = Narrow(tail)
        together = answers(narrow, given, [2])
    assert narrow.sizes == [1, 2, 1, 1, 1]
    assert all(torch.equal(one, other) for one, other in zip(together, alone, strict=True))


class Relaying(nn.Module):
    """Its first layer is read at the end, and the result holds what a place between made."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(x)
        second = self.second(first)
        return second.sum((2, 3)), self.third(second) + first


@torch.inference_mode()
def test_a_place_between_others_computes_several_images_together() -> None:
    torch.manual_seed(0)
    places = [["first"], ["second", "sum"], ["third", "add"]]
    first, middle, last = split_module(Relaying().eval(), places=places, example_input=IMAGE)
    assert isinstance(middle, Middle)
    assert isinstance(last, Tail)
    assert (sizes_that_pay(middle, 4), sizes_that_pay(last, 4)) == ([2, 4], [2, 4])
    given = crossings(first, 3)
    for crossing, made in zip(given, run(middle, given), strict=True):
        alone, together = middle(crossing), middle.onward(made, crossing)
        assert together["first"] is crossing["first"]  # relayed: as it came
        for one, other in ((together, alone), (together.kept, alone.kept)):
            assert one.keys() == other.keys()
            for name in one:
                torch.testing.assert_close(one[name], other[name])
    later = [middle(crossing) for crossing in given]
    for one, crossing in zip(run(last, later), later, strict=True):
        torch.testing.assert_close(dict(one), last.made(crossing))


def test_a_part_that_gives_sizes_beside_tensors_is_left_alone() -> None:
    class Sizes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x).reshape(x.shape[0], -1)

    _, tail = split_module(Sizes(), ["relu"], IMAGE)
    assert isinstance(tail, Tail)
    assert tail.counts_sizes == bool(tail.incoming.scalars)
    assert sizes_that_pay(tail, 4) == ([] if tail.counts_sizes else [2, 4])
