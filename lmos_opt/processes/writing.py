"""Files that commands write: whether they can be, before the work; and whole, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lmos_opt.errors import DiskFullError, InputError, LmosError, expected


def checked_suffix(path: str | os.PathLike[str], suffixes: Sequence[str]) -> str:
    """The file's suffix in lower case; InputError unless it is one of those that can be written."""
    suffix = Path(path).suffix
    if suffix.lower() not in suffixes:
        has = f"has the suffix {suffix!r}" if suffix else "is a folder" if Path(path).is_dir() else "has no suffix"
        raise InputError(str(path), f"{has}; {expected(suffixes)}")
    return suffix.lower()


def check_output(path: str | os.PathLike[str] | None, suffixes: Sequence[str], **beside: str | os.PathLike[str] | None) -> None:
    """InputError for a file that could not be written in the end: one with another suffix, one in a folder that is not there or
    cannot be written, and one that is also another file of the command, which would be lost. `beside` are these files, by what they
    are; a None among them is no file, and neither is a `path` of None."""
    if path is None:
        return
    checked_suffix(path, suffixes)
    target, code = Path(os.path.realpath(path)), 0
    try:
        if not target.parent.is_dir():
            target.parent.stat()  # raises if there is no such folder
            code = errno.ENOTDIR
        elif target.is_dir():
            code = errno.EISDIR
        elif not os.access(target.parent, os.W_OK | os.X_OK) and not target.exists():
            code = errno.EACCES
        if code:
            raise OSError(code, os.strerror(code))
    except OSError as error:
        raise unwritable(path, error) from None
    for what, other in beside.items():
        if other is not None and os.path.realpath(other) == str(target):
            raise InputError(str(path), f"is the file of the {what.replace('_', ' ')} too; name another one")


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder and its parent folders, if they are missing; InputError if this is not possible."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be a folder: {(error.strerror or str(error)).lower()}") from None


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""There was nothing wrong with the path: it may be written another time."""


def write_atomically(path: str | os.PathLike[str], data: bytes, *, mode: int | None = None) -> None:
    """Write `data` to a temporary file in the same folder, flush it to disk, rename it to `path`.

    `mode` are its permissions; None: those of the file that it replaces, otherwise the usual ones.

    A link stays a link: the file it leads to is replaced. A device, a pipe or an open file (`/dev/stdout`) cannot be replaced and
    is written in place. Raises InputError if none of this is possible, DiskFullError if the disk is full.
    """
    temporary: str | None = None
    try:
        if _is_stream(Path(path)):
            Path(path).write_bytes(data)
            return
        target = Path(os.path.realpath(path))
        if mode is None:
            mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:32]}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
        temporary = None
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


class LineLog:
    """A file that grows by whole lines and can be read meanwhile; its earlier content is removed.

    Raises InputError if it cannot be written, DiskFullError if the disk is full, at the start and at each line.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._append("", "w")

    def write(self, line: str) -> None:
        """Add a line."""
        self._append(f"{line}\n", "a")

    def _append(self, text: str, mode: str) -> None:
        try:
            with self._path.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise unwritable(self._path, error) from None


def unwritable(path: str | os.PathLike[str], error: OSError) -> LmosError:
    """What to raise where a file could not be written: DiskFullError if there was no room, else InputError."""
    reason = f"cannot be written: {(error.strerror or str(error)).lower()}"
    return DiskFullError(str(path), reason) if error.errno in _FULL else InputError(str(path), reason)


def _is_stream(path: Path) -> bool:
    """Whether the path names something that has no place in a folder: `/dev/stdout` may lead to a file, yet is none."""
    folder = os.path.realpath(path.parent)
    return folder == "/dev" or folder.startswith("/proc/") or (path.exists() and not path.is_file())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
