"""One tensor in a payload: what a message says of it, and where its bytes lie."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    Strict,
    TypeAdapter,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from lmos_opt.files import LARGEST_WHOLE, Count, Name, Record
from lmos_opt.plan import LARGEST_CROSSING_BYTES, MOST_CROSSING_TENSORS
from lmos_opt.tensors import DTYPE_BYTES
from runner.wire.protocol.turns import ALIGNMENT

LARGEST_PAYLOAD_BYTES = LARGEST_CROSSING_BYTES
MOST_DIMENSIONS = 16
MOST_TENSORS = MOST_CROSSING_TENSORS
_SHAPES = 1024  # that are remembered: a conversation's tensors look the same each time
DtypeName = Literal["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
                    "complex64", "complex128"]  # fmt: skip
Size = Annotated[int, Strict(), Field(ge=0, le=LARGEST_WHOLE)]
"""A Count that is written without a fraction. Each message has some, and pydantic reads these without help from Python."""


class TensorHeader(Record):
    """One tensor; its elements lie densely, in the order that `strides` (in elements) gives, as at the sender.

    `encoded_bytes` is None where they travel as they are, and else how many bytes the tensor's codec made of them:
    fewer than they have, so that no limit needs to know of codecs.
    """

    name: Name
    dtype: DtypeName
    shape: Annotated[tuple[Size, ...], Field(max_length=MOST_DIMENSIONS)]
    strides: Annotated[tuple[Size, ...], Field(max_length=MOST_DIMENSIONS)]
    encoded_bytes: Annotated[Count, Field(ge=1)] | None = None

    def __hash__(self) -> int:
        """As its values'; counted once, because each message is looked up by it several times."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.dtype, self.shape, self.strides, self.encoded_bytes))

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a tensor without dimensions."""
        return math.prod(self.shape)

    @cached_property
    def bytes(self) -> int:
        """Bytes of the elements."""
        return self.elements * DTYPE_BYTES[self.dtype]

    @cached_property
    def byte_strides(self) -> tuple[int, ...]:
        """The strides in bytes."""
        return tuple([n * DTYPE_BYTES[self.dtype] for n in self.strides])

    @property
    def sent_bytes(self) -> int:
        """Bytes in the payload."""
        return self.bytes if self.encoded_bytes is None else self.encoded_bytes

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        if self.encoded_bytes is None:
            found.pop("encoded_bytes", None)
        return found

    @model_validator(mode="after")
    def _dense(self) -> Self:
        if (fault := _fault(self.shape, self.strides, DTYPE_BYTES[self.dtype])) is not None:
            raise ValueError(fault)
        if self.encoded_bytes is not None and self.encoded_bytes >= self.bytes:
            raise ValueError(f"encoded_bytes: {self.encoded_bytes} are not fewer than the {self.bytes} of the elements")
        return self


@lru_cache(_SHAPES)
def _fault(shape: tuple[int, ...], strides: tuple[int, ...], element_bytes: int) -> str | None:
    """What is wrong with a shape and its strides, if anything is."""
    if len(strides) != len(shape):
        return "strides: expected one for each dimension"
    # Zero-size tensors too: torch multiplies all dimensions in 64 bits.
    extent = math.prod(max(n, 1) for n in shape) * element_bytes
    if extent > LARGEST_PAYLOAD_BYTES or max(strides, default=0) > LARGEST_PAYLOAD_BYTES:
        return f"shape: more than {LARGEST_PAYLOAD_BYTES} bytes"
    expected = 1
    for stride, n in sorted((s, n) for s, n in zip(strides, shape, strict=True) if n != 1):
        if math.prod(shape) and stride != expected:
            return "strides: the elements do not lie densely"
        expected *= n
    return None


def aligned(end: int) -> int:
    """Where the next tensor begins behind one that ends there."""
    return -(-end // ALIGNMENT) * ALIGNMENT


class Tensors(tuple[TensorHeader, ...]):
    """The tensors of one payload, in their order. What is worked out of them is kept with them: a conversation's messages have the
    same ones again and again (`the_same`)."""

    @cached_property
    def begins(self) -> tuple[int, ...]:
        """Where each tensor begins in the payload."""
        begins, end = list[int](), 0
        for tensor in self:
            begins.append(begin := aligned(end))
            end = begin + tensor.sent_bytes
        return tuple(begins)

    @cached_property
    def payload_bytes(self) -> int:
        """The payload's length."""
        return self.begins[-1] + self[-1].sent_bytes if self else 0

    @cached_property
    def text(self) -> bytes:
        """As they stand in a message's header."""
        return _TENSORS.dump_json(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A list of at most MOST_TENSORS in JSON."""
        return core_schema.no_info_after_validator_function(cls, handler.generate_schema(_Several))


_Several = Annotated[tuple[TensorHeader, ...], Field(max_length=MOST_TENSORS)]
_TENSORS = TypeAdapter[tuple[TensorHeader, ...]](tuple[TensorHeader, ...])


@lru_cache(_SHAPES)
def the_same(tensors: tuple[TensorHeader, ...]) -> Tensors:
    """Of equal ones always the very same, so that nobody need compare them."""
    return Tensors(tensors)


assert set(get_args(DtypeName)) == set(DTYPE_BYTES)
