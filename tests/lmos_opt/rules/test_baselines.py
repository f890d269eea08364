"""The paper's baselines, and cuts by number."""

from __future__ import annotations

import pytest

from lmos_opt import InputError, Instance
from lmos_opt.rules.baselines import baseline, cut, eco, random_splits, sco
from tests.lmos_opt.documents import chain_data, diamond_data


@pytest.fixture
def chain() -> Instance:
    return Instance.from_dict(chain_data())


def test_edge_only_and_server_only(chain):
    assert eco(chain) == ("a", "b", "c")
    assert sco(chain) == ()
    assert baseline(chain, "ECO").edge == frozenset("abc")
    assert baseline(chain, "SCO").edge == frozenset()


def test_every_cut_takes_the_first_layers(chain):
    assert [cut(chain, n) for n in range(4)] == [(), ("a",), ("a", "b"), ("a", "b", "c")]
    for n in range(4):
        assert baseline(chain, f"cut:{n}").edge_layers == chain.names[:n]


def test_every_cut_of_a_graph_is_down_closed():
    diamond = Instance.from_dict(diamond_data())
    for n in range(5):
        assert len(diamond.edge_set(cut(diamond, n))) == n


@pytest.mark.parametrize("rule", ["cut:4", "cut:-1", "cut:99"])
def test_a_cut_beyond_the_layers_is_refused(chain, rule):
    with pytest.raises(InputError, match="is not between 0 and the 3 layers of toy"):
        baseline(chain, rule)


@pytest.mark.parametrize("rule", ["cut:", "cut", "cut:x", "cut:1.5", "cut:1:2", "RS:x", "RS:1.5"])
def test_a_cut_is_a_whole_number(chain, rule):
    with pytest.raises(InputError, match="is not a whole number"):
        baseline(chain, rule)


@pytest.mark.parametrize("rule", ["knee", "lmos", "eco", "ECO:1", "cuts:1", "", "budget:1"])
def test_other_rules_are_no_baselines(chain, rule):
    assert baseline(chain, rule) is None


def test_random_splits_repeat_with_their_seed_and_reach_every_cut_alike(chain):
    drawn = [len(random_splits(chain, seed)[0]) for seed in range(2000)]
    assert drawn == [len(random_splits(chain, seed)[0]) for seed in range(2000)]
    assert all(random_splits(chain, seed)[0] == chain.names[:n] for seed, n in enumerate(drawn[:20]))
    assert all(abs(drawn.count(n) - 500) < 100 for n in range(4))  # five standard deviations
    assert baseline(chain, "RS:17").edge_layers == random_splits(chain, 17)[0]
    assert baseline(chain, "RS").edge_layers == random_splits(chain, 0)[0]
