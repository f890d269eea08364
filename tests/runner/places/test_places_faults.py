"""Three places of which one is killed, frozen or away in the middle of a run: every image has its class, as undisturbed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from lmos_opt.plan import Plan
from runner.places.edge import run_plan
from runner.watching.events import Asked, Event, Observer
from runner.watching.report import RunReport
from runner.wire.timeouts import PATIENT
from tests.runner.places.test_middle import planned
from tests.runner.running import BRANCHED, Plans, ServerProcess, server_process

N = 60
pytestmark = pytest.mark.process


class Places:
    """The second and the third place, each of which can be killed and started again where it was."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack, self._starts = folder, stack, 0
        self.third = self._start(None, 0)
        self.second = self._start(self.third.port, 0)

    def kill(self, place: str) -> None:
        server: ServerProcess = getattr(self, place)
        server.stop(signal.SIGKILL)

    def restart(self, place: str) -> None:
        self.kill(place)
        onward = self.third.port if place == "second" else None
        setattr(self, place, self._start(onward, getattr(self, place).port))

    def _start(self, onward: int | None, port: int) -> ServerProcess:
        self._starts += 1
        log = self._folder / f"{self._starts}.log"
        return self._stack.enter_context(server_process(log, [BRANCHED], port, onward))


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    with ExitStack() as stack:
        yield Places(tmp_path, stack)
        assert all("Traceback" not in log.read_text() for log in tmp_path.glob("*.log"))


@pytest.fixture(scope="module")
def plan(plans: Plans) -> Plan:
    return planned(plans, [2, 4])


@pytest.fixture(scope="module")
def classes(plans: Plans, one_torch_thread: None) -> list[int | None]:
    alone = planned(plans, [len(plans.instance.names)] * 2)
    return [image.class_ for image in run_plan(alone, ("127.0.0.1", 1), networks=[BRANCHED], n=N).per_image]


class KilledAmidImages:
    """An observer: freezes the second place when the first image is sent to it, and restarts it when `certain` images were sent
    after that, which it cannot have answered. `attempts` are how often each image was sent.

    The first image, because then nothing else is under way: later so many may wait for an answer that the frozen place takes no
    more, and nothing would be sent until the run gives up."""

    certain = 2

    def __init__(self, places: Places) -> None:
        self._places = places
        self.attempts: dict[int, int] = {}
        self.unanswered: list[int] = []
        self._is_frozen = False

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Asked):
            return
        self.attempts[event.number] = event.attempt
        if event.number == 1 and event.attempt == 1:
            self._places.second.freeze()
            self._is_frozen = True
        elif self._is_frozen:
            self.unanswered.append(event.number)
            if len(self.unanswered) == self.certain:
                self._places.restart("second")
                self._is_frozen = False


def run(plan: Plan, places: Places, deeds: dict[int, Callable[[], None]], result_s: float = 20.0,
        observers: Sequence[Observer] = ()) -> RunReport:  # fmt: skip
    """The run of N images with each deed done when so many of them are. An image has `result_s` for all that goes wrong with it:
    on a busy machine a place that was killed takes its time to be there again."""

    def watch(what: str, done: int, total: int) -> None:
        if what == "running" and (deed := deeds.pop(done, None)) is not None:
            deed()

    report = run_plan(plan, places.second.address, networks=[BRANCHED], n=N, pipelined=True, progress=watch,
                      observers=observers, timeouts=replace(PATIENT, result_s=result_s, give_up_s=600.0))  # fmt: skip
    assert not deeds
    return report


def test_killed_places_that_come_back_lose_no_image(plan: Plan, places: Places, classes: list[int | None]) -> None:
    killed = KilledAmidImages(places)
    report = run(plan, places, {15: lambda: places.restart("third")}, observers=[killed], result_s=600.0)
    assert (report.images, report.lost, report.fallbacks) == (N, 0, 0)
    assert [image.class_ for image in report.per_image] == classes
    assert len(killed.unanswered) == killed.certain
    assert all(report.per_image[number - 1].retries >= 1 for number in killed.unanswered)
    assert [image.retries for image in report.per_image] == [killed.attempts[number] - 1 for number in range(1, N + 1)]
    assert report.retries == sum(image.retries for image in report.per_image)


def test_frozen_places_lose_no_image(plan: Plan, places: Places, classes: list[int | None]) -> None:
    def freeze(server: ServerProcess) -> None:
        server.freeze()
        thaw = threading.Timer(0.5, server.process.send_signal, [signal.SIGCONT])
        thaw.start()
        thawing.append(thaw)

    thawing: list[threading.Timer] = []
    report = run(plan, places, {10: lambda: freeze(places.third), 30: lambda: freeze(places.second)})
    for thaw in thawing:
        thaw.join()
    assert (report.images, report.lost, report.fallbacks) == (N, 0, 0)
    assert [image.class_ for image in report.per_image] == classes
    assert max(image.latency_s for image in report.per_image) > 0.25  # it was frozen


def test_what_the_last_place_leaves_is_finished_at_the_first(plan: Plan, places: Places, classes: list[int | None]) -> None:
    report = run(plan, places, {20: lambda: places.kill("third")}, result_s=1.0)
    assert (report.images, report.lost) == (N, 0)
    assert [image.class_ for image in report.per_image] == classes
    assert 0 < report.fallbacks <= N - 20
    assert report.per_image[-1].finished_at == "edge"
