"""A process that gets a part of a processor, and what an edge that was tried out takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from math import fsum

import pytest

from lmos.bench.adapting.contest import SlowEdge
from lmos.bench.adapting.slowing import Slowed
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import load_source
from tests.processes import started


@pytest.mark.process
def test_a_process_gets_no_more_than_its_share_and_runs_on_afterwards() -> None:
    with started([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        clock = ~busy.pid << 3 | 2
        busy.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, busy.pid, os.WSTOPPED)
        before, began = time.clock_gettime(clock), time.perf_counter()
        with Slowed(busy.pid, 0.2) as held:
            while time.clock_gettime(clock) < before + 0.05:
                time.sleep(0.01)
            computed = time.clock_gettime(clock) - before
        passed = time.perf_counter() - began  # with all of the stop that belongs to the turn that was under way
        assert computed <= 0.21 * passed  # what it computes after it was told to stop is at most a part of a turn
        assert 0 < held.had <= 0.2
        after = time.clock_gettime(clock)
        while time.clock_gettime(clock) < after + 0.05:  # stopped, it would never get there
            time.sleep(0.01)


def test_an_edge_that_was_tried_out_takes_what_it_took_then() -> None:
    profile = load_source("squeezenet1_1")
    assert isinstance(profile, NetworkProfile)
    timed = profile.model_copy(update={"layers": tuple(
        layer.model_copy(update={"t_local_s": 0.001 * k}) for k, layer in enumerate(profile.layers, 1))})
    edge = SlowEdge(timed, 0.1, (0.3, 0.2, 0.1), (0.004, 0.002, 0.009))
    assert edge.spread == pytest.approx((1.5, 1.0, 0.5))
    instance = edge.instance(1e6)
    assert fsum(layer.t_edge_s for layer in instance.layers) == pytest.approx(0.2)
    assert instance.layers[9].t_edge_s == pytest.approx(10 * instance.layers[0].t_edge_s)
    assert instance.layers[9].t_server_s == pytest.approx(0.01)
    assert instance.hops[0].rtt_s == pytest.approx(0.004)
