"""What an edge needs to use a server: a token, and TLS. The token comes from a file or the environment, never from the command
line, where every process of the machine could read it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lmos_opt.errors import InputError
from runner.wire.connecting import is_loopback
from runner.wire.protocol.frames import LARGEST_TOKEN
from runner.wire.tls import Tls, edge_tls

VARIABLE = "LMOS_TOKEN"
NEXT_VARIABLE = "LMOS_NEXT_TOKEN"
"""A middle place's for the place after it."""
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Access:
    """What the edge needs to use a server: a token, and TLS. A server on loopback needs neither."""

    token: str | None = None
    tls: Tls | None = None


OPEN_DOOR = Access()


def read_token(file: Path | None, variable: str = VARIABLE, option: str = "") -> str | None:
    """The token in a file, or in an environment variable; None if there is neither. InputError for text that cannot be a token;
    its message names the `option` that gave the file, if there was one."""
    if file is None:
        source, text = variable, os.environ.get(variable)
        if text is None:
            return None
    else:
        source = f"{option}: {file}" if option else str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(source, f"{(error.strerror or str(error)).lower()}; expected a file that holds a token") from None
        except UnicodeDecodeError:
            raise InputError(source, "is not text, so it holds no token") from None
    token = text.strip()
    if not SHORTEST_TOKEN <= len(token) <= LARGEST_TOKEN or not token.isprintable():  # the token itself is never shown
        raise InputError(source, f"holds no token: expected one line of {SHORTEST_TOKEN} to {LARGEST_TOKEN} characters")
    return token


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What was typed: the options `--ca`, `--cert`, `--key`, `--token-file` and
    `--unprotected`; those for the next place begin with `--next-`."""

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
        token = read_token(self.token_file, VARIABLE if begins == "--" else NEXT_VARIABLE, f"{begins}token-file")
        names = [f"{begins}{name}" for name in ("ca", "cert", "key")]
        tls = None if self.ca is None else edge_tls(self.ca, self.cert, self.key, names=names)
        if token is not None and tls is None and not self.unprotected and not is_loopback(address[0]):
            raise InputError(f"{begins}ca", f"is missing: without TLS the token could be read on its way to {address[0]}; "
                                     "--unprotected sends it all the same")
        return Access(token, tls)
