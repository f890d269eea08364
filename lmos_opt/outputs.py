"""Files that are to be written: what is wrong with them is said before the work, not after it."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from lmos_opt.errors import InputError
from lmos_opt.files import Name, checked_suffix, input_errors, unwritable

_ANY_NAME: TypeAdapter[str] = TypeAdapter(Name)


def check_output(path: str | os.PathLike[str] | None, suffixes: Sequence[str], **beside: str | os.PathLike[str] | None) -> None:
    """InputError for a file that could not be written in the end: one with another suffix, one in a folder that is not there or
    cannot be written, and one that is also another file of the command, which would be lost. `beside` are these files, by what they
    are; a None among them is no file, and neither is a `path` of None."""
    if path is None:
        return
    checked_suffix(path, suffixes)
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not target.parent.is_dir():
            target.parent.stat()  # raises where nothing is there
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(target.parent, os.W_OK | os.X_OK) and not target.exists():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise unwritable(path, error) from None
    for what, other in beside.items():
        if other is not None and os.path.realpath(other) == str(target):
            raise InputError(str(path), f"is the file of the {what.replace('_', ' ')} too; name another one")


def checked_name(text: str, what: str) -> str:
    """The text; InputError about `what` unless it may be a name in a file."""
    with input_errors(what):
        return _ANY_NAME.validate_python(text)
