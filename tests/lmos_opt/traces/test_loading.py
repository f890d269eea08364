"""Files of every format by hand, each wrong line named, and what is bundled."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmos_opt.errors import InputError
from lmos_opt.traces.loading import bundled_traces, is_trace, load_trace, save_trace
from lmos_opt.traces.making import make_trace
from lmos_opt.traces.record import LinkTrace

HSDPA = "1289406399 549692 59.851754 10.781778 248069 1008\n1289406400 550772 59.851864 10.781833 191698 1080\n"
GHENT = "1453121790686 39287 51.0386528885778 3.73220785642186 2493100 1000\n1453121792686 41287 51.03865 -3.732 2728896 0999\n"
FILES = {
    "packets.up": ("1\n50\n50\n100\n101\n250\n", [(0.1, 60_000.0), (0.1, 15_000.0), (0.05, 30_000.0)]),
    "from0": ("0\n100\n", [(0.1, 30_000.0)]),
    "bus.log": (HSDPA, [(1.008, 248069 / 1.008), (1.08, 191698 / 1.08)]),
    "car.log": (GHENT, [(1.0, 2493100.0), (0.999, 2728896 / 0.999)]),
    "rates.csv": ("seconds,rate_mbps\n10,8\n11,0\n\n13.5,4\n", [(1.0, 1e6), (2.5, 0.0), (2.5, 5e5)]),
    "bytes.csv": ("Seconds, rate_bytes_per_s\n0,125\n", [(1.0, 125.0)]),
    "kilo.csv": ("seconds,rtt_ms,rate_kbps\n0,20,8\n1,30,16\n", [(1.0, 1000.0), (1.0, 2000.0)]),
}  # fmt: skip


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_its_format_says(tmp_path: Path, name: str) -> None:
    text, steps = FILES[name]
    found = load_trace(written(tmp_path, name, text))
    assert found.lasts_s == pytest.approx([lasts for lasts, _ in steps])
    assert found.rate_bytes_per_s == pytest.approx([rate for _, rate in steps])
    assert found.rtt_s == ((0.02, 0.03) if name == "kilo.csv" else None)
    assert name in found.sources[0].source


@pytest.mark.parametrize(("text", "said"), [
    ("5\n4\n", "line 2: got '4'; expected a whole number of milliseconds, no less than the line before"),
    ("5\n6\n7.5\n", "line 3: got '7.5'; expected a whole number"), ("0\n0\n", "line 2: got '0'; expected a last packet after"),
    ("0\n1764314400000\n", "line 2: got '1764314400000'; expected 100000000 milliseconds at most"),
    (HSDPA + "1 2 3\n", "line 3: got '1 2 3'; expected six numbers: seconds since the epoch"),
    (HSDPA + "\n1289406401 5 59.8 10.7 -4 1000\n", "line 4: got '1289406401 5 59.8 10.7 -4 1000'; expected six numbers"),
    (HSDPA + "1289406401 5 59.8 10.7 4 0\n", "line 3: .* expected more than 0 milliseconds in the last column"),
    (GHENT + "1453121792686 41287 51 x 1 1\n", "line 3: .* expected six numbers: milliseconds since the epoch"),
    ("seconds,rate_mbps\n1,2\n1,3\n", "line 3: got '1,3'; expected more than 1 seconds"),
    ("seconds,rate_mbps\n1,fast\n", "line 2: got '1,fast'; expected 2 numbers of at least zero: seconds, rate_mbps"),
    ("seconds,rate_mbps\n1,2,3\n", "line 2: got '1,2,3'"), ("seconds,rate_mbps\n1,nan\n", "line 2: got '1,nan'"),
    ("seconds,rate_mbps\n", "line 1: .* expected a row after it"),
    ("seconds,rate_mbps,rate_kbps\n1,2,3\n", "line 1: .* one column for each"),
    ("hello\n", "line 1: got 'hello'; expected a file lmos.trace/1; or the six columns of Ghent's 4G logs; or .*; or mahimahi's"),
    ("\n \n", "is empty; expected a file lmos.trace/1"),
    ("seconds,rate_mbps\n0,0\n", "rate_bytes_per_s: is 0 throughout"),
    ("{}", "schema: is missing; expected 'lmos.trace/1'"),
])  # fmt: skip
def test_a_wrong_line_is_named_with_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, "wrong.txt", text)
    with pytest.raises(InputError, match=said) as error:
        load_trace(file)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)


def test_what_is_neither_a_file_nor_bundled_is_refused() -> None:
    assert not is_trace("10Mbps")
    with pytest.raises(InputError, match=r"nowhere@test: is neither a file nor a bundled trace; bundled are fading, switching"):
        load_trace("nowhere@test")


def test_a_part_is_named_after_an_at(tmp_path: Path) -> None:
    file = written(tmp_path, "a@b.csv", "seconds,rate_bytes_per_s\n0,1\n1,2\n2,3\n3,4\n")
    assert load_trace(file).ends_s == 4.0
    assert load_trace(f"{file}@test").rate_bytes_per_s == (3.0, 4.0)
    assert load_trace(f"{file}@1s..2s").rate_bytes_per_s == (2.0,)
    assert load_trace(load_trace(file)) == load_trace(file)


@pytest.mark.parametrize("suffix", [".json", ".csv", ".log"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    trace = LinkTrace.of_steps("t", "by hand", [(1.0, 1000.0), (1.0, 0.0), (1.0, 250.0)])
    save_trace(trace, tmp_path / f"t{suffix}")
    again = load_trace(tmp_path / f"t{suffix}")
    assert (again.seconds, again.rate_bytes_per_s, again.ends_s) == (trace.seconds, trace.rate_bytes_per_s, trace.ends_s)


def test_a_step_that_a_log_cannot_hold_is_refused(tmp_path: Path) -> None:
    trace = LinkTrace.of_steps("t", "by hand", [(1.0, 1000.0), (4e-4, 5.0)])
    with pytest.raises(InputError, match=r"t: has a step of 0\.0004 s, and a log whole milliseconds"):
        save_trace(trace, tmp_path / "t.log")
    assert not list(tmp_path.iterdir())


def test_a_byte_order_mark_is_no_part_of_a_trace(tmp_path: Path) -> None:
    trace = LinkTrace.of_steps("t", "by hand", [(1.0, 1000.0), (1.0, 250.0)])
    for suffix in (".json", ".csv"):
        save_trace(trace, file := tmp_path / f"t{suffix}")
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
        assert load_trace(file).rate_bytes_per_s == (1000.0, 250.0)


def test_bundled_traces_are_what_their_commands_make() -> None:
    assert bundled_traces() == ["fading", "switching"]
    for name in bundled_traces():
        found, made = load_trace(name), make_trace(name)
        assert (found.seconds, found.rate_bytes_per_s, found.ends_s) == (made.seconds, made.rate_bytes_per_s, made.ends_s)
    assert load_trace("fading").to_dict() == make_trace("fading").to_dict()


def test_text_that_is_too_long_for_a_files_name_is_no_trace() -> None:
    assert not is_trace(",".join(["2Mbps", *(f"{1 + k % 2}Mbps@{k}s" for k in range(1, 500))]))
