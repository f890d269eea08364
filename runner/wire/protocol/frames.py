"""One frame: a prefix of fixed length, a JSON header, raw tensor bytes; each of the three has its checksum.

| bytes | field                                    |
| ----- | ---------------------------------------- |
| 0-3   | `LMOS`                                   |
| 4     | protocol version                         |
| 5     | frame type                               |
| 6-7   | 1: a trailer follows; else 0             |
| 8-11  | length of the header                     |
| 12-19 | length of the payload                    |
| 20-23 | CRC-32 of the header                     |
| 24-27 | CRC-32 of the payload; 0 with a trailer  |
| 28-31 | CRC-32 of the 28 bytes before it         |

All numbers are little endian. A trailer is the payload's CRC-32, right after the payload: whoever sends a long one need not read it
twice. Bytes 0-4 mean the same in every version. The prefix seals itself, so that nobody waits
for the bytes that a damaged length speaks of; every length is judged before anything of that length is allocated.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from runner.errors import NotOurProtocol, RemoteProtocolError
from runner.wire.protocol.checksum import crc32

MAGIC = b"LMOS"
VERSION = 2
TRAILED = 1
"""What bytes 6-7 say of a frame with a trailer."""
LARGEST_TOKEN = 1000
"""Characters of the token in a HELLO."""
_FIELDS = struct.Struct("<4sBBHIQII")
_CRC = struct.Struct("<I")
TRAILER_BYTES = _CRC.size
_WHOLE = struct.Struct(_FIELDS.format + "I")
PREFIX_BYTES = _WHOLE.size
_TLS_RECORD = (b"\x15\x03", b"\x16\x03")
_HTTP = (b"HTTP/", b"<!", b"<html", b"<HTML", b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ")
"""How answers and questions of HTTP begin; some servers answer what they cannot read with a page alone."""


class FrameType(IntEnum):
    """The kinds of frames, by their number on the wire."""

    HELLO = 1
    WELCOME = 2
    OPEN = 3
    READY = 4
    INFER = 5
    RESULT = 6
    PING = 7
    PONG = 8
    PROBE = 9
    ECHO = 10
    ERROR = 11
    BYE = 12
    MEASURE = 13
    MEASURED = 14


_KINDS = {int(kind): kind for kind in FrameType}


class Prefix(NamedTuple):
    """A prefix that was received whole and undamaged; its lengths are not yet judged."""

    type: FrameType
    header_bytes: int
    payload_bytes: int
    header_crc: int
    payload_crc: int | None
    """None: it is in the trailer."""


def encode_prefix(kind: FrameType, header: bytes, payload_bytes: int, payload_crc: int | None = 0) -> bytes:
    """The prefix of a frame with this header and a payload of this length and CRC-32 (0 where there is no payload, None where a
    trailer has it)."""
    fields = _FIELDS.pack(MAGIC, VERSION, kind, payload_crc is None, len(header), payload_bytes, crc32(header), payload_crc or 0)
    return fields + _CRC.pack(crc32(fields))


def check_beginning(data: bytes, peer: str = "server") -> None:
    """NotOurProtocol as soon as the first bytes of a prefix, however few, are not this version's; the `peer` is edge or server."""
    own = "edge" if peer == "server" else "server"
    if not MAGIC.startswith(data[: len(MAGIC)]):
        if data[:2] in _TLS_RECORD:
            how = "--tls-cert and --tls-key" if own == "server" else "--ca, of a middle place --next-ca"
            raise NotOurProtocol(f"the {peer} speaks TLS, the {own} was started without ({how})")
        how = "speaks HTTP" if data.startswith(_HTTP) else "does not speak the lmos protocol"
        raise NotOurProtocol(f"what {'answers there' if own == 'edge' else 'connected'} is no lmos {peer}: "
                             f"it {how} (it sent {data[:8]!r})")
    if len(data) > len(MAGIC) and data[len(MAGIC)] != VERSION:
        raise NotOurProtocol(f"the {peer} speaks version {data[len(MAGIC)]} of the protocol; the {own} speaks version {VERSION}")


def decode_prefix(data: bytes | memoryview, peer: str = "server") -> Prefix:
    """Read PREFIX_BYTES bytes from the `peer`; RemoteProtocolError where they are not a prefix of this protocol's version."""
    magic, version, number, flags, header_bytes, payload_bytes, header_crc, payload_crc, crc = _WHOLE.unpack(data)
    if magic != MAGIC or version != VERSION:
        check_beginning(bytes(data), peer)
    if crc != crc32(data[: _FIELDS.size]):
        raise RemoteProtocolError("a frame came damaged: the checksum of its prefix is wrong")
    kind = _KINDS.get(number)
    if kind is None:
        raise RemoteProtocolError(f"frame of unknown type {number}")
    if flags not in (0, TRAILED) or (flags == TRAILED and (payload_crc or not payload_bytes)):
        raise RemoteProtocolError(f"{kind.name}: a prefix of flags {flags:#x} that are unknown here, or do not fit the frame")
    return Prefix(kind, header_bytes, payload_bytes, header_crc, None if flags == TRAILED else payload_crc)


def encode_trailer(payload_crc: int) -> bytes:
    """The trailer of a payload with this CRC-32."""
    return _CRC.pack(payload_crc)


def decode_trailer(data: bytes | memoryview) -> int:
    """The payload's CRC-32, from the TRAILER_BYTES bytes after it."""
    found: int = _CRC.unpack(data)[0]
    return found
