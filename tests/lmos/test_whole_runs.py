"""A run that is interrupted is of no use to a benchmark: the interruption goes on."""

from __future__ import annotations

import pytest

from lmos.bench.faults.stage import planned
from lmos.whole_runs import whole_run


def test_an_interruption_of_a_run_goes_on() -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole_run(planned("squeezenet1_1", None)[0], ("127.0.0.1", 1), n=3, progress=interrupt)
