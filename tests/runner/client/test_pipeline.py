"""Images through head, connection and tail, over played streams: how each of them ends, and that none vanishes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from runner.client.pipeline import Ended, Pipeline, Route
from runner.errors import Unreachable
from runner.faults.fallback import Fallback
from runner.images import Images
from runner.parts.part import Crossing
from runner.watching.events import Event, Events, ImageEnded
from runner.watching.report import FailedImage, ImageResult
from tests.runner.client.playing import TIMEOUTS, Play, Played, after, honest, say_nothing

NOBODY = Unreachable("192.0.2.1:7070", "connection refused")
IMPATIENT = replace(TIMEOUTS, give_up_s=0.0)


class Head(nn.Module):
    """Everything crosses as it is."""

    def forward(self, x: Tensor) -> Crossing:
        return Crossing({"input": x})


class Tail(nn.Module):
    """Twice what crosses, as the played server says."""

    def forward(self, crossing: Crossing) -> Tensor:
        return 2 * crossing["input"]


class Here(Fallback):
    """A tail at the edge, without a plan."""

    def __init__(self, refusal: str | None = None) -> None:
        self.refusal, self.tail = refusal, Tail()


def image(n: int) -> tuple[str, Tensor]:
    return f"{n}.png", torch.tensor([[0.0, 0.0, float(n), 0.0]])


def pipeline(*plays: Play | Exception, fallback: Fallback | None = None,
             most_kept: int | None = None) -> tuple[Pipeline, list[Event]]:  # fmt: skip
    played = Played(*plays)
    played.streams.time = time.monotonic()
    told: list[Event] = []
    made = Pipeline(Route(Head(), played.connection, fallback), ["a", "b", "c", "d"], IMPATIENT, Events([told.append]),
                    most_kept=most_kept)  # fmt: skip
    made.start()
    return made, told


def ended(made: Pipeline, n: int) -> list[Ended]:
    return list(made.stream(map(image, range(1, n + 1))))


def test_answered_images_are_results_in_their_order() -> None:
    made, told = pipeline(honest)
    found = ended(made, 3)
    assert [one.number for one in found] == [1, 2, 3]
    assert [(one.result.file, one.result.class_, one.result.class_name) for one in found] == [
        (f"{n}.png", 2, "c") for n in (1, 2, 3)]  # fmt: skip
    assert torch.equal(found[2].outputs["output"], torch.tensor([[0.0, 0.0, 6.0, 0.0]]))
    assert [result.finished_at for result in made.results] == ["plan"] * 3
    assert len([event for event in told if isinstance(event, ImageEnded)]) == 3
    assert made.results[0].sent_bytes == 16


def test_a_head_that_is_the_whole_network_asks_nobody() -> None:
    made = Pipeline(Route(nn.Linear(4, 4), None, None), [], IMPATIENT)
    (found,) = ended(made, 1)
    assert isinstance(found.result, ImageResult)
    assert (found.result.t_tx_s, found.result.finished_at, found.result.class_name) == (0, "plan", None)


def test_without_a_server_an_image_is_finished_here_and_says_why() -> None:
    made, _ = pipeline(*[NOBODY] * 200, fallback=Here())
    (found,) = ended(made, 1)
    assert (found.result.finished_at, found.result.class_) == ("edge", 2)
    assert "connection refused" in found.result.reason
    assert made.failed == []


def test_where_the_tail_must_not_run_here_the_image_has_failed_with_both_reasons() -> None:
    made, told = pipeline(*[NOBODY] * 200, fallback=Here("the whole network needs 2 GB"))
    (found,) = ended(made, 1)
    assert isinstance(found.result, FailedImage)
    assert "connection refused" in found.result.reason
    assert found.result.reason.endswith("; the whole network needs 2 GB")
    assert found.outputs is None
    assert told[-1].result == found.result


def test_an_image_after_one_without_an_answer_has_less_patience() -> None:
    made, _ = pipeline(after(2, say_nothing), *[NOBODY] * 500, fallback=Here())
    assert [one.result.finished_at for one in ended(made, 2)] == ["edge", "edge"]
    assert made._late == 2
    assert made._patience_s(made.route.connection) <= IMPATIENT.result_s / 2


def test_whoever_stops_waiting_leaves_no_image_without_an_end() -> None:
    made, _ = pipeline(after(2, say_nothing))
    begun = made.begin(*image(1))
    stream = made.stream(iter([image(2)]))
    made._drop(deque([begun]))
    stream.close()
    assert [(failed.file, failed.reason) for failed in made.failed] == [("1.png", "interrupted")]


def test_what_the_source_raises_comes_after_the_images_before_it() -> None:
    def broken() -> Iterator[tuple[str, Tensor]]:
        yield image(1)
        raise OSError("the camera is gone")

    made, _ = pipeline(honest)
    found = made.stream(broken())
    assert next(found).number == 1
    with pytest.raises(OSError, match="the camera is gone"):
        next(found)


def test_only_the_last_results_are_kept() -> None:
    made, _ = pipeline(honest, most_kept=2)
    assert len(ended(made, 5)) == 5
    assert [result.file for result in made.results] == ["4.png", "5.png"]


def test_warming_up_leaves_nothing_and_numbers_begin_at_one() -> None:
    made, told = pipeline(honest)
    made.warm_up(Images("one", ["1.png"], lambda k: image(1)[1]))
    assert (made.results, made.failed, told) == ([], [], [])
    assert ended(made, 1)[0].number == 1


def test_a_cut_may_change_before_an_image_and_those_under_way_stay() -> None:
    made, _ = pipeline(honest)
    other = Route(nn.Linear(4, 4), None, None, cut=4)

    def change(number: int) -> None:
        if number == 2:
            made.route = other

    made.before = change
    assert [one.result.cut for one in ended(made, 3)] == [None, 4, 4]
