"""Sweeps: the table is the same whoever computes it, holds what single fronts hold, and computes nothing twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import get_type_hints

import pandas as pd
import pytest

from lmos.bench.random_instances import random_instance
from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.cache import Cache
from lmos_opt.split import Split
from lmos_opt.sweep import COLUMNS, ClusterError, SweepError, SweepKeywords, SweepOptions, sweep
from tests.lmos_opt.documents import chain_data, path_data, placed
from tests.processes import started

RULES = ("lmos", "knee", "ideal", "min_latency", "slack:20", "budget:0.5", "ECO", "SCO", "RS:4", "DADS", "Neurosurgeon", "cut:3")


@pytest.fixture(scope="module")
def instances():
    return [random_instance(seed, 8, shape, "realistic") for seed in range(4) for shape in ("chain", "dag")]


@pytest.fixture(scope="module")
def alone(instances):
    return sweep(instances, RULES, labels=[{"number": k} for k in range(len(instances))], jobs=1)


def test_a_row_an_instance_and_rule_in_order(instances, alone):
    assert list(alone.columns) == ["number", *COLUMNS]
    assert list(zip(alone["instance"], alone["rule"], strict=True)) == [(k, r) for k in range(len(instances)) for r in RULES]
    assert alone["number"].equals(alone["instance"].rename("number"))
    assert not alone.empty


def test_selections_are_those_of_single_fronts(instances, alone):
    for k, instance in enumerate(instances):
        front = pareto_front(instance)
        for rule in ("lmos", "knee", "ideal", "min_latency", "slack:20"):
            point = front.select(rule)
            row = alone[(alone["instance"] == k) & (alone["rule"] == rule)].iloc[0]
            assert (row["x1"], row["latency_s"], row["memory_bytes"]) == (point.x1, point.values["latency"], point.values["memory"])
            assert row["front_points"] == len(front.points)
            assert row["latency_s"] == Split(instance, frozenset(point.edge_layers)).times.latency_s


def test_what_has_no_split_says_why(instances, alone):
    graph = next(k for k, instance in enumerate(instances) if not instance.is_chain)
    row = alone[(alone["instance"] == graph) & (alone["rule"] == "Neurosurgeon")].iloc[0]
    assert pd.isna(row["x1"])
    assert "branches" in row["reason"]
    done = alone[alone["reason"].isna()]
    assert done["x1"].notna().all()
    assert (done["x1"] + done["x2"] == done["instance"].map(lambda k: len(instances[k].layers))).all()


def test_a_baseline_that_breaks_the_limit_has_no_split(instances):
    tight = instances[0].replace(memory_limit_bytes=0)
    found = sweep([tight], ["ECO", "lmos", "SCO"], jobs=1).set_index("rule")
    assert pd.isna(found["x1"]["ECO"])
    assert "memory limit 0 B" in found["reason"]["ECO"]
    assert found["x1"]["SCO"] == 0
    assert found["x1"]["lmos"] == 0


def test_an_infeasible_instance_is_rows_with_a_reason(instances):
    large = next(instance for instance in instances if len(instance.layers) > 1)
    small = instances[0].replace(layers=[instances[0].layers[0].model_dump()])
    found = sweep([small, large], ["knee"], proper_split=True, jobs=1)
    assert "proper split" in found["reason"][0]
    assert found["reason"].isna()[1]


@pytest.mark.process
def test_processes_give_the_same_table(instances, alone):
    there = sweep(instances, RULES, labels=[{"number": k} for k in range(len(instances))], jobs=2)
    pd.testing.assert_frame_equal(there, alone, check_exact=True)


@pytest.mark.process
def test_a_dask_cluster_gives_the_same_table(instances, alone, tmp_path):
    """A scheduler and a worker in this process, over TCP as any other, and a worker that is a process of its own."""
    distributed = pytest.importorskip("distributed")
    ours = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "protocol": "tcp", "dashboard_address": None}
    with distributed.LocalCluster(host="127.0.0.1", scheduler_port=0, local_directory=tmp_path, **ours) as cluster:
        address = cluster.scheduler_address
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
                   "--local-directory", str(tmp_path)]
        with started(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=60)
            there = sweep(instances, RULES, labels=[{"number": k} for k in range(len(instances))], dask=address)
            worker.terminate()
    pd.testing.assert_frame_equal(there, alone, check_exact=True)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_no_scheduler_is_one_clear_error(instances, address, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("lmos_opt.sweeps.workers._CONNECT_S", "1s")
    with pytest.raises(ClusterError, match=address) as error:
        sweep(instances, ["knee"], dask=address)
    assert error.value.address == address


@pytest.mark.parametrize("rules", [[], ["nope"], ["knee", "budget:x"], ["slack:-1"], ["knee:3"]])
def test_a_wrong_rule_is_refused_before_any_work(instances, rules):
    with pytest.raises(InputError):
        sweep(instances, rules, jobs=1)


def test_labels_must_be_as_many_as_instances(instances):
    with pytest.raises(InputError, match="labels"):
        sweep(instances, ["knee"], labels=[{}], jobs=1)


def test_the_cache_spares_what_it_has_and_changes_nothing(instances, alone, tmp_path):
    calls = []
    labels = [{"number": k} for k in range(len(instances))]
    first = sweep(instances[:3], RULES, labels=labels[:3], jobs=1, cache=Cache(tmp_path), on_front=calls.append)
    assert calls == [False] * 3
    calls.clear()
    again = sweep(instances, RULES, labels=labels, jobs=1, cache=Cache(tmp_path), on_front=calls.append)
    assert calls == [True] * 3 + [False] * (len(instances) - 3)
    pd.testing.assert_frame_equal(again, alone, check_exact=True)
    pd.testing.assert_frame_equal(first, alone.iloc[: 3 * len(RULES)], check_exact=True)


def test_equal_problems_are_solved_once_and_different_ones_never_mixed(instances, tmp_path):
    calls = []
    one = instances[0]
    faster = one.replace(bandwidth_bytes_per_s=one.bandwidth_bytes_per_s * 2)
    found = sweep([one, one, faster], ["min_latency"], jobs=1, cache=Cache(tmp_path), on_front=calls.append)
    assert sorted(calls) == [False, False, True]
    assert len(list(tmp_path.glob("front-*.json"))) == 2
    assert found["latency_s"][0] == found["latency_s"][1]
    other = sweep([one], ["lmos"], memory_model="peak", jobs=1, cache=Cache(tmp_path))
    assert other["memory_bytes"][0] == Split(one, frozenset(one.names), "peak").memory_bytes
    assert len(list(tmp_path.glob("front-*.json"))) == 3


def test_a_damaged_cache_file_is_named(instances, tmp_path):
    sweep(instances[:1], ["knee"], jobs=1, cache=Cache(tmp_path))
    (file,) = tmp_path.glob("front-*.json")
    file.write_text("{")
    with pytest.raises(InputError, match=file.name):
        sweep(instances[:1], ["knee"], jobs=1, cache=Cache(tmp_path))




def test_a_front_that_cannot_be_traced_names_its_instance(instances, monkeypatch):
    from lmos_opt.errors import SolverError

    def fail(*arguments, **options):
        raise SolverError("broken", "out of paper")

    monkeypatch.setattr("lmos_opt.sweep.pareto_front", fail)
    with pytest.raises(SweepError, match="out of paper") as error:
        sweep(instances[:1], ["knee"], jobs=1)
    assert (error.value.position, error.value.instance) == (0, instances[0].name)


def test_baselines_alone_trace_no_front(instances, monkeypatch):
    monkeypatch.setattr("lmos_opt.sweep.pareto_front", lambda *a, **k: pytest.fail("a front was traced"))
    calls = []
    found = sweep(instances, ["ECO", "RS:3"], jobs=1, on_front=calls.append)
    assert calls == []
    assert found["front_points"].isna().all()


def test_keywords_are_the_options():
    assert {field.name for field in fields(SweepOptions)} == set(SweepKeywords.__annotations__)
    assert get_type_hints(SweepOptions) == get_type_hints(SweepKeywords)


def test_places_and_hops_of_a_path_have_columns_of_their_own():
    """The second hop and the second place's limit vary; what a row says is the split's own."""
    path = Instance.from_dict(path_data(placed("a", "input", t=(1.0, 0.25, 0.125), out=1000), placed("b", "a", t=(2.0, 0.5, 0.25))))
    cases = [(rate, limit) for rate in (2000.0, 1e6) for limit in (5500, None)]
    instances = [path.with_hop(2, bandwidth_bytes_per_s=rate).with_place(2, memory_limit_bytes=limit) for rate, limit in cases]
    found = sweep(instances, ["min_latency", "pair", "at:2"], jobs=1, labels=[{"rate": r, "limit": m or 0} for r, m in cases])
    assert list(found.columns) == [
        "rate", "limit", "instance", "rule", "x1", "x2", "x3", "latency_s", "memory_bytes", "t_place_1_s", "t_hop_1_s",
        "crossing_1_bytes", "t_place_2_s", "t_hop_2_s", "crossing_2_bytes", "t_place_3_s", "memory_2_bytes", "memory_3_bytes",
        "front_points", "complete", "reason"]
    for _, row in found.iterrows():
        if row["rule"] == "at:2" and row["limit"]:
            assert row["reason"] == "toy, at:2: infeasible: memory limit 5500 B at box (the split needs 9000 B)"
            continue
        instance = instances[row["instance"]]
        split = Split.at(instance, [instance.names[: row["x1"]], instance.names[row["x1"] : row["x1"] + row["x2"]]])
        assert [len(layers) for layers in split.places] == [row["x1"], row["x2"], row["x3"]]
        assert (row["latency_s"], row["t_hop_2_s"], row["memory_2_bytes"]) == (
            split.times.latency_s, split.times.hops[1].t_s, split.memory_at(2))
    slow = found[(found["rate"] == 2000.0) & (found["limit"] == 5500) & (found["rule"] == "pair")].iloc[0]
    assert (slow["x1"], slow["x2"], slow["x3"]) == (1, 1, 0)
    best = found[found["rule"] == "min_latency"]
    assert (best["latency_s"].to_numpy() <= found[found["rule"] == "pair"]["latency_s"].to_numpy()).all()


def test_two_and_three_places_in_one_table():
    two, three = Instance.from_dict(chain_data()), Instance.from_dict(path_data(placed("a", "input", t=(1.0, 2.0, 3.0))))
    found = sweep([two, three], ["ECO"], jobs=1)
    assert found["x3"].isna().tolist() == [True, False]
    assert found["t_edge_s"].isna().tolist() == [False, True]
    assert found["t_place_1_s"].tolist()[1] == 1.0


def test_whole_fronts_are_a_row_a_point_and_are_not_found_twice(instances, tmp_path, monkeypatch):
    told = []
    labels = [{"number": 10 * k} for k in range(len(instances))]
    asked = {"labels": labels, "output": tmp_path / "fronts.parquet", "jobs": 1, "memory_model": "peak", "on_front": told.append}
    found = sweep(instances, fronts=True, **asked)
    for k, instance in enumerate(instances):
        rows = found[found["case"] == k]
        front = pareto_front(instance, memory_model="peak")
        assert [*rows["latency"]] == [p.values["latency"] for p in front]
        assert [*rows["memory"]] == [p.values["memory"] for p in front]
        assert set(rows["number"]) == {10 * k}
        assert set(rows["source"]) == {instance.name}
    assert told == [False] * len(instances)
    monkeypatch.setattr("lmos_opt.sweeps.running.work", lambda chunk: pytest.fail("it is there"))
    pd.testing.assert_frame_equal(sweep(instances, fronts=True, **asked), found)
    assert told == [False] * len(instances) + [True] * len(instances)


def test_codecs_are_chosen_also_after_an_instance_of_the_same_graph_without_any():
    choices = [{"name": name, "bytes": size, "loss": 0.0, "encode_s": 0.0, "decode_s": 0.0}
               for name, size in (("half", 2000), ("tenth", 400))]  # fmt: skip
    two = [Instance.from_dict(path_data(rates=(1e3, 1e3), **more)) for more in ({}, {"codecs": {"input": choices}})]
    found = sweep(two, fronts=True, jobs=1)
    least = [found[found["case"] == k]["latency"].min() for k in range(2)]
    assert least == [pareto_front(instance).points[0].values["latency"] for instance in two]
    assert least[1] < least[0]


@pytest.mark.parametrize(("options", "complaint"), [
    ({"fronts": True, "rules": ["knee"]}, "rules: is for choices"),
    ({"rules": ["knee"], "output": "x.parquet"}, "output: is of a sweep"),
    ({"fronts": True, "output": "x.csv"}, r"x\.csv"), ({}, "rules: there are none"),
])  # fmt: skip
def test_fronts_and_choices_are_not_mixed(instances, options, complaint):
    with pytest.raises(InputError, match=complaint):
        sweep(instances, jobs=1, **options)
    with pytest.raises(InputError, match="instances: there are none"):
        sweep([], fronts=True)
