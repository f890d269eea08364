"""The edge's process: `python -m lmos.bench.promising.course COURSE.json`. It writes its measurements as JSON, next to that file.

The run that adapts is `run_plan`, unchanged. After each of its images every fixed plan runs one image too, in turns, over its own
connection and the same link. So all plans meet the same seconds of one replay.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos.bench.adapting.course import found_at, ready
from lmos.bench.adapting.fixed import Fixed
from lmos.whole_runs import whole_run
from lmos_opt.plan import Plan
from runner.lab.replaying import link_shape
from runner.watching.events import Event, RunBegan
from runner.wire.shaping import Pacer


@dataclass(frozen=True)
class Course:
    """Files of the fixed plans by their names, that of the plan that adapts, a server, the link's shape as text, and how many
    images each runs."""

    fixed: dict[str, str]
    adaptive: str
    server: tuple[str, int]
    shape: str
    images: int


def follow(course: Course) -> dict[str, object]:
    """Run the course: the report of the run that adapted, and for each fixed plan its images' stage times, None of lost ones."""
    link = Pacer(link_shape(course.shape))
    fixed = Fixed({name: Plan.load(file) for name, file in course.fixed.items()}, course.server, link)
    found: dict[str, list[list[float] | None]] = {name: [] for name in fixed}

    def between(what: str, done: int, total: int) -> None:
        if what == "running" and done:
            for name in fixed:
                result = fixed.image(name)
                times = None if result is None else [result.latency_s, result.t_edge_s, result.t_tx_s, result.t_server_s]
                found[name].append(times)

    def begin(event: Event) -> None:
        if isinstance(event, RunBegan):
            ready()

    began_at = time.monotonic()
    report = whole_run(Plan.load(course.adaptive), course.server, n=course.images, shape=link, threads=1, adapt=True,
                       progress=between, observers=[begin])  # fmt: skip
    fixed.close()
    return {"report": report.to_dict(), "fixed": found, "seconds": time.monotonic() - began_at}


def main(arguments: Sequence[str]) -> None:
    """Read the course, write the outcome."""
    told = json.loads(Path(arguments[0]).read_text())
    course = Course(told["fixed"], told["adaptive"], tuple(told["server"]), told["shape"], told["images"])
    found_at(Path(arguments[0])).write_text(json.dumps(follow(course)))


if __name__ == "__main__":
    main(sys.argv[1:])
