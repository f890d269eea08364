"""`Refusal`: why the server does not go on with a peer."""

from __future__ import annotations

from lmos_opt.errors import LmosError
from runner.errors import one_line
from runner.wire.protocol import ErrorCode


class Refusal(LmosError):
    """Why the server does not go on with a peer: a code and one line, for the peer as for the log."""

    def __init__(self, code: ErrorCode, message: object) -> None:
        self.code: ErrorCode = code
        super().__init__(one_line(message))
