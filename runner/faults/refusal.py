"""`Refusal`: why the server does not go on with a peer."""

from __future__ import annotations

from lmos_opt.errors import LmosError
from runner.errors import one_line
from runner.parts.network import DigestError
from runner.wire.protocol import ErrorCode


class Refusal(LmosError):
    """Why the server does not go on with a peer: a code and one line, for the peer as for the log."""

    def __init__(self, code: ErrorCode, message: object) -> None:
        self.code: ErrorCode = code
        super().__init__(one_line(message))


class refusing:
    """Whatever is raised inside becomes a Refusal with this code. A class, since each question goes through several of it, and a
    generator would take longer than what is inside."""

    __slots__ = "_code", "_what"

    def __init__(self, code: ErrorCode, what: str) -> None:
        self._code, self._what = code, what

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise the Refusal, where there is a reason."""
        if error is None or isinstance(error, Refusal) or not isinstance(error, Exception):
            return
        if isinstance(error, LmosError):
            raise Refusal("digest" if isinstance(error, DigestError) else self._code, error) from error
        lines = str(error).strip().splitlines() or [""]  # torch raises anything
        raise Refusal(self._code, f"{self._what}: {type(error).__name__}: {lines[0]}") from error
