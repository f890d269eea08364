"""What `--shape` takes: rates and traces."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from lmos_opt.errors import InputError
from lmos_opt.traces.record import LinkTrace
from runner.lab.replaying import link_shape, shape_of
from runner.wire.shaping import Shape

TRACE = LinkTrace.of_steps("t", "", [(1.0, 1e6), (2.0, 0.0), (1.0, 4e6)], rtt_s=(0.01, 0.02, 0.03))


def test_a_trace_is_a_link_that_begins_again() -> None:
    shape = shape_of(TRACE)
    assert [shape.rate_at(at_s) for at_s in (0.0, 0.9, 1.0, 3.0, 4.0, 9.0)] == [1e6, 1e6, 0.0, 4e6, 1e6, 0.0]
    assert [shape.delay_at(at_s) for at_s in (0.0, 1.5, 3.5, 4.5)] == [0.01, 0.02, 0.03, 0.01]
    assert shape_of(TRACE, 0.5).delay_at(2.0) == 0.5
    assert str(shape) == "t, again every 4 s"


def test_a_constant_rate_is_a_trace_of_one_step() -> None:
    assert shape_of(LinkTrace.of_steps("c", "", [(1.0, 1e6)])).passed(7.0) == 7e6
    assert link_shape("8Mbps") == Shape(1e6)
    assert link_shape("8Mbps").repeats_s == inf


def test_text_names_a_trace_its_part_and_a_delay(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("seconds,rate_bytes_per_s\n0,1000\n1,2000\n")
    assert link_shape(f"{tmp_path}/r.csv").changes == ((1.0, 2000.0),)
    assert link_shape(f"{tmp_path}/r.csv@test,20ms") == Shape(2000.0, 0.02, repeats_s=1.0, name="r@test")
    assert link_shape("fading@train").repeats_s == 180.0


@pytest.mark.parametrize("text", ["fadin", "", "10", "fading@half", "fading,soon", "nowhere.csv@test", "2Mbps,5Mbps@0s"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        link_shape(text)
