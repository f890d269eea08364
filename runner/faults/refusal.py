"""`Refusal`: why the server does not go on with a peer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lmos_opt.errors import LmosError
from runner.errors import one_line
from runner.parts.network import DigestError
from runner.wire.protocol import ErrorCode


class Refusal(LmosError):
    """Why the server does not go on with a peer: a code and one line, for the peer as for the log."""

    def __init__(self, code: ErrorCode, message: object) -> None:
        self.code: ErrorCode = code
        super().__init__(one_line(message))


@contextmanager
def refusing(code: ErrorCode, what: str) -> Iterator[None]:
    """Whatever is raised inside becomes a Refusal with this code."""
    try:
        yield
    except Refusal:
        raise
    except LmosError as error:
        raise Refusal("digest" if isinstance(error, DigestError) else code, error) from error
    except Exception as error:  # torch raises anything
        lines = str(error).strip().splitlines() or [""]
        raise Refusal(code, f"{what}: {type(error).__name__}: {lines[0]}") from error
