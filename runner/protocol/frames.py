"""One frame: a prefix of fixed length, a JSON header, raw tensor bytes.

| bytes | field                                                        |
| ----- | ------------------------------------------------------------ |
| 0-3   | `LMOS`                                                       |
| 4     | protocol version                                             |
| 5     | frame type                                                   |
| 6-7   | zero                                                         |
| 8-11  | length of the header                                         |
| 12-19 | length of the payload                                        |
| 20-23 | CRC-32 of the 20 bytes before it and of the header           |

All numbers are little endian. Every length is known, and checked, before anything of that length is allocated.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from runner.errors import RemoteProtocolError

MAGIC = b"LMOS"
VERSION = 1
_FIELDS = struct.Struct("<4sBBHIQ")
_CRC = struct.Struct("<I")
PREFIX_BYTES = _FIELDS.size + _CRC.size


class FrameType(IntEnum):
    """The kinds of frames, by their number on the wire."""

    HELLO = 1
    OPEN = 2
    READY = 3
    INFER = 4
    RESULT = 5
    ERROR = 6
    BYE = 7


@dataclass(frozen=True)
class Prefix:
    """A prefix that was received: its type is known, its lengths are not yet judged, its CRC not yet compared."""

    type: FrameType
    header_bytes: int
    payload_bytes: int
    fields: bytes
    crc: int

    def check(self, header: bytes | bytearray) -> None:
        """RemoteProtocolError unless prefix and header have the CRC that was sent."""
        if zlib.crc32(header, zlib.crc32(self.fields)) != self.crc:
            raise RemoteProtocolError(f"{self.type.name}: the header's checksum is wrong")


def encode_prefix(kind: FrameType, header: bytes, payload_bytes: int) -> bytes:
    """The prefix of a frame with this header and a payload of this length."""
    fields = _FIELDS.pack(MAGIC, VERSION, kind, 0, len(header), payload_bytes)
    return fields + _CRC.pack(zlib.crc32(header, zlib.crc32(fields)))


def decode_prefix(data: bytes) -> Prefix:
    """Read PREFIX_BYTES bytes; RemoteProtocolError where they are not a prefix of this protocol's version."""
    fields = data[: _FIELDS.size]
    magic, version, kind, zero, header_bytes, payload_bytes = _FIELDS.unpack(fields)
    if magic != MAGIC:
        raise RemoteProtocolError(f"does not speak the lmos protocol (it sent {bytes(data[:8])!r})")
    if version != VERSION:
        raise RemoteProtocolError(f"speaks version {version} of the protocol; this side speaks version {VERSION}")
    if kind not in set(FrameType) or zero != 0:
        raise RemoteProtocolError(f"frame of unknown type {kind}")
    return Prefix(FrameType(kind), header_bytes, payload_bytes, fields, _CRC.unpack(data[_FIELDS.size :])[0])
