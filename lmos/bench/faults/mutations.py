"""Conversations that somebody tampered with: valid frames first, then changes of every kind an attacker would think of.

The checksums are made right again in most of them: an attacker computes them too, and what comes after them is what is to
be tried.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from lmos_opt.profile import DTYPE_BYTES
from runner.wire.protocol.checksum import crc32
from runner.wire.protocol.frames import PREFIX_BYTES, TRAILED, TRAILER_BYTES, encode_trailer

Mutation = Callable[[random.Random, list[bytearray]], None]
"""Changes a list of frames in place."""

_NUMBERS = (0, 1, 2, 63, 64, 127, 128, 255, 256, 4095, 4096, 4097, 2**16, 2**20, 2**20 + 1, 2**22 + 1, 2**30, 2**30 + 1,
            2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    *_NUMBERS, -1, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e308, math.inf, math.nan, None, True, False, "", "a", "\x00", "\ud800",
    "\u202e", "../../etc/passwd", "x" * 2001, "float32", "complex64", "bool", "raw", "zstd", [], {}, [[]], [0] * 17, [1] * 5000,
    "jpeg:1", {"a": {"a": {}}}, {"__proto__": 1},
)  # fmt: skip
_TEXTS = (b"", b"null", b"[]", b"{}", b"[" * 5000, b'{"a":' * 2000, b"\xff\xfe", b'{"id":1,"id":2}', b'"\\ud800"', b"1e999",
          b"{" + b" " * 300 + b"}", b'{"id":' + b"9" * 5000 + b"}")  # fmt: skip
_MOST_SEALED = 0.8
_MOST_MUTATIONS = 3
_MOST_INSERTED_BYTES = 300


def tampered(rng: random.Random, frames: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """One side's frames, changed somewhere; `others` are frames that might be slipped in. Now and then nothing is changed."""
    found = [bytearray(frame) for frame in frames]
    for _ in range(rng.randrange(_MOST_MUTATIONS + 1)):
        if rng.random() < 0.1:
            _slip_in(rng, found, others)
        else:
            rng.choice(MUTATIONS)(rng, found)
    if rng.random() < _MOST_SEALED:
        for frame in found:
            seal(frame)
    stream = b"".join(found)
    return stream[: rng.randrange(len(stream) + 1)] if rng.random() < 0.1 else stream


def seal(frame: bytearray) -> None:
    """Make the checksums right, as far as the lengths in the prefix let them be."""
    if len(frame) < PREFIX_BYTES:
        return
    header, payload = _parts(frame)
    if _is_trailed(frame):
        struct.pack_into("<II", frame, 20, crc32(header), 0)
        frame[PREFIX_BYTES:] = header + payload + encode_trailer(crc32(payload))
    else:
        struct.pack_into("<II", frame, 20, crc32(header), crc32(payload))
    struct.pack_into("<I", frame, 28, crc32(frame[:28]))


def _one(rng: random.Random, frames: list[bytearray]) -> bytearray:
    return rng.choice(frames) if frames else bytearray()


def _change_bytes(rng: random.Random, frames: list[bytearray]) -> None:
    frame = _one(rng, frames)
    for _ in range(rng.randrange(1, 9) if frame else 0):
        where = rng.randrange(len(frame))
        frame[where] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256), frame[where] ^ 1 << rng.randrange(8)))


def _insert(rng: random.Random, frames: list[bytearray]) -> None:
    frame = _one(rng, frames)
    where = rng.randrange(len(frame) + 1)
    frame[where:where] = rng.randbytes(rng.randrange(1, _MOST_INSERTED_BYTES))


def _delete(rng: random.Random, frames: list[bytearray]) -> None:
    frame = _one(rng, frames)
    begin = rng.randrange(len(frame) + 1)
    del frame[begin : rng.randrange(begin, len(frame) + 1)]


