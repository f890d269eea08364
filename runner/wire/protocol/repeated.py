"""Questions and answers that look the same for every image: only their numbers change, and only these are written and read then.

What stands between the numbers is checked by the message's class the first time that it comes, and remembered. What does not look
like this side's own writing is not for here: the class reads it, as it reads all other messages.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from runner.wire.protocol.frames import FrameType
from runner.wire.protocol.headers import TensorHeader, Tensors, the_same
from runner.wire.protocol.messages import Infer, Message, Result, Span, TextStep

REMEMBERED = 256
LONGEST_REMEMBERED = 2**12
"""Bytes of a header: with REMEMBERED of them, strangers cannot fill a server's memory."""
_WHOLE = rb"(0|[1-9][0-9]{0,14})"
_TIME = rb"((?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,20})?(?:e-[0-9]{1,3})?)"
_INFER = re.compile(rb'\{"id":%b,"tensors":(\[.*\]),"scalars":\{\}\}' % _WHOLE)
_RESULT = re.compile(rb'\{"id":%b,"tensors":(\[.*\]),"t_server_s":%b,"t_decode_s":%b,"t_queue_s":%b\}' % (_WHOLE, *[_TIME] * 3))
_LIST = TypeAdapter(tuple[TensorHeader, ...])
M = TypeVar("M", bound=Message)
_new, _set = object.__new__, object.__setattr__
_SET: dict[type[Message], set[str]] = {kind: set(kind.model_fields) for kind in (Infer, Result)}


def infer(number: int, tensors: Tensors, scalars: dict[str, Any], as_they_are: bool = False,
          text: TextStep | None = None) -> Infer:  # fmt: skip
    """The question of that id about tensors of different names."""
    if scalars or as_they_are or text is not None:
        return Infer(id=number, tensors=tensors, scalars=scalars, as_they_are=as_they_are, text=text)
    return _made(Infer, id=number, tensors=tensors, scalars={}, as_they_are=False, text=None)


def result(number: int, tensors: Tensors, beyond: tuple[Span, ...] = (), held: int | None = None, t_server_s: float = 0.0,
           t_decode_s: float = 0.0, t_encode_s: float = 0.0, *, t_queue_s: float = 0.0) -> Result:  # fmt: skip
    """The answer of that id, with tensors of different names and times as clocks gave them."""
    return _made(Result, id=number, tensors=tensors, t_server_s=t_server_s, t_decode_s=t_decode_s, t_encode_s=t_encode_s,
                 t_queue_s=t_queue_s, beyond=beyond, held=held)  # fmt: skip


def written(message: Message) -> bytes | None:
    """Its header; None for a message that has more to say than tensors and times."""
    if isinstance(message, Infer):
        if message.scalars or message.as_they_are or message.text is not None:
            return None
        return b'{"id":%d,"tensors":%b,"scalars":{}}' % (message.id, message.tensors.text)
    if isinstance(message, Result) and not (message.beyond or message.t_encode_s or message.held is not None):
        return b'{"id":%d,"tensors":%b,"t_server_s":%a,"t_decode_s":%a,"t_queue_s":%a}' % (
            message.id, message.tensors.text, message.t_server_s, message.t_decode_s, message.t_queue_s)  # fmt: skip
    return None


def read(kind: FrameType, header: bytes) -> Message | None:
    """The message of such a header, as its class would have read it; None where it is not for here."""
    if len(header) > LONGEST_REMEMBERED:
        return None
    try:
        if kind is FrameType.INFER and (found := _INFER.fullmatch(header)):
            number, tensors = found.groups()
            return infer(int(number), _asked(tensors), {})
        if kind is FrameType.RESULT and (found := _RESULT.fullmatch(header)):
            number, tensors, t_server_s, t_decode_s, t_queue_s = found.groups()
            return result(int(number), _answered(tensors), t_server_s=float(t_server_s), t_decode_s=float(t_decode_s),
                          t_queue_s=float(t_queue_s))  # fmt: skip
    except ValidationError:
        pass
    return None


@lru_cache(REMEMBERED)
def _asked(tensors: bytes) -> Tensors:
    _LIST.validate_json(tensors)  # one list, and no other keys between its ends
    return the_same(Infer.model_validate_json(b'{"id":0,"tensors":%b,"scalars":{}}' % tensors).tensors)


@lru_cache(REMEMBERED)
def _answered(tensors: bytes) -> Tensors:
    _LIST.validate_json(tensors)
    return the_same(Result.model_validate_json(b'{"id":0,"tensors":%b,"t_server_s":0.0}' % tensors).tensors)


def _made(kind: type[M], **values: Any) -> M:
    """A message of values that are known to be right, as it would come out of a pickle."""
    message = _new(kind)
    _set(message, "__dict__", values)
    _set(message, "__pydantic_fields_set__", _SET[kind])  # nobody changes it: messages are frozen, and their copies have their own
    _set(message, "__pydantic_extra__", None)
    _set(message, "__pydantic_private__", None)
    return message
