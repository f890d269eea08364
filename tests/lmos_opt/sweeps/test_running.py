"""A sweep's table beside single fronts, and after it was ended."""

import pandas as pd
import pytest

from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.listing import shapes
from lmos_opt.sources import load_source
from lmos_opt.sweeps import chunks, running
from lmos_opt.sweeps.grids import Grid
from lmos_opt.sweeps.running import run_sweep
from tests.lmos_opt.documents import chain_data, diamond_data, listed

OVER = {"bandwidth": ["1Mbps", "8Mbps", "100Mbps"], "memory": ["10kB", "60kB"], "memory_model": ["sum", "peak"]}


@pytest.fixture
def sources(tmp_path):
    names = []
    for name, data in (("chain", chain_data(name="chain")), ("diamond", diamond_data(name="diamond"))):
        Instance.from_dict(data).save(tmp_path / f"{name}.json")
        names.append(str(tmp_path / f"{name}.json"))
    return tuple(names)


def grid(sources, **changes):
    return Grid(sources=sources, over=OVER, chunk=5, **changes)


def test_each_front_is_that_of_its_instance(sources, tmp_path):
    swept = run_sweep(grid(sources), tmp_path / "all.parquet", jobs=1)
    assert (swept.fronts, swept.found, swept.kept) == (24, 24, 0)
    table = pd.read_parquet(tmp_path / "all.parquet")
    assert sorted(set(table["case"])) == [*range(24)]
    for _, rows in table.groupby("case"):
        first = rows.iloc[0]
        one = load_source(first["source"]).replace(bandwidth_bytes_per_s=first["bandwidth_bytes_per_s"],
                                                   memory_limit_bytes=int(first["memory_limit_bytes"]))  # fmt: skip
        front = pareto_front(one, memory_model=first["memory_model"])
        values = [{"latency": a, "memory": b} for a, b in zip(rows["latency"], rows["memory"], strict=True)]
        assert values == [p.values for p in front]
        assert [tuple(layers) for layers in rows["edge_layers"]] == [p.edge_layers for p in front]
        assert [*rows["point"]] == [*range(len(front))]


def test_choices_are_those_of_the_rules(sources, tmp_path):
    run_sweep(grid(sources, rules=("knee", "ECO", "budget:0.000001")), tmp_path / "all.parquet", jobs=1)
    table = pd.read_parquet(tmp_path / "all.parquet")
    assert len(table) == 3 * 24
    row = table.iloc[0]
    one = load_source(row["source"]).replace(bandwidth_bytes_per_s=row["bandwidth_bytes_per_s"], memory_limit_bytes=10_000)
    assert row["latency"] == pareto_front(one).select("knee").values["latency"]
    assert table[table["rule"] == "budget:0.000001"]["reason"].notna().all()
    assert table[(table["rule"] == "ECO") & table["reason"].isna()]["x2"].eq(0).all()


def test_a_sweep_that_was_ended_goes_on_and_makes_the_same_file(sources, tmp_path, monkeypatch):
    whole, ended = tmp_path / "whole.parquet", tmp_path / "ended.parquet"
    run_sweep(grid(sources), whole, jobs=1)

    class Killed(BaseException):
        pass

    def killed(done, n):
        if done >= 10:
            raise Killed

    with pytest.raises(Killed):
        run_sweep(grid(sources), ended, jobs=1, on_part=killed)
    assert not ended.exists()
    parts = sorted(tmp_path.glob("ended.parquet.parts/*.parquet"))
    assert len(pd.read_parquet(parts[0])["case"].unique()) == 5
    asked = []
    monkeypatch.setattr(running, "work", lambda chunk: asked.append(chunk.number) or chunks.work(chunk))
    swept = run_sweep(grid(sources), ended, jobs=1)
    assert (swept.found, swept.kept) == (14, 10)
    assert asked == [2, 3, 4]
    assert ended.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "ended.parquet.parts").exists()
    asked.clear()
    assert run_sweep(grid(sources), ended, jobs=1).kept == 24
    assert asked == []


