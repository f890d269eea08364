"""What can go wrong in a run: the machine, the peer, the bytes between them."""

from __future__ import annotations

from lmos_opt.errors import LmosError


class RunnerError(LmosError):
    """A run failed; `where` names the peer (`127.0.0.1:7070`) or the part of the run."""

    def __init__(self, where: str, message: str) -> None:
        self.where, self.message = where, message
        super().__init__(f"{where}: {message}")


class Interrupted(LmosError):
    """Ctrl-C or SIGTERM has ended a command early. What there was until then is printed, and its files are written."""


class ConnectionLost(RunnerError):
    """The peer could not be reached, or went away."""


class Unreachable(ConnectionLost):
    """No program answers at the peer's address."""


class Untrusted(ConnectionLost):
    """TLS could not begin: a certificate is missing or not trusted, or one side speaks without TLS."""


class PeerTooSlow(ConnectionLost):
    """The peer stayed silent, or went on too slowly."""


class PeerError(RunnerError):
    """The peer said why it will not go on; `code` is one of `runner.wire.protocol.turns.ErrorCode`.

    `request` is the id of the question that it could not answer, if it is about one.
    """

    def __init__(self, where: str, code: str, message: str, request: int | None = None) -> None:
        self.code, self.request = code, request
        super().__init__(where, message)


class StreamCut(LmosError):
    """The stream ended inside a message. Who knows the peer's name tells of it as ConnectionLost."""


class ProtocolError(LmosError):
    """The peer broke the protocol."""


class LocalProtocolError(ProtocolError):
    """This side tried what the protocol does not allow: a fault in this program."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow."""


class NotOurProtocol(RemoteProtocolError):
    """The peer's first bytes are those of something else, or of another version."""


def one_line(text: object, limit: int = 2000) -> str:
    """Text that may come from a peer, fit for a log and a terminal: one printable line, of a long one both ends."""
    found = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return found if len(found) <= limit else f"{found[: limit // 2 - 3]} ... {found[2 - limit // 2 :]}"
