"""Answers in memory that was made ready for them: the same tensors as in any other memory, and each in its own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from runner.wire import landing as landing_module
from runner.wire.landing import Landing
from runner.wire.protocol import Tensors
from runner.wire.tensors import pack


def landed(landing: Landing, answer: dict[str, Tensor]) -> tuple[dict[str, Tensor], memoryview]:
    """An answer as it comes: its headers, then its bytes into the place that they were given."""
    headers, parts = pack(answer)
    place = landing.take(headers.payload_bytes)
    place[:] = b"".join(parts)
    return landing.tensors(headers, place), place


answers = st.builds(
    lambda names, n, seed: {name: torch.rand(n, generator=torch.Generator().manual_seed(seed + k)) for k, name in enumerate(names)},
    st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3), st.sampled_from([1, 10, 5000]), st.integers(0, 2**40),
)  # fmt: skip


@given(st.lists(st.tuples(answers, st.booleans()), max_size=12))
def test_an_answer_that_looks_like_the_last_one_or_not_comes_whole_and_stays(turns: list[tuple[dict[str, Tensor], bool]]) -> None:
    """With a place made ready before or without, also if two answers come at once: no later answer changes an earlier one."""
    landing, found = Landing(), []
    for answer, is_prepared in turns:
        if is_prepared:
            with torch.inference_mode():
                landing.prepare()
        found.append(landed(landing, answer)[0])
    for (answer, _), tensors in zip(turns, found, strict=True):
        assert tensors.keys() == answer.keys()
        assert all(torch.equal(tensors[name], answer[name]) for name in answer)
        assert not any(tensor.is_inference() for tensor in tensors.values())


def test_a_place_that_is_ready_is_used_once_and_for_its_length_alone() -> None:
    landing = Landing()
    landing.prepare()  # nothing is known yet
    first, place = landed(landing, {"a": torch.rand(10)})
    landing.prepare()
    shorter, other = landing.take(8), landing.take(40)
    assert shorter.nbytes == 8
    again = landing.take(40)
    assert len({id(place), id(shorter), id(other), id(again)}) == 4
    headers = pack({"a": torch.rand(10)})[0]
    ready = landing.tensors(headers, other)["a"]
    other[:] = b"\1" * 40
    again[:] = b"\2" * 40
    assert first["a"].numpy().tobytes() == bytes(place)
    assert ready.numpy().tobytes() == b"\1" * 40
    assert landing.tensors(Tensors(), landing.take(0)) == {}


@pytest.mark.parametrize(("n_tensors", "rehearsals"), [(3, 1), (100, 0)])
def test_equal_headers_are_known_again_and_only_short_ones_are_rehearsed(
        n_tensors: int, rehearsals: int, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Headers of answers from beyond the server, and long ones, are read anew for each answer, and are no longer the very same."""
    made = []
    init = landing_module._Rehearsal.__init__
    monkeypatch.setattr(landing_module._Rehearsal, "__init__", lambda self, headers: made.append(init(self, headers)))
    landing = Landing()
    headers, _ = pack({f"tensor {k}": torch.rand(10) for k in range(n_tensors)})
    for _ in range(5):
        landing.prepare()
        landing.tensors(Tensors(one.model_copy() for one in headers), landing.take(headers.payload_bytes))
    assert len(made) == rehearsals
