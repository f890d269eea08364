"""CRC-32 as zlib has it: several times faster where `isal` is installed, the same numbers either way."""

from __future__ import annotations

from collections.abc import Iterable

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

__all__ = ["crc32", "crc32_of"]


def crc32_of(parts: Iterable[memoryview]) -> int:
    """The CRC-32 of parts in order, as if they were one.

    >>> crc32_of([memoryview(b"ab"), memoryview(b"c")]) == crc32(b"abc")
    True
    """
    crc = 0
    for part in parts:
        crc = crc32(part, crc)
    return crc
