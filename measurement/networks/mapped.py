"""Reading a file that is mapped into memory, without keeping it there.

Pages of a mapped file count as this process's as soon as it has looked at them. Those that were only read can be given back:
the next look fetches them again.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

_MAPS = Path("/proc/self/maps")
_DONT_NEED = getattr(mmap, "MADV_DONTNEED", None)
_PIECE_BYTES = 1 << 22
"""The bytes that are in memory at a time: so many that giving memory back takes little time compared with reading."""


def addresses_of(path: Path) -> tuple[range, ...]:
    """The addresses at which this process has mapped the file; empty if the system does not tell (Linux does)."""
    try:
        lines = _MAPS.read_text().splitlines()
        name = str(path.resolve())
    except OSError:
        return ()
    found = []
    for line in lines:
        addresses, *_, place = line.split(maxsplit=5)
        if place == name:
            first, _, end = addresses.partition("-")
            found.append(range(int(first, 16), int(end, 16)))
    return tuple(found)


def pieces(values: npt.NDArray[np.uint8], mapped: Sequence[range]) -> Iterator[npt.NDArray[np.uint8]]:
    """The bytes in order, in pieces. The memory of a mapped file's piece is given back before the next piece."""
    for start in range(0, values.size, _PIECE_BYTES):
        piece = values[start : start + _PIECE_BYTES]
        yield piece
        _give_back(piece, mapped)


def _give_back(values: npt.NDArray[np.uint8], mapped: Sequence[range]) -> None:
    """Give a piece's memory back if it lies entirely in a mapped file. Other memory would lose its contents."""
    first = values.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    end = values.ctypes.data + values.nbytes
    if _DONT_NEED is not None and any(first in where and end <= where.stop for where in mapped):
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _DONT_NEED)
