"""Measures over scenarios: by hand, beside their definitions, and the linear way beside the general one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmos.bench.exactness import Kind, answer, drawn_case
from lmos_opt import InputError, Instance, measures, pareto_front
from lmos_opt.measures import spread
from lmos_opt.objectives import get
from lmos_opt.rules.values import latency_name
from lmos_opt.split import Split
from tests.lmos_opt.documents import chain_data
from tests.lmos_opt.objectives.by_hand import check_expression, values

CHAIN = Instance.from_dict(chain_data(rtt_s=0.5, power={"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.0}))
MIXED = CHAIN.replace(scenarios=[
    {"weight": 0.5, "bandwidth": [1.0], "time": [1.0, 1.0]}, {"weight": 0.3, "bandwidth": [0.001], "time": [1.0, 1.0]},
    {"weight": 0.2, "bandwidth": [1.0], "time": [8.0, 1.0]},
])  # fmt: skip
LINK = CHAIN.replace(scenarios=[{"weight": w, "bandwidth": [b]} for w, b in ((1.0, 0.5), (2.0, 1.0), (1.0, 4.0), (6.0, 2.0))])
weights = st.lists(st.integers(1, 10**6), min_size=1, max_size=12)


@pytest.mark.parametrize(("text", "expected"), [
    ("p95", measures.Quantile(Fraction(19, 20))), ("p99.9", measures.Quantile(Fraction(999, 1000))),
    ("worst", measures.Quantile(Fraction(1))), ("p100", measures.Quantile(Fraction(1))), ("mean", measures.TailMean(Fraction(1))),
    ("cvar0", measures.TailMean(Fraction(1))), ("cvar95", measures.TailMean(Fraction(1, 20))),
])  # fmt: skip
def test_measures_by_name(text, expected):
    assert measures.parse("latency", text) == expected


@pytest.mark.parametrize("text", ["", "p", "p0", "p101", "cvar100", "cvar", "median", "p-5", "p9_5", "P95", "p1e1", "p95 ", "p٩"])
def test_what_is_no_measure_is_refused(text):
    with pytest.raises(InputError, match="is no measure of scenarios; expected pNN, cvarNN, mean, worst"):
        get(f"latency@{text}") if text else measures.parse("latency", text)


def test_what_is_the_same_in_all_scenarios_has_no_measure():
    with pytest.raises(InputError, match="memory is the same in all scenarios; those that are not are edge_time, energy, latency"):
        get("memory@p95")
    with pytest.raises(InputError, match="'price' is not an objective"):
        get("price@p95")


def test_an_instance_without_scenarios_is_told_so():
    with pytest.raises(InputError, match=r"objective latency@p95: .* has no scenarios; expected some, in the instance or from a"):
        pareto_front(CHAIN, ["latency@p95", "memory"])


def test_their_values_by_hand():
    """Each split's latency in the three scenarios, of weights 5, 3 and 2 of ten."""
    expected = []
    for n in range(len(CHAIN.names) + 1):
        edge = frozenset(CHAIN.names[:n])
        expected.append([split.times.latency_s for split in (Split(one, edge) for one in MIXED.in_scenarios)])
    asked = ("mean", "worst", "p50", "p80", "cvar50", "cvar90")
    at = {measure: values(get(f"latency@{measure}"), MIXED) for measure in asked}
    for k, (usual, slow_link, busy) in enumerate(expected):
        in_order = sorted([(usual, 5), (slow_link, 3), (busy, 2)])
        assert at["mean"][k] == pytest.approx((5 * usual + 3 * slow_link + 2 * busy) / 10, rel=1e-14)
        assert at["worst"][k] == in_order[-1][0]
        assert at["p50"][k] == usual  # it is never the worse of two, and has half of the weight
        assert at["p80"][k] == slow_link  # with it 8 of 10, without it 7
        assert at["cvar90"][k] == in_order[-1][0]
        assert at["cvar50"][k] == pytest.approx((3 * slow_link + 2 * busy) / 5, rel=1e-14)


@pytest.mark.parametrize("measure", ["p50", "p80", "p95", "cvar50", "cvar90", "mean", "worst"])
@pytest.mark.parametrize("base", ["latency", "throughput", "energy"])
@pytest.mark.parametrize("instance", [MIXED, LINK], ids=["mixed", "link"])
def test_expressions_are_values(base, measure, instance):
    check_expression(get(f"{base}@{measure}"), instance)


@given(weights, st.integers(1, 1000))
def test_shares_sum_to_one_and_are_those_of_the_definitions(given_weights, thousandths):
    part = Fraction(thousandths, 1000)
    for measure in (measures.Quantile(part), measures.TailMean(part)):
        shares = measure.shares(given_weights)
        assert sum(shares) == 1
        assert all(share >= 0 for share in shares)
    first = measures.Quantile(part).shares(given_weights).index(1)
    assert sum(given_weights[:first]) < part * sum(given_weights) <= sum(given_weights[: first + 1])
    tail = measures.TailMean(part).shares(given_weights)
    assert tail[-1] == min(1, Fraction(given_weights[-1]) / (part * sum(given_weights)))


@given(st.lists(st.tuples(st.floats(0, 10), st.one_of(st.integers(1, 50), st.integers(1, 2**70))), min_size=1, max_size=9),
       st.integers(1, 100), st.booleans())  # fmt: skip
def test_arrays_say_the_same_as_one_split_after_another(pairs, percent, is_tail):
    measure = (measures.TailMean if is_tail else measures.Quantile)(Fraction(percent, 100))
    column, counted = np.array([[v] for v, _ in pairs]), [w for _, w in pairs]
    order = sorted(range(len(pairs)), key=lambda k: pairs[k][0])
    shares = measure.shares([counted[k] for k in order])
    exact = float(sum(share * Fraction(pairs[k][0]) for k, share in zip(order, shares, strict=True)))
    assert measure.each(column, counted)[0] == pytest.approx(exact, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("measure", ["p50", "p95", "worst", "cvar80"])
def test_with_one_uncertain_link_the_quantile_is_the_latency_at_the_quantile_of_the_bandwidth(measure, monkeypatch):
    """The theorem of docs/uncertainty.md beside the general program."""
    wanted = pareto_front(LINK, [f"latency@{measure}", "memory"])
    if measure[0] == "p":
        factor = {"p50": 2.0, "p95": 0.5}[measure]  # from the best: 4 (weight 1), 2 (6), 1 (2), 0.5 (1)
        known = pareto_front(CHAIN.replace(bandwidth_bytes_per_s=factor * CHAIN.bandwidth_bytes_per_s))
        assert [[*p.values.values()] for p in wanted.points] == [[*p.values.values()] for p in known.points]
    monkeypatch.setattr(spread, "best_first", lambda scenarios: None)
    for algorithm in ("local_upper_bounds", "enumeration"):
        general = pareto_front(LINK.replace(), [f"latency@{measure}", "memory"], algorithm=algorithm)
        assert general.complete
        assert [p.edge_layers for p in general.points] == [p.edge_layers for p in wanted.points]
        assert [[*p.values.values()] for p in general.points] == [pytest.approx([*p.values.values()], rel=1e-12)
                                                                  for p in wanted.points]  # fmt: skip


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 12))])
def test_fronts_are_those_of_enumeration(seed):
    for places in (2, 3):
        verdict = answer(drawn_case(seed, Kind(places, scenarios=True)), "sum", "highs")
        assert (verdict.mistakes, verdict.incomplete) == ((), None)


def test_a_rule_that_needs_a_latency_takes_the_measured_one():
    assert latency_name(pareto_front(MIXED, ["latency@p80", "memory"])) == "latency@p80"
