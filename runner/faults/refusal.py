"""`Refusal`: the reason why a server ends the conversation with a peer."""

from __future__ import annotations

from lmos_opt.errors import LmosError
from runner.errors import one_line
from runner.parts.network import DigestError
from runner.wire.protocol import ErrorCode


class Refusal(LmosError):
    """The reason why a server ends the conversation with a peer: a code and one line, for the peer and for the log."""

    def __init__(self, code: ErrorCode, message: object) -> None:
        self.code: ErrorCode = code
        super().__init__(one_line(message))


def refusal_of(error: Exception, code: ErrorCode, what: str) -> Refusal:
    """The Refusal with this code that says what an Exception, not a Refusal itself, came of; of a wrong digest, its own code."""
    if isinstance(error, LmosError):
        return Refusal("digest" if isinstance(error, DigestError) else code, error)
    lines = str(error).strip().splitlines() or [""]  # torch raises anything
    return Refusal(code, f"{what}: {type(error).__name__}: {lines[0]}")


class refusing:
    """A context that turns every Exception of its block into a Refusal with this code (`refusal_of`).

    It is a class because each token of a text enters one, and a generator would take longer than the block.
    """

    __slots__ = "_code", "_what"

    def __init__(self, code: ErrorCode, what: str) -> None:
        self._code, self._what = code, what

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise a Refusal if the block raised an Exception."""
        if isinstance(error, Exception) and not isinstance(error, Refusal):
            raise refusal_of(error, self._code, self._what) from error
