"""What was out of the ordinary in a run, kept for its report."""

from __future__ import annotations

from runner.watching.events import Asked, CutChanged, Event, ImageEnded, ProbeFailed, ServerLost, ServerReady
from runner.watching.report import Happening

MOST_HAPPENINGS = 1000
"""A link that fails all day long must not fill the report; the counts in it are of all."""


class Recorder:
    """An observer that keeps the first MOST_HAPPENINGS events that are no part of a run in which nothing happens."""

    def __init__(self) -> None:
        self._kept: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Keep it, if it is such an event."""
        odd = isinstance(event, (ServerLost, ProbeFailed, CutChanged))
        odd = odd or (isinstance(event, ServerReady) and event.again) or (isinstance(event, Asked) and event.attempt > 1)
        odd = odd or (isinstance(event, ImageEnded) and event.outcome == "failed")
        if odd and len(self._kept) < MOST_HAPPENINGS:
            self._kept.append(event)

    def since(self, start: float) -> list[Happening]:
        """What happened after a moment (`time.perf_counter`), in its order."""
        kept = sorted((event for event in self._kept if event.at >= start), key=lambda event: event.at)
        return [Happening(at_s=event.at - start, event=event.name, text=event.text) for event in kept]