def test_parts_of_another_sweep_are_not_gone_on_with(sources, tmp_path):
    def ended(done, n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(grid(sources), tmp_path / "a.parquet", jobs=1, on_part=ended)
    with pytest.raises(InputError, match="holds parts of another sweep"):
        run_sweep(grid(sources, proper_split=True), tmp_path / "a.parquet", jobs=1)


def test_a_damaged_part_is_named(sources, tmp_path):
    def ended(done, n):
        if done == n:
            (tmp_path / "a.parquet.parts" / "part-000001.parquet").write_bytes(b"PAR1")

    with pytest.raises(InputError, match=r"part-000001\.parquet: is no part of this sweep that can be read; remove it"):
        run_sweep(grid(sources), tmp_path / "a.parquet", jobs=1, on_part=ended)
    assert listed(tmp_path) == ["a.parquet.parts", "chain.json", "diamond.json"]


def test_a_whole_file_of_another_sweep_is_replaced(sources, tmp_path):
    run_sweep(grid(sources), tmp_path / "a.parquet", jobs=1)
    swept = run_sweep(grid(sources[:1], objectives=("latency", "tx_bytes", "footprint")), tmp_path / "a.parquet", jobs=1)
    assert (swept.fronts, swept.kept) == (12, 0)
    assert {"tx_bytes", "footprint"} <= set(pd.read_parquet(tmp_path / "a.parquet").columns)


def test_a_file_that_nobody_can_read_is_replaced(sources, tmp_path):
    file = tmp_path / "all.parquet"
    pd.DataFrame({"abcd": [1]}).to_parquet(file)
    file.write_bytes(file.read_bytes().replace(b"abcd", b"ab\xffd"))  # a column's name that is no UTF-8
    run_sweep(grid(sources), file, jobs=1)
    assert "case" in pd.read_parquet(file)


def test_splits_too_many_to_be_listed_are_searched(sources, tmp_path, monkeypatch):
    run_sweep(grid(sources), tmp_path / "a.parquet", jobs=1)
    monkeypatch.setattr(shapes, "MOST_SPLITS", 1)
    run_sweep(grid(sources), tmp_path / "b.parquet", jobs=1)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_front_that_fails_is_named(sources, tmp_path):
    with pytest.raises(InputError, match="front 0 of the sweep, chain: chain: the objective energy needs"):
        run_sweep(grid(sources, objectives=("energy", "memory")), tmp_path / "a.parquet", jobs=1)


def test_a_split_that_some_instances_lack_is_a_reason_and_one_that_all_lack_is_refused(sources, tmp_path):
    asked = Grid(sources=sources, rules=("cut:4", "knee", "cut:4"))
    run_sweep(asked, tmp_path / "a.parquet", jobs=1)
    table = pd.read_parquet(tmp_path / "a.parquet").set_index(["source", "rule"])
    layers = {source: len(Instance.load(source).layers) for source in sources}
    assert sorted(layers.values()) == [3, 4], "of which the first has no such cut"
    assert len(table) == 4
    for source, n in layers.items():
        assert table["x1"].notna()[source, "cut:4"] == (n == 4)
        assert table["x1"].notna()[source, "knee"]
        assert table["reason"].isna()[source, "cut:4"] == (n == 4)
    for rule, complaint in (("cut:5", "5 is not between 0 and the 3 layers"), ("cut:x", "'x' is not a whole number"),
                            ("even:half", "expected even:layers or even:time")):
        with pytest.raises(InputError, match=complaint):
            run_sweep(Grid(sources=sources, rules=("knee", rule)), tmp_path / "b.parquet", jobs=1)
    with pytest.raises(InputError, match="the front has no objective 'latency'"):
        run_sweep(Grid(sources=sources, rules=("min_latency",), objectives=("footprint", "memory")), tmp_path / "b.parquet", jobs=1)
    assert not (tmp_path / "b.parquet.parts").exists()


def test_what_cannot_be_swept_is_refused_before_work(sources, tmp_path):
    with pytest.raises(InputError, match="not a rule"):
        run_sweep(grid(sources, rules=("best",)), tmp_path / "a.parquet", jobs=1)
    with pytest.raises(InputError, match=r"\.parquet"):
        run_sweep(grid(sources), tmp_path / "a.csv", jobs=1)
    with pytest.raises(InputError, match=r"over\.bandwidth: nan is not a finite number"):
        run_sweep(Grid(sources=sources, over={"bandwidth": float("nan")}), tmp_path / "a.parquet", jobs=1)


@pytest.mark.slow
def test_several_processes_make_the_same_file(sources, tmp_path):
    run_sweep(grid(sources), tmp_path / "one.parquet", jobs=1)
    run_sweep(grid(sources), tmp_path / "two.parquet", jobs=2)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
