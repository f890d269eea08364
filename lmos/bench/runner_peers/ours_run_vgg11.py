"""This project through the command at real work: `lmos run` of VGG11 with its first two layers at the edge, whose 12.8 MB cross."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lmos.bench.runner_peers import Opener, Peer
from lmos.bench.runner_peers.ours_run import running
from lmos.bench.runner_peers.ours_vgg11 import CROSSING_BYTES, CUT, IMAGE, NETWORK


@contextmanager
def _start() -> Iterator[Opener]:
    yield lambda n_bytes: running(NETWORK, IMAGE, CUT)


PEER = Peer("ours_run_vgg11", _start, only_bytes=CROSSING_BYTES, can_rest=False)
