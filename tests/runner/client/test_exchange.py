"""A question and what becomes of it: the answer is checked, and every count is of this one question."""

from __future__ import annotations

import pytest
import torch

from lmos_opt.profile import TensorSpec
from runner.client.exchange import Exchange, ServerAnswer, check_outputs, checked_answer
from runner.errors import RunnerError
from runner.parts.part import Crossing
from runner.wire.protocol import Result

OUTPUT = {"output": torch.zeros(1, 2)}
SPEC = {"output": TensorSpec(shape=(1, 2), dtype="float32")}


def result(**spans: float) -> Result:
    return Result(id=1, tensors=(), **{"t_server_s": 0.5, **spans})


def test_a_question_counts_its_bytes_and_how_often_it_was_sent():
    exchange = Exchange(7, Crossing({"a": torch.zeros(3)}))
    assert (exchange.message.id, exchange.sent_bytes, exchange.retries, exchange.is_over) == (7, 12, 0, False)
    assert exchange.t_encode_s == 0
    exchange.note_sent()
    waited = exchange.t_queue_s
    exchange.note_sent()
    assert (exchange.sent, exchange.retries, exchange.t_queue_s) == (2, 1, waited)
    exchange.answered(ServerAnswer(OUTPUT, 1.0, 0.5))
    assert exchange.is_over


def test_a_failed_one_is_over_too():
    exchange = Exchange(1, Crossing({"a": torch.zeros(1)}))
    exchange.failure = "gone"
    assert exchange.is_over


def test_what_was_kept_here_is_part_of_the_answer():
    found = checked_answer("the server", OUTPUT, 1.0, result(t_decode_s=0.1, t_queue_s=0.2), {"boxes": torch.ones(1)})
    assert set(found.outputs) == {"output", "boxes"}
    assert (found.received_bytes, found.t_decode_s, found.t_queue_s) == (8, 0.1, 0.2)


@pytest.mark.parametrize("spans", [{"t_server_s": 1.5}, {"t_queue_s": 0.6}, {"t_decode_s": 0.6}])
def test_an_answer_that_cannot_be_true_is_refused(spans):
    with pytest.raises(RunnerError, match="s of work in an exchange of"):
        checked_answer("the server", OUTPUT, 1.0, result(**spans))


@pytest.mark.parametrize(("found", "complaint"), [
    ({"output": torch.zeros(2, 1)}, r"output: got float32\[2, 1\], expected float32\[1, 2\]"),
    ({"output": torch.zeros(1, 2, dtype=torch.int8)}, r"output: got int8"),
    ({}, r"output: got none, expected float32\[1, 2\]"),
    ({**OUTPUT, "more": torch.zeros(1)}, r"more: got float32\[1\], expected none"),
])  # fmt: skip
def test_outputs_that_are_not_the_network_s_are_named(found, complaint):
    with pytest.raises(RunnerError, match=complaint):
        check_outputs("the server", found, SPEC)


def test_what_was_kept_is_not_expected_and_nothing_is_where_nobody_knows():
    check_outputs("the server", {}, SPEC, kept=["output"])
    check_outputs("the server", {"any": torch.zeros(1)}, None)
    with pytest.raises(RunnerError, match="returns no output"):
        check_outputs("the server", {}, None)
