"""Network namespaces in a row with a link from each to the next that passes so many bits a second, and no other way in or out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from runner.lab.emulation.command import do, undo

EDGE_ADDRESS, SERVER_ADDRESS = "10.83.0.1", "10.83.0.2"
"""Of the first hop's ends, inside the namespaces alone; the machine's own network never sees them. Those of hop 2 are 10.83.1.1 and
10.83.1.2, and so on."""
_FRAME_BYTES, _SEGMENT_BYTES = 1514, 1448
"""What Ethernet carries for a full segment of TCP with time stamps, and what of it is the sender's: a bucket counts the former."""
_BURST_BYTES, _BURST_S = 2 * _FRAME_BYTES, 0.001
"""What passes at once after a pause: two frames, or a millisecond of a fast link."""
_QUEUED = "10000"
"""Packets that wait for a delay."""


@dataclass(frozen=True)
class Wire:
    """A hop as it is emulated: its rate (B/s) in both directions, and what it adds to a round trip (s)."""

    rate_bytes_per_s: float
    rtt_s: float = 0.0


@dataclass(frozen=True)
class Chain:
    """The namespaces' names in the order of the places."""

    namespaces: tuple[str, ...]

    def inside(self, place: int) -> list[str]:
        """What to put before a command, so that it runs at a place, counted from 1."""
        return ["ip", "netns", "exec", self.namespaces[place - 1]]

    def address(self, place: int) -> str:
        """Where the place before this one, counted from 1, reaches it."""
        return f"10.83.{place - 2}.2"


def goodput_bytes_per_s(rate_bytes_per_s: float) -> float:
    """The rate (B/s) of a TCP sender's payload on a link of this rate."""
    return rate_bytes_per_s * _SEGMENT_BYTES / _FRAME_BYTES


@contextmanager
def chain(wires: Sequence[Wire]) -> Iterator[Chain]:
    """A network namespace for each place, and a veth pair for each hop. They are removed after the block.

    `tc tbf` limits the rate of a hop in both directions; `tc netem` adds the delay if the hop has one. Raises CannotEmulate if the
    namespaces cannot be made.
    """
    made = Chain(tuple(f"lmos-place{p}-{os.getpid()}" for p in range(1, len(wires) + 2)))
    try:
        for namespace in made.namespaces:
            do("ip", "netns", "add", namespace)
            do("ip", "-n", namespace, "link", "set", "lo", "up")
        for h, wire in enumerate(wires):
            _join(made.namespaces[h], made.namespaces[h + 1], h, wire)
        yield made
    finally:
        undo(*(["ip", "netns", "delete", namespace] for namespace in made.namespaces))  # the links go with them


def _join(one: str, other: str, h: int, wire: Wire) -> None:
    device, rate = f"lmos{h}", f"{round(wire.rate_bytes_per_s * 8)}bit"
    burst = str(max(_BURST_BYTES, round(wire.rate_bytes_per_s * _BURST_S)))
    do("ip", "link", "add", device, "netns", one, "type", "veth", "peer", "name", device, "netns", other)
    for end, namespace in enumerate((one, other), 1):
        do("ip", "-n", namespace, "address", "add", f"10.83.{h}.{end}/30", "dev", device)
        do("ip", "-n", namespace, "link", "set", device, "up")
        do("tc", "-n", namespace, "qdisc", "add", "dev", device, "root", "handle", "1:", "tbf", "rate", rate, "burst", burst,
           "latency", "1s")  # fmt: skip
        if wire.rtt_s:
            do("tc", "-n", namespace, "qdisc", "add", "dev", device, "parent", "1:", "netem", "delay",
               f"{round(wire.rtt_s * 5e5)}us", "limit", _QUEUED)  # fmt: skip
