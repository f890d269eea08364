"""Fronts: their figures, tables and files; a partial one never looks like a whole one."""

from __future__ import annotations

import copy

import pandas as pd
import pytest

from lmos_opt import Front, InputError
from tests.lmos_opt.documents import front_data, listed


def front(**changes: object) -> Front:
    return Front.from_dict(front_data() | changes)


def whole() -> Front:
    return front(complete=True, reason=None)


def general() -> Front:
    """The front of a model that is no split."""
    points = [{"values": {"latency": 1, "memory": 2, "price": 3}, "solution": {"x[1]": 1, "y": 1 / 3}}]
    return front(points=points, complete=True, reason=None)


def test_ideal_nadir_and_costs_follow_the_senses():
    found = front()
    assert found.names == ("latency", "memory", "price")
    assert found.ideal == {"latency": 0.5, "memory": 6_500_000_000, "price": -1.5}
    assert found.nadir == {"latency": 1.5, "memory": 0, "price": 2}
    assert found.costs() == [(0.5, 0.0, -1.5), (1.5, -6.5e9, 2.0)]
    assert front(points=[]).ideal == front(points=[]).nadir == {}


def test_the_table_has_a_row_a_point():
    frame = front().to_frame()
    assert list(frame.columns) == ["latency", "memory", "price", "x1", "x2", "edge_layers"]
    assert frame.to_dict("records") == [
        {"latency": 0.5, "memory": 0, "price": -1.5, "x1": 0, "x2": 3, "edge_layers": []},
        {"latency": 1.5, "memory": 6_500_000_000, "price": 2, "x1": 2, "x2": 1, "edge_layers": ["a", "b"]},
    ]
    assert list(front(points=[]).to_frame().columns) == ["latency", "memory", "price", "x1", "x2", "edge_layers"]
    assert general().to_frame()["solution"][0] == {"x[1]": 1.0, "y": 1 / 3}


def test_the_json_file_reads_back_equal_and_holds_only_what_there_is(tmp_path):
    for k, found in enumerate((front(), whole(), general(), front(points=[]))):
        found.save(tmp_path / f"{k}.json")
        assert Front.load(tmp_path / f"{k}.json") == found
    assert set(front().to_dict()) - set(whole().to_dict()) == {"reason"}
    assert set(general().to_dict()["points"][0]) == {"values", "solution"}
    assert set(whole().to_dict()["points"][0]) == {"values", "edge_layers", "x1", "x2"}


def test_csv_keeps_every_digit(tmp_path):
    third = front_data()
    third["points"][0]["values"]["latency"] = 1 / 3
    Front.from_dict(third | {"complete": True, "reason": None}).save(tmp_path / "f.csv")
    read = pd.read_csv(tmp_path / "f.csv", keep_default_na=False)
    assert list(read["latency"]) == [1 / 3, 1.5]
    assert list(read["memory"]) == [0, 6_500_000_000]
    assert list(read["edge_layers"]) == ["", "a b"]
    general().save(tmp_path / "g.csv")
    assert list(pd.read_csv(tmp_path / "g.csv")["solution"]) == [f"x[1]=1.0 y={1 / 3}"]


def test_parquet_keeps_lists_and_types(tmp_path):
    whole().save(tmp_path / "f.parquet")
    read = pd.read_parquet(tmp_path / "f.parquet")
    assert [list(row) for row in read["edge_layers"]] == [[], ["a", "b"]]
    assert list(read["memory"]) == [0, 6_500_000_000]
    assert read["memory"].dtype == "int64"
    general().save(tmp_path / "g.parquet")
    assert pd.read_parquet(tmp_path / "g.parquet")["solution"][0] == {"x[1]": 1.0, "y": 1 / 3}


@pytest.mark.parametrize(("suffix", "reader"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
@pytest.mark.parametrize("points", [front_data()["points"], []])
def test_the_table_of_a_partial_front_is_marked(tmp_path, suffix, reader, points):
    front(points=points).save(tmp_path / f"part{suffix}")
    front(points=points, complete=True, reason=None).save(tmp_path / f"whole{suffix}")
    part = reader(tmp_path / f"part{suffix}")
    assert "complete" in part
    assert not part["complete"].any()
    assert "complete" not in reader(tmp_path / f"whole{suffix}")


@pytest.mark.parametrize("name", ["front", "front.txt", "front.json.gz", ".json"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"has (the|no) suffix.*; expected one of \.json, \.csv, \.parquet"):
        front().save(tmp_path / name)
    assert listed(tmp_path) == []


def wrong(**changes: object) -> dict:
    data = copy.deepcopy(front_data())
    data["points"][1] |= changes
    return data


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (wrong(values={"latency": 1, "memory": 2}), r"points\[1\]\.values: has latency, memory; expected a value for each of "
                                                    "latency, memory, price"),
        (wrong(values={}), r"points\[1\]\.values: has nothing; "),
        (wrong(values={"latency": 1, "memory": 2, "price": 3, "more": 4}), r"points\[1\]\.values: has "),
        (wrong(x1=3), r"points\[1\]\.x1: got 3, but edge_layers are 2"),
        (wrong(edge_layers=None), r"points\[1\]\.edge_layers: is missing"),
        (wrong(x2=None), r"points\[1\]\.x2: is missing"),
        (front_data() | {"reason": None}, "reason: expected a reason where complete is false, and only there"),
        (front_data() | {"complete": True}, "reason: expected a reason where complete is false, and only there"),
        (front_data() | {"constrained": "energy"}, "constrained: 'energy' is not among the objectives"),
        (front_data() | {"objectives": [*front_data()["objectives"], front_data()["objectives"][1]]},
         r"objectives\[3\]\.name: 'memory' is already the name of objectives\[1\]"),
        (front_data() | {"objectives": [{"name": "latency", "unit": "s", "sense": "less"}]},
         r"objectives\[0\]\.sense: got \"less\", expected 'min' or 'max'"),
    ],
)  # fmt: skip
def test_a_front_that_contradicts_itself_is_refused(data, complaint):
    with pytest.raises(InputError, match=f"^f.json: {complaint}"):
        Front.from_dict(data, "f.json")
