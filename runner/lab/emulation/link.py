"""Two network namespaces with a link between them that passes so many bits a second, and no other way in or out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runner.lab.emulation.command import do, undo

EDGE_ADDRESS, SERVER_ADDRESS = "10.83.0.1", "10.83.0.2"
"""Inside the namespaces alone; the machine's own network never sees them."""
_DEVICE = "lmos0"
_FRAME_BYTES, _SEGMENT_BYTES = 1514, 1448
"""What Ethernet carries for a full segment of TCP with time stamps, and what of it is the sender's: a bucket counts the former."""
_BURST_BYTES, _BURST_S = 2 * _FRAME_BYTES, 0.001
"""What passes at once after a pause: two frames, or a millisecond of a fast link."""


@dataclass(frozen=True)
class Link:
    """The namespaces' names."""

    edge: str
    server: str

    def inside(self, namespace: str) -> list[str]:
        """What to put before a command, so that it runs inside."""
        return ["ip", "netns", "exec", namespace]


def goodput_bytes_per_s(rate_bytes_per_s: float) -> float:
    """What a TCP sender gets of a link's rate."""
    return rate_bytes_per_s * _SEGMENT_BYTES / _FRAME_BYTES


@contextmanager
def link(rate_bytes_per_s: float) -> Iterator[Link]:
    """The two namespaces, joined by a veth pair that `tc tbf` holds to a rate in both directions; gone after the block.

    Raises CannotEmulate where they cannot be made.
    """
    made = Link(f"lmos-edge-{os.getpid()}", f"lmos-server-{os.getpid()}")
    rate, burst = f"{round(rate_bytes_per_s * 8)}bit", str(max(_BURST_BYTES, round(rate_bytes_per_s * _BURST_S)))
    try:
        for namespace in (made.edge, made.server):
            do("ip", "netns", "add", namespace)
        do("ip", "link", "add", _DEVICE, "netns", made.edge, "type", "veth", "peer", "name", _DEVICE, "netns", made.server)
        for namespace, address in ((made.edge, EDGE_ADDRESS), (made.server, SERVER_ADDRESS)):
            do("ip", "-n", namespace, "address", "add", f"{address}/30", "dev", _DEVICE)
            do("ip", "-n", namespace, "link", "set", "lo", "up")
            do("ip", "-n", namespace, "link", "set", _DEVICE, "up")
            do("tc", "-n", namespace, "qdisc", "add", "dev", _DEVICE, "root", "tbf", "rate", rate,
               "burst", burst, "latency", "1s")  # fmt: skip
        yield made
    finally:
        undo(*(["ip", "netns", "delete", namespace] for namespace in (made.edge, made.server)))  # the link goes with them
