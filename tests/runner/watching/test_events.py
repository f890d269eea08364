"""What observers are told of a run, on both sides, and what they may not do to it."""

from __future__ import annotations

import gc
import logging
from itertools import pairwise

import pytest

from runner.places.edge import run_plan
from runner.watching import events
from runner.watching.events import (
    AnswerSent,
    Asked,
    BytesMoved,
    Event,
    Events,
    ImageBegan,
    ImageEnded,
    RunBegan,
    RunEnded,
    ServerReady,
)
from tests.runner.running import BRANCHED, NETWORKS, Plans, ServerProcess

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_a_run_is_told_from_its_beginning_to_its_end(server: ServerProcess) -> None:
    told: list[Event] = []
    report = run_plan(Plans(BRANCHED)(2), server.address, n=3, networks=NETWORKS, observers=[told.append])
    warm_up = [Asked, ServerReady, RunBegan]
    kinds = [type(event) for event in told if not isinstance(event, BytesMoved)]  # how often depends on the socket
    assert sorted(kinds[:3], key=str) == sorted(warm_up, key=str)  # the image that warms up is asked, and not told of
    assert kinds[3:] == [ImageBegan, Asked, ImageEnded] * 3 + [RunEnded]
    ends = [event for event in told if isinstance(event, ImageEnded)]
    assert [event.result for event in ends] == list(report.per_image)
    assert [event.number for event in ends] == [1, 2, 3]
    assert all(a.at <= b.at for a, b in pairwise(told))
    assert all(event.text and "\n" not in event.text for event in told)


@pytest.mark.usefixtures("nothing_settled")
def test_the_collector_does_not_look_through_everything_in_the_middle_of_an_image(server: ServerProcess) -> None:
    left_alone = []
    run_plan(Plans(BRANCHED)(2), server.address, n=3, networks=NETWORKS,
             observers=[lambda event: left_alone.append(gc.get_freeze_count()) if isinstance(event, ImageEnded) else None])
    assert len(left_alone) == 3
    assert min(left_alone) > 100_000
    assert gc.get_freeze_count() == 0


def test_an_observer_that_fails_is_asked_no_more_and_takes_nothing_with_it(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Event] = []

    def fails(event: Event) -> None:
        asked.append(event)
        raise OSError("no space left")

    told: list[Event] = []
    events = Events([fails, told.append])
    for number in (1, 2):
        events.tell(ImageBegan(number=number, file="x"))
    assert (len(asked), len(told)) == (1, 2)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_an_old_name_of_an_event_gives_the_same_class_and_a_warning():
    with pytest.warns(DeprecationWarning, match=r"^runner\.watching\.events\.Answered is AnswerSent now"):
        from runner.watching.events import Answered
    assert Answered is AnswerSent
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        events.Nothing  # noqa: B018
