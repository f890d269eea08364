"""Sizes, rates and times: read exactly, refused clearly, written for people."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmos_opt import InputError
from lmos_opt.units import (
    counted,
    format_rate,
    format_size,
    format_time,
    parse_delay,
    parse_rate,
    parse_size,
    parse_time,
)

SIZES = {"": 1, "B": 1, "k": 10**3, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20,
         "GiB": 2**30, "TiB": 2**40}  # fmt: skip
RATES = {"bps": 1, "kbps": 10**3, "Mbps": 10**6, "Gbps": 10**9, "Mbit/s": 10**6, "Mb/s": 10**6, "Kibps": 2**10,
         "Bps": 8, "kB/s": 8 * 10**3, "MB/s": 8 * 10**6, "MiB/s": 8 * 2**20, "GBps": 8 * 10**9}  # fmt: skip
TIMES = {"": 1, "s": 1, "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "µs": Fraction(1, 10**6),
         "ns": Fraction(1, 10**9), "min": 60}  # fmt: skip
decimals = st.decimals(0, 10**4, places=3).map(str)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("8GB", 8 * 10**9), ("512MiB", 512 * 2**20), ("602112", 602112), (" 4 GB ", 4 * 10**9), ("8gb", 8 * 10**9),
     ("1.5k", 1500), (".5kB", 500), ("1e3", 1000), ("1E+3 B", 1000), ("1.001GB", 1001 * 10**6), ("0", 0), (7, 7),
     (7.0, 7), (np.int64(7), 7), (np.float64(7), 7)],
)  # fmt: skip
def test_sizes(text, n_bytes):
    assert parse_size(text) == n_bytes
    assert type(parse_size(text)) is int


@given(decimals, st.sampled_from(list(SIZES)))
def test_a_size_is_exact_or_a_fraction_of_a_byte(number, unit):
    exact = Fraction(number) * SIZES[unit]
    if exact.denominator == 1:
        assert parse_size(number + unit) == exact
    else:
        with pytest.raises(InputError, match="fraction of a byte"):
            parse_size(number + unit)


@given(decimals.filter(lambda text: Fraction(text) > 0), st.sampled_from(list(RATES)))
def test_a_rate_is_the_nearest_number(number, unit):
    assert parse_rate(number + unit) == float(Fraction(number) * RATES[unit] / 8)


@given(decimals, st.sampled_from(list(TIMES)))
def test_a_time_is_the_nearest_number(number, unit):
    assert parse_time(number + unit) == float(Fraction(number) * TIMES[unit])


@pytest.mark.parametrize(("text", "rate"), [("10Mbps", 1.25e6), ("10mbps", 1.25e6), ("10 MBps", 1e7), (1.25e6, 1.25e6)])
def test_a_small_b_is_bits_and_a_large_one_bytes(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "GB", "-1", "-1GB", "1 2GB", "1GBs", "1XB", "nan", "inf", "1e400 GB x", "0x10", "1i",
                                  "1,5GB", "١GB", "1e99999999999", "8GB\n8", "1_000"])  # fmt: skip
def test_what_is_no_size(text):
    with pytest.raises(InputError, match=r"^memory: .* is not a size; expected .*8GB or 512MiB"):
        parse_size(text, "memory")


@pytest.mark.parametrize("text", ["", "10", "Mbps", "-1Mbps", "10 Mb", "10mps", "fast", "1e4000Mbps", "nanbps", "10 Mbps up"])
def test_what_is_no_rate(text):
    with pytest.raises(InputError, match=r"^bandwidth: .* is not a rate; expected .*10Mbps"):
        parse_rate(text, "bandwidth")


@pytest.mark.parametrize("text", ["", "ms", "-1ms", "1h", "soon", "1e-4000s", "nan", "1 m s"])
def test_what_is_no_time(text):
    with pytest.raises(InputError, match=r"^rtt: .* is not a time; expected .*20ms"):
        parse_time(text, "rtt")


@pytest.mark.parametrize("value", [-1, -1e-9, float("nan"), float("inf"), 10**400, True, None, [1], "1e400"])
@pytest.mark.parametrize(("parse", "unit"), [(parse_rate, "bps"), (parse_time, "s")])
def test_what_is_no_finite_number_of_at_least_zero(parse, unit, value):
    with pytest.raises(InputError, match="is not a finite number of at least zero"):
        parse(value + unit if isinstance(value, str) else value)
    if not isinstance(value, str):
        with pytest.raises(InputError, match="is not a finite number of at least zero"):
            parse_size(value)


@pytest.mark.parametrize("text", ["0Mbps", "0B/s", 0, 0.0, "1e-400bps"])
def test_a_rate_is_not_zero(text):
    with pytest.raises(InputError, match="is not a rate greater than zero"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("shown", "text"),
    [(format_size(0), "0 B"), (format_size(999), "999 B"), (format_size(1000), "1.0 kB"), (format_size(602112), "602.1 kB"),
     (format_size(8e9), "8.0 GB"), (format_size(5e15), "5000.0 TB"), (format_time(0), "0.000 s"), (format_time(2), "2.000 s"),
     (format_time(0.0056), "5.60 ms"), (format_time(7.84e-6), "7.8 us"), (format_rate(1.25e6), "10 Mbps"),
     (format_rate(1), "8 bps"), (format_rate(1e12), "8000 Gbps")],
)  # fmt: skip
def test_written_for_people(shown, text):
    assert shown == text


@pytest.mark.parametrize("text", ["20", "2.1", " 3. ", "1e3"])
def test_a_long_delay_without_a_unit_is_taken_for_milliseconds_that_lack_it(text):
    with pytest.raises(InputError, match=r"^rtt: .* has no unit; expected e.g. .*ms or .*s$"):
        parse_delay(text)
    assert parse_delay(f"{text}s") == parse_time(text)
    assert parse_delay(float(text)) == float(text)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("0.02", 0.02), ("2", 2.0), ("20ms", 0.02)])
def test_a_short_delay_may_lack_its_unit(text, seconds):
    assert parse_delay(text) == seconds


@pytest.mark.parametrize(("count", "said"), [(0, "0 passes"), (1, "1 pass"), (2, "2 passes")])
def test_a_number_and_its_noun_agree(count, said):
    assert counted(count, "pass", "passes") == said
    assert counted(count, "point") == f"{count} point{'' if count == 1 else 's'}"
