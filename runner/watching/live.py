"""The live view of a run in a terminal: its stages, images per second, cut, server, and errors.

It is an observer that only records events. The terminal asks it for a picture some times per second.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lmos_opt.units import counted, format_time
from runner.watching.events import (
    Asked,
    CutChanged,
    Event,
    ImageBegan,
    ImageEnded,
    RunBegan,
    RunEnded,
    ServerLost,
    ServerReady,
)
from runner.watching.report import ImageResult

REFRESHES_PER_S = 4
RECENT = 50
"""The number of latest images from which medians and goodput are computed."""
STAGES = {"edge": "t_edge_s", "waiting": "t_queue_s", "link": "t_tx_s", "server": "t_server_s", "whole image": "latency_s"}


class LiveView:
    """The state of a run so far, which rich draws when it is asked to."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._doing = "starting"
        self._began: RunBegan | None = None
        self._cut = self._changes = 0
        self._server = "not connected"
        self._recent: deque[ImageResult] = deque(maxlen=RECENT)
        self._ends: deque[float] = deque(maxlen=RECENT + 1)
        self._under_way = 0
        self._ended = self._again = self._here = self._failed = 0
        self._why: str | None = None

    def do(self, what: str, done: int, total: int) -> None:
        """The run's progress, as `runner.client.pipeline.Progress`."""
        self._doing = what

    def __call__(self, event: Event) -> None:
        """Record an event."""
        if isinstance(event, RunBegan):
            self._began, self._cut = event, event.cut
            self._ends.append(event.at)
        elif isinstance(event, ImageBegan):
            self._under_way += 1
        elif isinstance(event, ImageEnded):
            self._end(event)
        elif isinstance(event, Asked):
            self._again += event.attempt > 1
        elif isinstance(event, ServerReady):
            self._server = "ready again" if event.again else "ready"
        elif isinstance(event, ServerLost):
            self._server = event.text
        elif isinstance(event, CutChanged):
            self._cut, self._changes = event.after, self._changes + 1
        elif isinstance(event, RunEnded):
            self._doing = "writing"

    def _end(self, event: ImageEnded) -> None:
        self._under_way -= 1
        self._ended += 1
        self._why = event.result.reason or self._why
        if isinstance(event.result, ImageResult):
            self._recent.append(event.result)
            self._ends.append(event.at)
            self._here += event.outcome == "done_locally"
        else:
            self._failed += 1

    @property
    def goodput(self) -> float:
        """Images with a class a second, lately."""
        return (len(self._ends) - 1) / max(self._clock() - self._ends[0], 1e-9) if len(self._ends) > 1 else 0.0

    def __rich__(self) -> RenderableType:
        began = self._began
        if began is None:
            return Text(f"{self._doing}; server: {self._server}")
        recent = tuple(self._recent)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("stage")
        table.add_column("last", justify="right")
        table.add_column(f"median of {len(recent)}", justify="right")
        for name, key in STAGES.items() if recent else ():
            values = [getattr(image, key) for image in recent]
            table.add_row(name, format_time(values[-1]), format_time(median(values)))
        moved = f", changed {counted(self._changes, 'time')}" if self._changes else ""
        trouble = ", ".join(f"{count} {what}" for count, what in (
            (self._again, "sent again"), (self._here, "finished here"), (self._failed, "lost")))  # fmt: skip
        done = f"{self._ended} images" if began.images is None else f"{self._ended} of {counted(began.images, 'image')}"
        return Group(
            Text(f"{began.network}: {done}, {self.goodput:.2f} images/s, "
                 f"{self._under_way} under way", style="bold"),
            Text(f"{self._doing}; {counted(self._cut, 'layer')} here{moved}"),
            Text(f"{began.peer}: {self._server}" if began.peer else "no server needed"),
            table,
            Text(trouble + (f" ({self._why})" if self._why else "")),
        )  # fmt: skip