def _change_prefix(rng: random.Random, frames: list[bytearray]) -> None:
    """A length, a type or a version that is not the frame's."""
    frame = _one(rng, frames)
    if len(frame) < PREFIX_BYTES:
        return
    form, where = rng.choice((("<B", 4), ("<B", 5), ("<H", 6), ("<I", 8), ("<Q", 12)))
    number = rng.choice(_NUMBERS) if rng.random() < 0.5 else rng.randrange(64)
    struct.pack_into(form, frame, where, number % 256 ** struct.calcsize(form))


def _reorder(rng: random.Random, frames: list[bytearray]) -> None:
    """A frame left out, said twice, or said too early or too late."""
    if frames:
        frame = frames.pop(rng.randrange(len(frames)))
        for _ in range(rng.randrange(3)):
            frames.insert(rng.randrange(len(frames) + 1), bytearray(frame))


def _slip_in(rng: random.Random, frames: list[bytearray], others: Sequence[bytes]) -> None:
    frames.insert(rng.randrange(len(frames) + 1), bytearray(rng.choice(others)))


def _change_field(rng: random.Random, frames: list[bytearray]) -> None:
    """Something else in place of a value of the header, deep inside or not; a key more, or one less."""
    frame = _one(rng, frames)
    header, payload = _parts(frame)
    try:
        root = json.loads(header)
    except (ValueError, RecursionError):
        return
    places = list(_places(root))
    if not places:
        return
    holder, key = rng.choice(places)
    kind = rng.random()
    if kind < 0.1:
        del holder[key]
    elif kind < 0.2 and isinstance(holder, dict):
        holder["another"] = rng.choice(_VALUES)
    elif kind < 0.4 and isinstance(holder[key], int):
        holder[key] += rng.choice((-1, 1, 2, 64))
    elif isinstance(holder[key], str) and holder[key] in DTYPE_BYTES:
        holder[key] = rng.choice(list(DTYPE_BYTES))
    else:
        holder[key] = rng.choice(_VALUES)
    _replace(frame, json.dumps(root).encode(), payload)


def _change_text(rng: random.Random, frames: list[bytearray]) -> None:
    """A header that is no JSON, or JSON of an odd kind."""
    frame = _one(rng, frames)
    _replace(frame, rng.choice(_TEXTS), _parts(frame)[1])


def _change_payload(rng: random.Random, frames: list[bytearray]) -> None:
    """Another payload, of another length (and a prefix that says so) or of the same."""
    frame = _one(rng, frames)
    header, payload = _parts(frame)
    length = rng.choice((len(payload), len(payload), 0, 1, max(len(payload) - 1, 0), len(payload) + 1, 64, 4000, 4001))
    _replace(frame, header, rng.randbytes(length))


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON value, as its holder and its key."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
    return [(node, key) for key in keys] + [place for key in keys for place in _places(node[key])]


def _is_trailed(frame: bytearray) -> bool:
    """Whether its prefix says that a trailer follows."""
    return bool(struct.unpack_from("<H", frame, 6)[0] == TRAILED)


def _parts(frame: bytearray) -> tuple[bytes, bytes]:
    """Its header and its payload, without the trailer."""
    if len(frame) < PREFIX_BYTES:
        return b"", b""
    end = PREFIX_BYTES + struct.unpack_from("<I", frame, 8)[0]
    return bytes(frame[PREFIX_BYTES:end]), bytes(frame[end : len(frame) - TRAILER_BYTES * _is_trailed(frame)])


def _replace(frame: bytearray, header: bytes, payload: bytes) -> None:
    if len(frame) < PREFIX_BYTES:
        return
    frame[PREFIX_BYTES:] = header + payload + bytes(TRAILER_BYTES * _is_trailed(frame))
    struct.pack_into("<IQ", frame, 8, len(header), len(payload))


MUTATIONS: tuple[Mutation, ...] = (_change_bytes, _insert, _delete, _change_prefix, _reorder, _change_field, _change_field,
                                   _change_field, _change_text, _change_payload)  # fmt: skip
"""Fields come three times: what lies behind the checksums and the JSON is most of the code."""
