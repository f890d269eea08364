"""`python -m tests.runner.interrupted PORT`: maps without an end until Ctrl-C, and says what is left of it then."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator

import psutil
import torch
from torch import Tensor

from runner import connect
from tests.runner.running import BRANCHED, NETWORKS, Plans


def endless() -> Iterator[Tensor]:
    while True:
        yield torch.ones(1, 3, 8, 8)


def main(port: int) -> None:
    plan = Plans(BRANCHED)(2)
    threads = set(threading.enumerate())
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    split = connect(plan, ("127.0.0.1", port), networks=NETWORKS)
    try:
        with split:
            for k, _ in enumerate(split.map(endless(), depth=3)):
                if k == 3:
                    print("mapping", flush=True)
    except KeyboardInterrupt:
        report = split.report()
        print(json.dumps({
            "threads": [thread.name for thread in threading.enumerate() if thread not in threads],
            "children": len(psutil.Process().children()),
            "connections": len(psutil.Process().net_connections()),
            "files": len(os.listdir("/proc/self/fd")) - files,  # noqa: PTH208
            "images": report.images, "lost": report.lost, "reasons": sorted({one.reason for one in report.failed}),
        }))  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
