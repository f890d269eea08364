"""Threads that trace at once, and threads that run a network while another is traced."""

from __future__ import annotations

from threading import Barrier, Event, Thread

import torch
from torch import nn

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


def test_a_network_that_runs_while_another_is_traced_does_what_it_always_does():
    running, inputs = Deep().eval(), torch.rand(1, 4)
    expected = running(inputs)
    found, wrong, over = [], [], Event()

    def work():
        while not over.is_set():
            try:
                found.append(torch.equal(running(inputs), expected))
            except Exception as error:  # noqa: BLE001 - told below
                wrong.append(error)

    thread = Thread(target=work)
    thread.start()
    for _ in range(3):
        assert len(trace_network(Deep().eval(), torch.zeros(1, 4)).layers) == 60
    over.set()
    thread.join()
    assert not wrong
    assert found
    assert all(found)
