"""Threads that trace at once, and threads that run a network while another is traced."""

from __future__ import annotations

from threading import Barrier, Event, Thread

import torch
from torch import fx, nn

from measurement import trace_network


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(30))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x


def test_networks_traced_at_once_leave_torch_as_it_was():
    before, found, begin = nn.Module.__call__, [], Barrier(4)

    def work():
        begin.wait()
        for _ in range(3):
            found.append(len(trace_network(Deep().eval(), torch.zeros(1, 4)).layers))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [60] * 12
    assert nn.Module.__call__ is before


class Slow(nn.Module):
    """Waits, while it is traced, until another thread has done something."""

    def __init__(self, traced: Event, done: Event) -> None:
        super().__init__()
        self.layer, self.events = nn.Linear(4, 4), (traced, done)

    def forward(self, x):
        traced, done = self.events
        if isinstance(x, fx.Proxy):
            traced.set()
            assert done.wait(60)
        return self.layer(x)


def test_a_network_that_runs_while_another_is_traced_does_what_it_always_does():
    running, inputs, traced, done = Deep().eval(), torch.rand(1, 4), Event(), Event()
    expected, found = running(inputs), []

    def work():
        try:
            assert traced.wait(60)
            found.append(running(inputs))
        finally:
            done.set()

    thread = Thread(target=work)
    thread.start()
    assert len(trace_network(Slow(traced, done).eval(), torch.zeros(1, 4)).layers) == 1
    thread.join()
    assert torch.equal(found[0], expected)
