"""Sizes, rates and times as people write them (`8GB`, `512MiB`, `10Mbps`, `20ms`) and as numbers with one unit each.

Sizes are bytes, rates bytes per second, times seconds. A rate's `b` is bits (`10Mbps` = 1.25e6 B/s), its `B` bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from lmos_opt.errors import InputError

_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_PREFIXES: dict[str, int] = {**_DECIMAL, **_BINARY}
_TIMES = {name: Decimal(text) for name, text in {"": "1", "s": "1", "ms": "1e-3", "us": "1e-6", "µs": "1e-6",
                                                 "ns": "1e-9", "min": "60"}.items()}  # fmt: skip
_NUMBER = r"\s*([0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]{1,40})\s*"
"""Decimal numbers, read exactly: in binary, 1.001 GB would be a fraction of a byte."""
_SIZE = re.compile(_NUMBER + r"([kKmMgGtT]?[iI]?)[bB]?\s*")
_RATE = re.compile(_NUMBER + r"([kKmMgGtT]?[iI]?)(bps|bit/s|b/s|Bps|B/s)\s*")
_TIME = re.compile(_NUMBER + r"(s|ms|us|µs|ns|min|)\s*")
_MOST_DIGITS = 18
"""Longer numbers are mistakes, and Python refuses to read one of thousands of digits."""
_LONGEST_BARE_DELAY_S = 2.0


def parse_size(text: str | float, what: str = "size") -> int:
    """The bytes of `8GB`, `512MiB`, `602112` or a number. InputError, about `what`, for anything else.

    >>> parse_size("4GB"), parse_size("1KiB"), parse_size("1.5k")
    (4000000000, 1024, 1500)
    """
    if isinstance(text, str):
        match = _SIZE.fullmatch(text)
        prefix = match[2].lower() if match else "?"
        if match is None or prefix not in _PREFIXES:
            raise InputError(what, f"{text!r} is not a size; expected a number of bytes such as 602112, 8GB or 512MiB")
        value: Decimal | float = Decimal(match[1]) * _PREFIXES[prefix]
    else:
        value = _checked(text, text, what)
    whole = int(value)
    if value != whole:
        raise InputError(what, f"{text!r} is a fraction of a byte; expected a whole number of bytes")
    return whole


def parse_rate(text: str | float, what: str = "rate") -> float:
    """The rate (B/s) of `10Mbps` (bits), `1.25MB/s` (bytes) or a number of bytes per second, above 0.

    InputError, about `what`, for anything else.

    >>> parse_rate("10Mbps"), parse_rate("2MB/s"), parse_rate(5e5)
    (1250000.0, 2000000.0, 500000.0)
    """
    if isinstance(text, str):
        match = _RATE.fullmatch(text)
        prefix = match[2].lower() if match else "?"
        if match is None or prefix not in _PREFIXES:
            raise InputError(what, f"{text!r} is not a rate; expected a number with a unit such as 10Mbps or 1.25MB/s")
        bits = match[3] in {"bps", "bit/s", "b/s"}
        value = float(Decimal(match[1]) * _PREFIXES[prefix] / (8 if bits else 1))
    else:
        value = text
    value = _checked(value, text, what)
    if value <= 0:
        raise InputError(what, f"{text!r} is not a rate greater than zero")
    return value


def parse_time(text: str | float, what: str = "time") -> float:
    """The time (s) of `20ms`, `1.5s`, `3us` or a number of seconds. InputError, about `what`, for anything else.

    >>> parse_time("20ms"), parse_time("0.5")
    (0.02, 0.5)
    """
    if isinstance(text, str):
        match = _TIME.fullmatch(text)
        if match is None:
            raise InputError(what, f"{text!r} is not a time; expected a number with a unit such as 20ms or 1.5s")
        value = float(Decimal(match[1]) * _TIMES[match[2]])
    else:
        value = text
    return _checked(value, text, what)


def parse_delay(text: str | float, what: str = "rtt") -> float:
    """The time (s) of a delay, as by `parse_time`. InputError also for text without a unit if that were more than 2 s: it would
    mostly be meant in milliseconds.

    >>> parse_delay("20ms"), parse_delay("3s"), parse_delay("0.02"), parse_delay(3)
    (0.02, 3.0, 0.02, 3.0)
    """
    found = parse_time(text, what)
    if isinstance(text, str) and found > _LONGEST_BARE_DELAY_S and not text.strip()[-1].isalpha():
        raise InputError(what, f"{text!r} has no unit; expected e.g. {text.strip()}ms or {text.strip()}s")
    return found


def parse_percent(text: str, what: str = "slack") -> float:
    """The number of `50` or `50%`; InputError about `what` unless it is one of at least zero.

    >>> parse_percent("50%"), parse_percent("1e3")
    (50.0, 1000.0)
    """
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent < 1e9:
        raise InputError(what, f"{text!r} is not a percentage of at least zero")
    return percent


def whole_of(text: str) -> int | None:
    """The whole number that up to 18 digits spell, with nothing around them; None for any other text.

    >>> whole_of("007"), whole_of("-7"), whole_of("²")
    (7, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _checked(value: Any, text: object, what: str) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= sys.float_info.max:
        raise InputError(what, f"{text!r:.60} is not a finite number of at least zero")
    return float(value)


def format_size(n_bytes: float) -> str:
    """Bytes for people: `602.1 kB`.

    >>> format_size(602112), format_size(7)
    ('602.1 kB', '7 B')
    """
    value, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(value) < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def format_time(seconds: float) -> str:
    """Seconds for people: `1.234 s`, `5.60 ms`, `7.8 us`.

    >>> format_time(1.2345), format_time(0.0056)
    ('1.234 s', '5.60 ms')
    """
    if seconds == 0 or abs(seconds) >= 1:
        return f"{seconds:.3f} s"
    return f"{seconds * 1e3:.2f} ms" if abs(seconds) >= 1e-3 else f"{seconds * 1e6:.1f} us"


def format_rate(bytes_per_s: float) -> str:
    """A rate for people, in bits: `10 Mbps`.

    >>> format_rate(1250000.0)
    '10 Mbps'
    """
    value, unit = bytes_per_s * 8, "bps"
    for larger in ("kbps", "Mbps", "Gbps"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.4g} {unit}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun, which agree: `1 point`, `2 points`, `0 points`; `plural` where it is not the noun and an s.

    >>> counted(1, "non-dominated split"), counted(12, "non-dominated split"), counted(2, "pass", "passes")
    ('1 non-dominated split', '12 non-dominated splits', '2 passes')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def one_to(last: int) -> str:
    """The whole numbers from 1, for messages.

    >>> one_to(1), one_to(3)
    ('1', '1 to 3')
    """
    return "1" if last == 1 else f"1 to {last}"


def codec_words(codec: str, codecs: Mapping[str, str]) -> str:
    """One codec for every tensor but those that have one of their own, for people: `int8, input in jpeg:75`."""
    alone = [] if codec == "raw" and codecs else [codec]
    return ", ".join([*alone, *(f"{name} in {own}" for name, own in codecs.items())])
