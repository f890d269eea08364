"""What each layer holds while it runs, by torch's own account of its allocations."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from measurement.timing.stepping import Steps

_MARK = "lmos layer: "
_LOG_LEVEL = "KINETO_LOG_LEVEL"


def held_bytes(steps: Steps, image: Tensor | Sequence[Tensor]) -> dict[str, int]:
    """For each layer, the most bytes it held in one run above what there was when it began: its output, and what it works in.

    torch's profiler tells every allocation of a tensor and its end, to the byte: a view or an operation in place holds
    nothing, a convolution its output and the copies of image and weights in the order that its kernel wants. What libraries
    take without asking torch is not seen; resident memory would show that, but only in whole pages, and not where it is
    memory that was free before.
    """
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        steps.within(image, lambda layer: record_function(_MARK + layer))
    events = found.profiler.kineto_results.events() if found.profiler is not None else []
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    times = [at for at, _ in changes]
    held = dict.fromkeys(steps.layers, 0)
    for event in events:
        if event.name().startswith(_MARK):
            layer = event.name().removeprefix(_MARK)
            during = changes[bisect_left(times, event.start_ns()) : bisect_right(times, event.end_ns())]
            held[layer] = max(held[layer], *accumulate((n_bytes for _, n_bytes in during), initial=0))
    return held


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the profiler's own news on standard error, unless somebody asked for them: it reads this when it starts."""
    asked = os.environ.get(_LOG_LEVEL)
    os.environ.setdefault(_LOG_LEVEL, "6")
    try:
        yield
    finally:
        if asked is None:
            del os.environ[_LOG_LEVEL]
