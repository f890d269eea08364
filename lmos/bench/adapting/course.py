"""The edge's process: `python -m lmos.bench.adapting.course COURSE.json`. It writes its measurements as JSON, next to that file.

The run that adapts is `run_plan`, unchanged. After every CHUNK of its images each fixed cut runs CHUNK images too, in turns, image
by image, over its own connections and the same link. After the last image of a step the link gets its next rate.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos.bench.adapting.fixed import Fixed
from lmos.whole_runs import whole_run
from lmos_opt.plan import Plan
from runner.adaptation.cuts import Choice, plans_of
from runner.watching.events import Event, RunBegan
from runner.wire.shaping import Pacer, Shape

CHUNK = 8
BEGAN = "began"
_SETTLE_S = 0.5
"""After BEGAN the one that slows this process has so long to begin."""


@dataclass(frozen=True)
class Course:
    """A plan with a policy, a server, and the link's rates (B/s), each for so many images. `few` names the fixed cuts (by edge
    layers) that run once a chunk: by step, those that are far from the best."""

    plan: str
    server: tuple[str, int]
    rates: tuple[float, ...]
    images: int
    few: tuple[tuple[int, ...], ...]


def follow(course: Course) -> dict[str, object]:
    """Run the course."""
    plan = Plan.load(course.plan)
    link = Pacer(Shape(max(course.rates)))
    fixed = Fixed({one.x1: one for one in plans_of(plan, Choice.all_of(plan))}, course.server, link)
    latencies: dict[int, list[list[float]]] = {x1: [[] for _ in course.rates] for x1 in fixed}
    link.hold_to(course.rates[0])

    def chunk(step: int) -> None:
        for k in range(CHUNK):
            for x1 in fixed:
                if not (k and x1 in course.few[step]) and (result := fixed.image(x1)) is not None:
                    latencies[x1][step].append(result.latency_s)

    def between(what: str, done: int, total: int) -> None:
        if what == "running" and done and done % CHUNK == 0:
            chunk((done - 1) // course.images)
            link.hold_to(course.rates[min(done // course.images, len(course.rates) - 1)])

    def begin(event: Event) -> None:
        if isinstance(event, RunBegan):
            ready()

    report = whole_run(plan, course.server, n=course.images * len(course.rates), shape=link, threads=1, adapt=True,
                       progress=between, observers=[begin])  # fmt: skip
    fixed.close()
    return {"report": report.to_dict(), "fixed": latencies}


def ready() -> None:
    """Say that the process is ready, and give the one that slows it the time to begin."""
    sys.stdout.write(f"{BEGAN}\n")
    sys.stdout.flush()
    time.sleep(_SETTLE_S)


def found_at(course: Path) -> Path:
    """Where the outcome of a course is written."""
    return course.with_suffix(".found.json")


def main(arguments: Sequence[str]) -> None:
    """Read the course, write the outcome."""
    told = json.loads(Path(arguments[0]).read_text())
    course = Course(told["plan"], tuple(told["server"]), tuple(told["rates"]), told["images"], tuple(map(tuple, told["few"])))
    found_at(Path(arguments[0])).write_text(json.dumps(follow(course)))


if __name__ == "__main__":
    main(sys.argv[1:])
