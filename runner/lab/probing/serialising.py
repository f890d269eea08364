"""How fast this side makes messages of tensors: packing and checksum, which every exchange pays on top of the link."""

from __future__ import annotations

import time

import torch

from runner.wire.protocol.checksum import crc32_of
from runner.wire.tensors import pack

_BYTES, _TIMES = 2**22, 9


def serialising_bytes_per_s() -> float:
    """Bytes a second, the median of a few."""
    tensor = torch.zeros(_BYTES // 4)
    found = []
    for _ in range(_TIMES):
        begin = time.perf_counter()
        crc32_of(pack({"probe": tensor})[1])
        found.append(time.perf_counter() - begin)
    return _BYTES / sorted(found)[_TIMES // 2]
