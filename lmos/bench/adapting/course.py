"""The edge's process: `python -m lmos.bench.adapting.course COURSE.json`, which prints what it measured as JSON.

The run that adapts is `run_plan` as it is. After every CHUNK of its images each fixed cut runs as many over connections of its own,
image by image in turns, on the same link; after a step's last image the link gets its next rate.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos_opt.plan import Plan, check_runnable
from runner.adaptation.cuts import Choice, plans_of
from runner.client.pipeline import Pipeline, Route
from runner.client.remote import opening
from runner.client.server_connection import ServerConnection
from runner.images import find_images
from runner.places.edge import run_plan
from runner.places.head import build_routes
from runner.watching.events import Event, RunBegan
from runner.wire.shaping import Pacer, Shape
from runner.wire.timeouts import PATIENT

CHUNK = 8
BEGAN = "began"
_SETTLE_S = 0.5
"""After BEGAN the one that slows this process has so long to begin."""
_READY_S = 120.0


@dataclass(frozen=True)
class Course:
    """A plan with a policy, a server, and the link's rates (B/s), each for so many images. `few` names the fixed cuts (by edge
    layers) that run once a chunk: by step, those that are far from the best."""

    plan: str
    server: tuple[str, int]
    rates: tuple[float, ...]
    images: int
    few: tuple[tuple[int, ...], ...]


class _Fixed:
    """Every cut for itself."""

    def __init__(self, course: Course, plan: Plan, link: Pacer) -> None:
        self._course = course
        network = check_runnable(plan, course.plan)
        plans = plans_of(plan, Choice.all_of(plan))
        connections = [ServerConnection(course.server, opening(one, network), link, PATIENT) if one.x2 else None for one in plans]
        self._connections = [connection for connection in connections if connection is not None]
        self._pictures = find_images(network, None, 1)
        self.latencies: dict[int, list[list[float]]] = {}
        self._pipelines: dict[int, Pipeline] = {}
        built = build_routes(plans, connections, network, network.weights, (), self._pictures)
        for one, route in zip(plans, built.routes, strict=True):
            self._reach(route)
            self._pipelines[one.x1] = Pipeline(route, (), PATIENT)
            self._pipelines[one.x1].warm_up(self._pictures)
            self.latencies[one.x1] = [[] for _ in course.rates]

    @staticmethod
    def _reach(route: Route) -> None:
        end = time.monotonic() + _READY_S
        while route.connection is not None and not route.connection.is_open and time.monotonic() < end:
            route.connection.step(1.0)

    def run(self, step: int) -> None:
        """A chunk of images."""
        for k in range(CHUNK):
            for x1, pipeline in self._pipelines.items():
                if k and x1 in self._course.few[step]:
                    continue
                pipeline.run(self._pictures, 1)
                self.latencies[x1][step].append(pipeline.results.pop().latency_s)

    def close(self) -> None:
        """End every conversation."""
        for connection in self._connections:
            connection.close(politely=True)


def follow(course: Course) -> dict[str, object]:
    """Run the course."""
    plan = Plan.load(course.plan)
    link = Pacer(Shape(max(course.rates)))
    fixed = _Fixed(course, plan, link)
    link.hold_to(course.rates[0])

    def between(what: str, done: int, total: int) -> None:
        if what == "running" and done and done % CHUNK == 0:
            fixed.run((done - 1) // course.images)
            link.hold_to(course.rates[min(done // course.images, len(course.rates) - 1)])

    def begin(event: Event) -> None:
        if isinstance(event, RunBegan):
            sys.stdout.write(f"{BEGAN}\n")
            sys.stdout.flush()
            time.sleep(_SETTLE_S)

    report = run_plan(plan, course.server, n=course.images * len(course.rates), shape=link, threads=1, adapt=True, progress=between,
                      observers=[begin])  # fmt: skip
    fixed.close()
    return {"report": report.to_dict(), "fixed": fixed.latencies}


def main(arguments: Sequence[str]) -> None:
    """Read the course, print the outcome."""
    told = json.loads(Path(arguments[0]).read_text())
    course = Course(told["plan"], tuple(told["server"]), tuple(told["rates"]), told["images"], tuple(map(tuple, told["few"])))
    sys.stdout.write(json.dumps(follow(course)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
