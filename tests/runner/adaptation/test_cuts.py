"""The cuts that a run may change between."""

from __future__ import annotations

import pytest

from lmos_opt import InputError, Plan
from lmos_opt.policies.policy import Policy
from runner.adaptation.cuts import MOST_CUTS, Choice, Cut
from tests.lmos_opt.documents import plan_example

PLAN = plan_example()


def policy(rule: str, *stretches: tuple[float, float, tuple[str, ...] | None, float, int]) -> Plan:
    """The plan with a policy of stretches: low, high, edge layers, fixed time, bytes."""
    return PLAN.model_copy(update={"policy": Policy.from_dict({
        "schema": "lmos.policy/1", "instance": "tiny", "rule": rule, "over": "bandwidth", "memory_model": "sum",
        "proper_split": False, "bandwidth_bytes_per_s": None, "memory_limit_bytes": None,
        "stretches": [{"low": low, "high": high, "edge_layers": layers, "x1": None if layers is None else len(layers),
                       "x2": None if layers is None else 2 - len(layers), "fixed_s": None if layers is None else fixed_s,
                       "crossing_bytes": None if layers is None else size, "memory_bytes": None if layers is None else 1}
                      for low, high, layers, fixed_s, size in stretches]})})  # fmt: skip


HERE, THERE = Cut(("split", "fc"), 1.0, 0), Cut((), 0.0, 1000)
TWO = ((1.0, 1000.0, HERE.edge_layers, 1.0, 0), (1000.0, 1e6, (), 0.0, 1000))


def test_what_a_cut_is_predicted_to_take() -> None:
    assert THERE.latency_s(500) == 2.0
    assert HERE.latency_s(500) == 1.0
    assert (HERE.x1, THERE.x1) == (2, 0)


def test_the_rules_choice_at_a_bandwidth_and_beyond_the_ends() -> None:
    choice = Choice.of(policy("min_latency", *TWO))
    assert [choice.at(b) for b in (0.5, 10, 5000, 1e9)] == [HERE, HERE, THERE, THERE]
    assert [cut.edge_layers for cut in choice.different()] == [PLAN.edge_layers, HERE.edge_layers, THERE.edge_layers]


def test_a_change_must_save_a_share_of_the_latency() -> None:
    choice = Choice.of(policy("min_latency", *TWO))
    assert choice.better(HERE, 1020.0) is None, "it would save less than 5 %"
    assert choice.better(HERE, 1100.0) == THERE
    assert choice.better(THERE, 2000.0) is None


def test_a_rule_that_is_not_about_latency_must_choose_it_around_as_well() -> None:
    choice = Choice.of(policy("knee", *TWO))
    assert choice.better(HERE, 1050.0) is None
    assert choice.better(HERE, 1200.0) == THERE


def test_where_the_rule_admits_no_cut_none_is_better() -> None:
    choice = Choice.of(policy("budget:1s", (1.0, 1000.0, None, 0.0, 0), TWO[1]))
    assert choice.at(10) is None
    assert choice.better(THERE, 10) is None


def test_a_plan_without_a_policy_is_refused() -> None:
    with pytest.raises(InputError, match="the plan has no policy to follow"):
        Choice.of(PLAN)


def test_more_cuts_than_may_have_a_connection_each_are_refused() -> None:
    most = [(float(k + 1), float(k + 2), (f"v{k}",), 1.0, k) for k in range(MOST_CUTS)]
    with pytest.raises(InputError, match=f"changes between {MOST_CUTS + 1} cuts, and at most {MOST_CUTS} are held ready"):
        Choice.of(policy("min_latency", *most))
    assert len(Choice.of(policy("min_latency", *most[:-1])).different()) == MOST_CUTS
