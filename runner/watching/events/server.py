"""Events at a server."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from lmos_opt.units import counted, format_time
from runner.watching.events.base import Event
from runner.watching.events.edge import BytesMoved


class _AtServer(Event):
    side = "server"


@dataclass(frozen=True, kw_only=True)
class Listening(_AtServer):
    """The server takes connections at an address."""

    name = "listening"
    address: str
    tls: bool
    token: bool
    threads: int
    engine: str

    @property
    def text(self) -> str:
        """The address, whether TLS and a token are asked for, the threads, and the engine."""
        return (f"listening on {self.address}{' with TLS' if self.tls else ''}{' and a token' if self.token else ''}, "
                f"{counted(self.threads, 'thread')} of torch, {self.engine}")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PeerGreeted(_AtServer):
    """A peer has said hello, and was let in."""

    name = "peer_greeted"
    peer: str
    software: str

    @property
    def text(self) -> str:
        """The peer's address and its software."""
        return f"{self.peer}: {self.software}"


@dataclass(frozen=True, kw_only=True)
class PeerOpened(_AtServer):
    """A peer's tail is built, checked and warmed up, `t_open_s` after the peer asked for it.

    For another engine than torch on the processor, `error` is the largest difference that its rounding made to an output, for an
    input of random numbers, as a share of the largest number in that output. `remarks` are the engine's remarks, this one among
    them.
    """

    name = "peer_opened"
    peer: str
    session: str
    network: str
    weights: str
    digest: str
    cut: int
    t_open_s: float
    error: float | None = None
    remarks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The peer, its network and weights, the number of edge layers, and the engine's remarks."""
        return "; ".join([f"{self.peer}: {self.network}, {self.weights}, {counted(self.cut, 'layer')} at the edge", *self.remarks])


@dataclass(frozen=True, kw_only=True)
class AnswerSent(_AtServer):
    """A question was answered. It waited `t_queue_s` and was computed in `t_server_s`, of which decoding took `t_decode_s`.
    `again`: the question came again, and the kept answer was sent."""

    name = "answered"
    peer: str
    session: str
    number: int
    again: bool
    t_queue_s: float
    t_server_s: float
    t_decode_s: float
    received_bytes: int
    sent_bytes: int

    @property
    def level(self) -> int:
        """A first question is normal and logged at DEBUG; a question that is asked again is logged at INFO."""
        return logging.INFO if self.again else logging.DEBUG

    @property
    def text(self) -> str:
        """The peer, the image's number, and the server's time unless the answer came from memory."""
        return f"{self.peer}: image {self.number} " + ("asked again" if self.again else f"in {format_time(self.t_server_s)}")


@dataclass(frozen=True, kw_only=True)
class PeerBytesMoved(BytesMoved):
    """So many bytes came in and went out on a peer's connection since the last such event, as the server counts them."""

    side = "server"


@dataclass(frozen=True, kw_only=True)
class PeerRefused(_AtServer):
    """The server refuses a peer for `reason`; `number` is the number of the question that this is about."""

    name = "peer_refused"
    peer: str
    code: str
    reason: str
    number: int | None = None

    @property
    def level(self) -> int:
        """WARNING: the edge or the server is at fault."""
        return logging.WARNING

    @property
    def text(self) -> str:
        """The peer, the code of the refusal, and the reason."""
        return f"{self.peer}: {self.code}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class PeerLeft(_AtServer):
    """A peer's connection ended. `how` is `done` (the peer sent BYE), `gone` (it did not), `came back` (its edge has another
    connection), `lost` (the connection broke), `untrusted` (TLS failed) or `unfinished` (the server ended first). `reason` may
    say more."""

    name = "peer_left"
    peer: str
    how: str
    had_asked: bool
    reason: str | None = None

    @property
    def level(self) -> int:
        """WARNING where TLS failed or work was left undone, DEBUG for a peer that asked for nothing and went, else INFO."""
        if self.how in {"untrusted", "unfinished"}:
            return logging.WARNING
        return logging.DEBUG if self.how == "gone" and not self.had_asked else logging.INFO

    @property
    def text(self) -> str:
        """The peer and how it left, or the reason if there is one."""
        if self.how == "came back":
            return f"{self.peer}: its edge came back on another connection"
        return f"{self.peer}: {self.how}" if self.reason is None else self.reason


@dataclass(frozen=True, kw_only=True)
class Stopped(_AtServer):
    """Every conversation is over."""

    name = "stopped"

    @property
    def text(self) -> str:
        """`stopped`."""
        return "stopped"
