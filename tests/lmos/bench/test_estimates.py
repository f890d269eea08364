"""How well estimates go with the truth: ranks, and the largest miss."""

from __future__ import annotations

import pytest
import torch

from lmos.bench.estimates import Row, Subject, agreement, compare, within
from lmos.paper.making.digits import network
from lmos_opt.plans.proportion import upper_end
from runner.images import Images
from runner.images.labelled import Labelled


def row(estimated: float, measured: float, x1: int = 0) -> Row:
    return Row("net", "int4", x1, 1, estimated, 1.0, measured, 2 * estimated, measured)


def test_ranks_and_the_largest_miss():
    found = agreement([row(0.0, 0.1), row(0.1, 0.2), row(0.2, 0.9, 5)])
    assert found.of_losses == found.of_errors == pytest.approx(1)
    assert (found.miss, found.at.x1) == (pytest.approx(-0.7), 5)
    assert agreement([row(0.0, 0.1), row(0.0, 0.2)]).of_losses is None
    assert agreement([row(0.1, 0.2), row(0.2, 0.1)]).of_losses == pytest.approx(-1)


def test_every_cut_under_every_codec_and_what_the_search_finds_within_a_limit():
    torch.manual_seed(0)
    draws = torch.rand(6, 1, 1, 8, 8)
    subject = Subject("digits", "lmos.paper.making.digits:network", "seeded:0", network().eval(),
                      Labelled(Images("numbers", [str(k) for k in range(6)], lambda k: draws[k]), None))  # fmt: skip
    found = compare(subject, ["int8", "zint:2"], 0, lambda _: None)
    assert {(one.codec, one.x1) for one in found.rows} == {(codec, k) for codec in ("int8", "zint:2") for k in range(9)}
    losses = found.profile.fidelity.losses
    assert all(one.estimated == losses[one.codec]["input" if not one.x1 else str(one.x1 - 1)] for one in found.rows)
    assert max(one.measured_error for one in found.rows if one.codec == "int8") < 0.1
    assert all(one.upper > one.estimated for one in found.rows if one.crossing)
    for limit in (0.0, upper_end(0, 3)):
        reports = within(found, subject.inputs, 0, limit)
        assert all(report.estimated <= limit and report.on.part == "held-out" for report in reports)
