"""What lets an edge into a server, as typed: files, and whether a token may be sent where it can be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmos_opt.errors import InputError
from runner.client.remote import Access
from runner.wire.access import NEXT_VARIABLE, VARIABLE, read_token
from runner.wire.connecting import is_loopback
from runner.wire.tls import edge_tls


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The options `--ca`, `--cert`, `--key`, `--token-file` and `--unprotected`; those for the next place begin with `--next-`."""

    ca: Path | None
    cert: Path | None
    key: Path | None
    token_file: Path | None
    unprotected: bool
    begins: str = "--"

    def at(self, address: tuple[str, int]) -> Access:
        """What lets an edge in at this address; InputError for options that do not fit together, or a token nobody protects."""
        begins = self.begins
        if self.ca is None and (self.cert is not None or self.key is not None):
            raise InputError(f"{begins}ca", f"is missing; {begins}cert and {begins}key need it")
        if (self.cert is None) != (self.key is None):
            raise InputError(f"{begins}key" if self.key is None else f"{begins}cert", "is missing; one needs the other")
        token = read_token(self.token_file, VARIABLE if begins == "--" else NEXT_VARIABLE)
        tls = None if self.ca is None else edge_tls(self.ca, self.cert, self.key)
        if token is not None and tls is None and not self.unprotected and not is_loopback(address[0]):
            raise InputError(f"{begins}ca", f"is missing: without TLS the token could be read on its way to {address[0]}; "
                                     "--unprotected sends it all the same")
        return Access(token, tls)
