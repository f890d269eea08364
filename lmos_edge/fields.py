"""Values of a JSON object, each checked where it is read: what is wrong is gathered, with the path at which it stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lmos_opt.errors import InputError, Problem

LARGEST_FILE_BYTES = 256 * 2**20
LARGEST_WHOLE = 2**53
_MISSING = object()
T = TypeVar("T")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. InputError if there is none, if a key comes twice in an object, or for NaN and infinities."""

    def refuse(text: str) -> float:
        raise ValueError(f"{text} is no number that JSON knows")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(str(path), f"larger than {LARGEST_FILE_BYTES} bytes")
        data = json.loads(path.read_bytes(), parse_constant=refuse, object_pairs_hook=once)
    except OSError as error:
        raise InputError(str(path), (error.strerror or str(error)).lower()) from None
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), f"is not JSON that can be read: {error}") from None
    if not isinstance(data, dict):
        raise InputError(str(path), "holds no JSON object")
    return data


class Fields:
    """The values of an object by key. `problems` is one list for the object and all objects around it."""

    def __init__(self, data: Mapping[str, Any], problems: list[Problem], path: str = "") -> None:
        self.data, self.problems, self.path = data, problems, path

    def wrong(self, key: str, message: str) -> None:
        """Add a problem of a value."""
        self.problems.append(Problem(f"{self.path}.{key}" if self.path and key else self.path or key, message))

    def take(self, key: str, what: str, reads: Callable[[Any], T], default: Any = _MISSING) -> T:
        """The value of a key, converted by `reads`; without the key, the default.

        If `reads` raises ValueError, or the key is missing and has no default, a problem is added, and the result must not be used:
        a caller checks `problems` before it uses any value.
        """
        value = self.data.get(key, _MISSING)
        if value is _MISSING and default is not _MISSING:
            return default  # type: ignore[no-any-return]
        if value is _MISSING:
            self.wrong(key, "is missing")
        else:
            try:
                return reads(value)
            except ValueError:
                self.wrong(key, f"got {value!r:.60}, expected {what}")
        return None if default is _MISSING else default  # type: ignore[return-value]

    def inside(self, key: str) -> Fields:
        """The object under a key. Without one a problem is added, and the result is empty."""
        value = self.take(key, "an object", of(dict), {}) if key in self.data else None
        if value is None:
            self.wrong(key, "is missing")
        path = f"{self.path}.{key}" if self.path else key
        return Fields(value or {}, self.problems, path)

    def text(self, key: str, default: Any = _MISSING) -> str:
        """A text of one character or more."""
        return self.take(key, "a text", text, default)

    def one_of(self, key: str, known: Collection[str], default: Any = _MISSING) -> str:
        """One of these texts."""
        return self.take(key, f"one of {', '.join(known)}", lambda value: chosen(value, known), default)

    def whole(self, key: str, default: Any = _MISSING) -> int:
        """A whole number of at least 0."""
        return self.take(key, "a whole number of at least 0", whole, default)

    def number(self, key: str, default: Any = _MISSING) -> float:
        """A finite number."""
        return self.take(key, "a finite number", number, default)

    def texts(self, key: str, default: Any = _MISSING) -> tuple[str, ...]:
        """A list of texts."""
        return self.take(key, "a list of texts", lambda value: many(value, text), default)


def of(kind: type[T]) -> Callable[[Any], T]:
    """Reads a value of a kind as it is."""

    def read(value: Any) -> T:
        if not isinstance(value, kind):
            raise ValueError
        return value

    return read


def text(value: Any) -> str:
    """A text of one character or more, as it is; ValueError for anything else."""
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def chosen(value: Any, known: Collection[str]) -> str:
    """A text that is among those known."""
    if not isinstance(value, str) or value not in known:
        raise ValueError
    return value


def whole(value: Any) -> int:
    """A whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_WHOLE or value != int(value):
        raise ValueError
    return int(value)


def number(value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError
    return float(value)


def many(value: Any, reads: Callable[[Any], T]) -> tuple[T, ...]:
    """A list, each of its items as `reads` makes it."""
    if not isinstance(value, list):
        raise ValueError
    return tuple(reads(item) for item in value)
