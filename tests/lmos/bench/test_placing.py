"""Plans over several processes: what is made of the numbers, and a short run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmos.bench.placing import NETWORKS, Equality, Placed, equality, is_as_promised
from lmos.cli import main

STAGES = {"t_place_1_s": 0.1, "t_hop_1_s": 0.2, "t_place_2_s": 0.1, "t_hop_2_s": 0.4, "t_place_3_s": 0.1, "latency_s": 0.9}
GOOD = Placed("toy", "cut:1,2", ("10Mbps", "5Mbps"), 12, {**STAGES, "latency_s": 0.945}, STAGES, images_per_s=2.375)
EQUAL = Equality("toy", 3, 5, ())


def test_the_share_is_of_what_the_slowest_stage_allows() -> None:
    assert GOOD.slowest == "t_hop_2_s"
    assert GOOD.share == pytest.approx(0.95)
    assert GOOD.error == pytest.approx(0.05)


def test_what_is_not_as_promised_is_found() -> None:
    assert is_as_promised([EQUAL], [GOOD])
    assert not is_as_promised([replace(EQUAL, differing=("cut:1,2",))], [GOOD])
    assert not is_as_promised([EQUAL], [replace(GOOD, images_per_s=2.2)])
    assert not is_as_promised([EQUAL], [replace(GOOD, predicted={**STAGES, "latency_s": 1.0})])


def test_ten_networks_are_compared_unless_others_are_named() -> None:
    assert len(set(NETWORKS)) == 10


@pytest.mark.slow
@pytest.mark.process
def test_outputs_over_four_processes_are_the_networks_own() -> None:
    assert equality("squeezenet1_1", 4, 3, seed=1).differing == ()


def test_a_rate_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "places", "--rates", "fast,10Mbps"]) == 2
    assert "--rates" in capsys.readouterr().err
