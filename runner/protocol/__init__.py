"""The protocol between edge and server: bytes and events, no sockets, no torch."""

from __future__ import annotations

from runner.protocol.connection import Closed, Connection, Event, Received, Role, State
from runner.protocol.messages import (
    Bye,
    Error,
    ErrorCode,
    Hello,
    Infer,
    Message,
    Open,
    Ready,
    Result,
    TensorHeader,
    offsets,
)

__all__ = [
    "Bye",
    "Closed",
    "Connection",
    "Error",
    "ErrorCode",
    "Event",
    "Hello",
    "Infer",
    "Message",
    "Open",
    "Ready",
    "Received",
    "Result",
    "Role",
    "State",
    "TensorHeader",
    "offsets",
]
