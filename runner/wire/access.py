"""Tokens: from a file or the environment, never from the command line, where every process of the machine could read it."""

from __future__ import annotations

import os
from pathlib import Path

from lmos_opt.errors import InputError
from runner.wire.protocol.messages import LARGEST_TOKEN

VARIABLE = "LMOS_TOKEN"
NEXT_VARIABLE = "LMOS_NEXT_TOKEN"
"""A middle place's for the place after it."""
SHORTEST_TOKEN = 16


def read_token(file: Path | None, variable: str = VARIABLE) -> str | None:
    """The token in a file, or in an environment variable; None where there is neither. InputError for what cannot be one."""
    if file is None:
        source, text = variable, os.environ.get(variable)
        if text is None:
            return None
    else:
        source = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(source, (error.strerror or str(error)).lower()) from None
        except UnicodeDecodeError:
            raise InputError(source, "is not text, so it holds no token") from None
    token = text.strip()
    if not SHORTEST_TOKEN <= len(token) <= LARGEST_TOKEN or not token.isprintable():  # the token itself is never shown
        raise InputError(source, f"holds no token: expected one line of {SHORTEST_TOKEN} to {LARGEST_TOKEN} characters")
    return token
