"""Fixtures of the application's tests: those of the runner's, and processes that begin at once."""

from __future__ import annotations

import pytest

from lmos import loopback
from lmos.bench import runner_peers
from lmos.bench.adapting import contest
from lmos.bench.faults import hostile, refusals, stage
from tests import warm
from tests.runner.conftest import one_torch_thread, plans, server, squeezenet

__all__ = ["one_torch_thread", "plans", "server", "squeezenet"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers, peers and edges of their own are copies of a process that has imported all they need: no test is about imports."""
    for module in (contest, hostile, loopback, refusals, runner_peers, stage):
        monkeypatch.setattr(module, "subprocess", warm.SUBPROCESS)
