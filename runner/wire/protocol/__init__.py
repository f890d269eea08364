"""The protocol between edge and server: bytes and events, no sockets, no torch. docs/protocol.md specifies it."""

from __future__ import annotations

from runner.wire.protocol.connection import Closed, Connection, Event, Received, Role, State
from runner.wire.protocol.messages import (
    CAPABILITIES,
    TRANSIENT,
    Bye,
    Echo,
    Error,
    ErrorCode,
    Hello,
    Infer,
    Message,
    Open,
    Ping,
    Pong,
    Probe,
    Ready,
    Result,
    TensorHeader,
    Welcome,
    offsets,
)

__all__ = [
    "CAPABILITIES",
    "TRANSIENT",
    "Bye",
    "Closed",
    "Connection",
    "Echo",
    "Error",
    "ErrorCode",
    "Event",
    "Hello",
    "Infer",
    "Message",
    "Open",
    "Ping",
    "Pong",
    "Probe",
    "Ready",
    "Received",
    "Result",
    "Role",
    "State",
    "TensorHeader",
    "Welcome",
    "offsets",
]
