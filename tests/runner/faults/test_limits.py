"""Places for payloads are used again, whatever their lengths, and never more is taken than a peer may."""

from __future__ import annotations

import pytest

from runner.faults.limits import SPARE, Budget, Buffers
from runner.faults.refusal import Refusal


def test_a_place_is_used_again_for_a_payload_of_about_the_same_length() -> None:
    buffers = Buffers(Budget(2**20))
    first = buffers.take(1000)
    home = first.obj
    assert first.nbytes == 1000
    buffers.give_back(first)
    for n_bytes in (1000, 990, 1100, 1000 + 1000 // SPARE):
        place = buffers.take(n_bytes)
        assert place.nbytes == n_bytes
        assert place.obj is home
        buffers.give_back(place)


def test_two_payloads_never_share_a_place_and_one_that_comes_back_is_the_very_same() -> None:
    buffers = Buffers(Budget(2**20))
    first, second = buffers.take(1000), buffers.take(1000)
    assert first.obj is not second.obj
    buffers.give_back(first)
    assert buffers.take(1000) is first


def test_much_smaller_payloads_do_not_keep_a_large_place() -> None:
    budget = Budget(2**20)
    buffers = Buffers(budget)
    buffers.give_back(buffers.take(800_000))
    assert buffers.take(1000).nbytes == 1000
    Buffers(budget).take(800_000)  # what the first had is free again


def test_more_than_the_budget_is_refused_and_what_a_peer_had_comes_back() -> None:
    budget = Budget(2000)
    buffers = Buffers(budget)
    buffers.take(1000)
    with pytest.raises(Refusal, match="try again later"):
        Buffers(budget).take(1000)
    buffers.close()
    assert Buffers(budget).take(1000).nbytes == 1000
