"""Runs with a fault: each must end with the same class for every image as a run without a fault.

The edge is this process, the server another one. Images are real and weights are trained, so that classes mean something. A scene
is one function, listed in SCENES.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmos.bench.faults.proxy import Proxy, Trouble
from lmos.bench.faults.stage import ServerProcess, networks_of
from lmos.whole_runs import whole_run
from lmos_opt.plan import Plan
from lmos_opt.units import counted
from runner.errors import RunnerError
from runner.watching.report import RunReport
from runner.wire.shaping import Shape

PLACES: dict[Literal[2, 3], str] = {2: "second", 3: "third"}
SLOWLY_S, SLOW_TURNS = (0.05, 0.2), 40
"""How long a slow place goes on, and stops, in turn."""
AWAY_S = 2.0
FROZEN_S = 20.0
ALL_OF_IT = Trouble(flip_every=1000, drop_every_s=2.0, delay_s=0.25)
"""250 ms each way: half a second for every question and its answer."""
SLOW = Shape(rate_bytes_per_s=125_000)
"""1 Mbit/s: images take long enough for something to happen to them."""


@dataclass(frozen=True)
class Outcome:
    """One run: what became of its images, how many classes differ from the undisturbed run's, and what was done to it."""

    scene: str
    what: str
    images: int
    lost: int
    fallbacks: int
    retries: int
    differing: int
    seconds: float
    slowest_s: float
    events: str

    @property
    def is_good(self) -> bool:
        """Whether every image has the class that it should have."""
        return self.lost == 0 and self.differing == 0


@dataclass(frozen=True)
class Scene:
    """`deed` is done to the server when a third of the images is, and says what it did; `trouble` is the link's, from the
    beginning, as is its `shape`. Over three places, `place` says which of the two servers it is done to."""

    name: str
    what: str
    deed: Callable[[ServerProcess], str] | None = None
    trouble: Trouble | None = None
    shape: Shape | None = None
    place: Literal[2, 3] | None = None


def _kill(server: ServerProcess) -> str:
    server.kill()
    return "killed"


def _restart(server: ServerProcess) -> str:
    server.kill()
    server.later(AWAY_S, server.start)
    return f"killed, started again {AWAY_S:g} s later"


def _freeze(server: ServerProcess) -> str:
    server.signal(signal.SIGSTOP)
    server.later(FROZEN_S, lambda: server.signal(signal.SIGCONT))
    return f"stopped for {FROZEN_S:g} s"


def _slow(server: ServerProcess) -> str:
    """Most of the time stopped."""

    def turn(stops: int) -> None:
        server.signal(signal.SIGSTOP if stops % 2 else signal.SIGCONT)
        if stops > 0:
            server.later(SLOWLY_S[stops % 2], lambda: turn(stops - 1))

    turn(2 * SLOW_TURNS - 1)
    return f"stopped for {SLOWLY_S[1]:g} s of every {sum(SLOWLY_S):g} s, {SLOW_TURNS} times"


SCENES = (
    Scene("nothing", "nothing happens"),
    Scene("restart", f"the server is killed (-9), and started again after {AWAY_S:g} s", _restart),
    Scene("kill", "the server is killed (-9) for good", _kill),
    Scene("freeze", f"the server is stopped (SIGSTOP) for {FROZEN_S:g} s", _freeze),
    Scene("flip", "the link changes one byte in 1,000", trouble=Trouble(flip_every=ALL_OF_IT.flip_every)),
    Scene("flip-few", "the link changes one byte in 100,000", trouble=Trouble(flip_every=1e5)),
    Scene("drop", "the link drops all connections every 2 s", trouble=Trouble(drop_every_s=ALL_OF_IT.drop_every_s), shape=SLOW),
    Scene("delay", "each direction takes 500 ms", trouble=Trouble(delay_s=0.5)),
    Scene("all", "one byte in 1,000, drops every 2 s, 250 ms each way", trouble=ALL_OF_IT),
    Scene("dark", "connections go dark every 8 s: open, but nothing comes through", trouble=Trouble(swallow_every_s=8.0),
          shape=SLOW),
    *(Scene(f"place-{p}-{name}", f"of three places the {ordinal} is {what}", deed, place=p)
      for p, ordinal in PLACES.items() for name, what, deed in (
          ("restart", f"killed (-9), and started again after {AWAY_S:g} s", _restart),
          ("kill", "killed (-9) for good", _kill),
          ("freeze", f"stopped (SIGSTOP) for {FROZEN_S:g} s", _freeze),
          ("slow", f"stopped for most of {SLOW_TURNS * sum(SLOWLY_S):g} s", _slow))),
)  # fmt: skip


def play(scene: Scene, plan: Plan, n: int, expected: list[int | None], folder: Path, pipelined: bool = False,
         tell: Callable[[str], None] = lambda what: None) -> Outcome:  # fmt: skip
    """Run the plan on n images while the scene happens. `expected` are the classes of an undisturbed run."""
    events: list[str] = []
    networks = networks_of(plan)
    log = folder / f"{scene.name}.log"
    with ExitStack() as stack:
        beyond = None if scene.place is None else stack.enter_context(ServerProcess(log.with_suffix(".last.log"), networks))
        nearest = stack.enter_context(ServerProcess(log, networks, None if beyond is None else beyond.address))
        address, proxy = stack.enter_context(_link(nearest, scene.trouble))
        server = beyond if scene.place == 3 and beyond is not None else nearest

        def watch(what: str, done: int, total: int) -> None:
            tell(f"{scene.name}: {what} ({done} of {counted(total, 'image')})")
            if scene.deed is not None and not events and what == "running" and done >= n // 3:
                events.append(scene.deed(server))

        begin = time.perf_counter()
        report = whole_run(plan, address, n=n, shape=scene.shape, pipelined=pipelined, progress=watch, networks=networks)
        seconds = time.perf_counter() - begin
        if proxy is not None:
            events.append(f"{counted(proxy.connections, 'connection')}, {proxy.flipped} bytes changed, {proxy.dropped} dropped, "
                          f"{proxy.swallowed} gone dark")  # fmt: skip
        elif not server.is_running and scene.deed is not _kill:
            raise RunnerError("the server", f"is gone; see {server.log}")
    return outcome(scene, report, expected, seconds, "; ".join(events))


def undisturbed(plan: Plan, n: int) -> list[int | None]:
    """The classes of n images, all at the edge: nothing can happen to them. None if a network does not classify."""
    report = whole_run(plan, ("127.0.0.1", 1), n=n, networks=networks_of(plan))
    return [image.class_ for image in report.per_image]


@contextmanager
def _link(server: ServerProcess, trouble: Trouble | None) -> Iterator[tuple[tuple[str, int], Proxy | None]]:
    if trouble is None:
        yield server.address, None
        return
    with Proxy(server.address, trouble) as proxy:
        yield proxy.address, proxy


def outcome(scene: Scene, report: RunReport, expected: list[int | None], seconds: float, events: str) -> Outcome:
    """What became of the images, by the run's report."""
    found = [image.class_ for image in report.per_image]
    differing = sum(a != b for a, b in zip(found, expected, strict=False)) if not report.lost else 0
    return Outcome(scene.name, scene.what, report.images, report.lost, report.fallbacks, report.retries, differing, seconds,
                   max(image.latency_s for image in report.per_image), events)
