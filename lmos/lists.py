"""Options that are lists with commas."""

from __future__ import annotations

from collections.abc import Sequence

from lmos_opt.errors import InputError


def parts_of(text: str, option: str) -> list[str]:
    """The parts of a list with commas, without the blanks around each.

    >>> parts_of("20Mbps, 50Mbps,20Mbps", "--rates")
    ['20Mbps', '50Mbps', '20Mbps']

    Raises InputError about `option` for an empty list and an empty entry.
    """
    found = [part.strip() for part in text.split(",")]
    if not all(found):
        what = "has an empty entry" if any(found) else "names none"
        raise InputError(option, f"{text!r:.60} {what}; expected a list such as a,b,c")
    return found


def names_of(text: str, option: str, among: Sequence[str] | None = None) -> list[str]:
    """The names in a list with commas, as `parts_of`.

    Raises InputError, also for a name that is there twice, or is not `among` those that are known.
    """
    found = parts_of(text, option)
    for k, name in enumerate(found):
        if name in found[:k]:
            raise InputError(option, f"{text!r:.60} names {name!r:.60} twice")
        if among is not None and name not in among:
            raise InputError(option, f"{name!r:.60} is not one of {', '.join(among)}")
    return found
