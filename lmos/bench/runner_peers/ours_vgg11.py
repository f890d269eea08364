"""This project at real work: VGG11 with its first two layers at the edge, whose 12.8 MB of output cross; `t_tx_s` of the image.

Head and tail compute in between, so that caches are cold and threads of both sides were just busy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lmos.bench.runner_peers import Opener, Peer
from lmos.bench.runner_peers.ours import exchanging
from lmos.loopback import server_process

NETWORK, IMAGE, CUT = "torchvision:vgg11", (1, 3, 224, 224), 2
CROSSING_BYTES = 64 * 224 * 224 * 4


@contextmanager
def _start() -> Iterator[Opener]:
    with TemporaryDirectory() as folder, server_process(Path(folder) / "server.log") as address:
        yield lambda n_bytes: exchanging(NETWORK, IMAGE, CUT, address)


PEER = Peer("ours_vgg11", _start, only_bytes=CROSSING_BYTES)
