"""The protocol between edge and server: bytes and events, no sockets, no torch. docs/protocol.md specifies it.

The names are imported when they are first used: frames alone need the standard library and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos_opt.moved import when_used

if TYPE_CHECKING:
    from runner.wire.protocol.connection import Connection, Event, Received
    from runner.wire.protocol.headers import TensorHeader, Tensors
    from runner.wire.protocol.messages import (
        CAPABILITIES,
        PLACES,
        Bye,
        Echo,
        Error,
        Hello,
        Infer,
        Measure,
        Measured,
        Message,
        Open,
        Ping,
        Pong,
        Probe,
        Ready,
        Result,
        Span,
        TextStep,
        Welcome,
    )
    from runner.wire.protocol.side import Closed
    from runner.wire.protocol.turns import TRANSIENT, ErrorCode, Role, State

_OTHERS = {**dict.fromkeys(("Connection", "Event", "Received"), "connection"), "Closed": "side",
           **dict.fromkeys(("TRANSIENT", "ErrorCode", "Role", "State"), "turns"),
           **dict.fromkeys(("TensorHeader", "Tensors"), "headers")}  # fmt: skip

__all__ = [
    "CAPABILITIES",
    "PLACES",
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
    "Measure",
    "Measured",
    "Message",
    "Open",
    "Ping",
    "Pong",
    "Probe",
    "Ready",
    "Received",
    "Result",
    "Role",
    "Span",
    "State",
    "TensorHeader",
    "Tensors",
    "TextStep",
    "Welcome",
]

__getattr__ = when_used(__name__, {name: _OTHERS.get(name, "messages") for name in __all__})
