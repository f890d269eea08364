"""One side of a conversation whose messages are the records of `runner.wire.protocol.messages`."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError

from runner.errors import RemoteProtocolError, one_line
from runner.wire.protocol import repeated
from runner.wire.protocol.frames import FrameType
from runner.wire.protocol.messages import MESSAGES, Message
from runner.wire.protocol.side import Brief, Closed, OneSide
from runner.wire.protocol.turns import Role, State

__all__ = ["Closed", "Connection", "Event", "Received", "Role", "State"]


class Received(NamedTuple):
    """A whole message, and its payload (a writable view of memory that nobody else holds).

    `seal` are the checksums of header and payload: of the same message sent again, they are the same.
    """

    message: Message
    payload: memoryview
    seal: tuple[int, int] = (0, 0)


Event = Received | Closed


class Connection(OneSide[Message, Received]):
    """One side's view of the conversation; what is told of a whole message is a `Received`."""

    def _brief(self, message: Message) -> Brief:
        return message.brief()

    def _written(self, message: Message) -> bytes:
        return repeated.written(message) or message.model_dump_json().encode()

    def _read(self, kind: FrameType, header: bytes) -> Message:
        try:
            return repeated.read(kind, header) or MESSAGES[kind].model_validate_json(header)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise RemoteProtocolError(one_line(f"{kind.name}: {where}: {first['msg']}", 300)) from None

    def _event(self, message: Message, payload: memoryview, seal: tuple[int, int]) -> Received:
        return Received(message, payload, seal)
