"""The zoo: its networks are many, its cuts are down-closed, and it sees halves that differ, and networks that take too long."""

from __future__ import annotations

import json

import pytest
import torch

from lmos.bench.zoo import tour, visit
from lmos.bench.zoo.names import builder_of, zoo
from lmos.bench.zoo.networks import EXAMPLES, unet
from lmos.bench.zoo.visit import Visited, random_cuts, same
from lmos.commands import bench_zoo
from lmos_opt.errors import InputError
from measurement.networks import parse_builder
from measurement.tracing import trace_network

TAGGER = "own:lstm_tagger"


def test_there_are_more_than_a_hundred_networks_each_with_a_builder(tmp_path):
    assert len(zoo()) > 100
    for name in zoo():
        builder = builder_of(name, tmp_path)
        assert parse_builder(builder) == builder
    assert {name.partition(":")[2] for name in zoo() if name.startswith("own:")} == EXAMPLES.keys()


def test_cuts_hold_whatever_their_layers_read_and_are_the_same_for_a_name():
    traced = trace_network(unet(), torch.rand(1, 3, 16, 16))
    cuts = random_cuts(traced, "unet")
    inputs = {layer.name: layer.inputs for layer in traced.layers}
    assert len(cuts) == visit.CUTS
    assert all(source == "input" or source in cut for cut in cuts for layer in cut for source in inputs[layer])
    assert cuts == random_cuts(traced, "unet") != random_cuts(traced, "another")


def test_results_are_the_same_bit_for_bit_only():
    one = {"a": torch.tensor([1.0, torch.nan]), "b": [torch.ones(2, dtype=torch.int64), 3]}
    assert same(one, {"a": one["a"].clone(), "b": [torch.ones(2, dtype=torch.int64), 3]})
    assert not same(one, {"a": one["a"] + 1e-7, "b": one["b"]})
    assert not same(one, {"a": one["a"], "b": [torch.ones(2), 3]})
    assert not same(one, {"a": one["a"], "b": [one["b"][0]]})


def test_a_network_is_visited_and_halves_that_differ_are_seen(tmp_path, monkeypatch):
    found = visit.visit(TAGGER, tmp_path)
    assert (found.cuts, found.different, found.reason) == (5, 0, None)
    assert found.layers >= 3
    through = visit._through
    monkeypatch.setattr(visit, "_through", lambda *given: through(*given) + 1)
    assert visit.visit(TAGGER, tmp_path).different == 5


def test_a_network_that_takes_too_long_is_refused_and_the_next_one_begins_anew(monkeypatch):
    asked = iter([None, json.dumps({"network": "b", "layers": 3, "peak_bytes": 1}).encode()])
    monkeypatch.setattr(tour, "_process", _nothing)
    monkeypatch.setattr(tour, "_asked", lambda process, name, timeout_s: next(asked))
    late, there = tour.tour(["a", "b"], 2.0)
    assert (late.network, late.layers) == ("a", 0)
    assert "longer than 2 s" in str(late.reason)
    assert there == Visited("b", layers=3)


def _nothing():
    from contextlib import nullcontext

    return nullcontext(None)


def test_the_page_says_what_was_traced_and_what_differs(tmp_path, monkeypatch):
    found = [Visited("resnet18", 69, trace_s=1.0, cuts=5), Visited("hf:bert", 70, opaque=1, trace_s=3.0, cuts=5, different=2),
             Visited("alexnet", reason="it is | odd")]  # fmt: skip
    monkeypatch.setattr(tour, "tour", lambda names, timeout_s, tell: iter(found))
    with pytest.raises(bench_zoo.ZooError, match="hf:bert"):
        bench_zoo.run("resnet18,hf:bert,alexnet", "1s", tmp_path / "zoo.md", None, True)
    page = (tmp_path / "zoo.md").read_text()
    assert page.startswith("# The zoo: 2 of 3 architectures traced, 2 of 10 cuts differ\n")
    assert "| hf:bert | 70 | 1 | 0.000 | 0 | 3.0 | 2 of 5 |" in page
    assert "| alexnet | it is / odd |" in page


def test_names_that_match_nothing_are_refused():
    with pytest.raises(InputError, match="matches no network of the zoo"):
        bench_zoo.run("nothing*", "1s", None, None, False)


def test_networks_with_a_kept_line_are_not_visited_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tour, "tour", lambda names, timeout_s, tell: (asked.append(name) or Visited(name, 3) for name in names))
    kept = tmp_path / "zoo.jsonl"
    assert [one.network for one in tour.resumed(["a", "b"], 1.0, kept, print)] == ["a", "b"]
    assert [one.network for one in tour.resumed(["c", "b", "a"], 1.0, kept, print)] == ["c", "b", "a"]
    assert asked == ["a", "b", "c"]
    kept.write_text("no result\n")
    with pytest.raises(InputError, match=r"zoo\.jsonl.*line 1"):
        tour.resumed(["a"], 1.0, kept, print)
