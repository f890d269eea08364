"""Pictures in turn, and the next one loaded ahead."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from runner.images import Images


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_pictures_come_over_and_over_in_their_order(n: int, ahead: bool) -> None:
    images = Images("three", ["a", "b", "c"], torch.tensor)
    found = [(name, int(image)) for name, image in images.in_turn(n, ahead)]
    assert found == [("abc"[k % 3], k % 3) for k in range(n)]


def test_only_the_next_one_is_loaded_ahead_and_while_this_one_is_used() -> None:
    loaded = threading.Semaphore(0)
    count = 0

    def load(k: int) -> Tensor:
        nonlocal count
        count += 1
        loaded.release()
        return torch.tensor(k)

    for k, _ in enumerate(Images("four", list("abcd"), load).in_turn(4, ahead=True)):
        for _ in range(2 if k == 0 else int(k < 3)):
            assert loaded.acquire(timeout=10)
        assert count == min(k + 2, 4)


def test_a_picture_that_cannot_be_loaded_says_so_in_its_turn() -> None:
    def load(k: int) -> Tensor:
        if k == 1:
            raise ValueError("broken")
        return torch.tensor(k)

    pictures = Images("two", ["a", "b"], load).in_turn(2, ahead=True)
    assert next(pictures)[0] == "a"
    with pytest.raises(ValueError, match="broken"):
        next(pictures)
