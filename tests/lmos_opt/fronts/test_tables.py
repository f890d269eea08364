"""Tables of fronts read back equal, whatever is in them; what is no such table is refused by name."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyomo.environ as pyo
import pytest

from lmos_opt import Front, InputError, Instance, Objective, pareto_front, trace_front
from tests.lmos_opt.documents import chain_data, front_data, instance_data, layer, path_data, placed

COLUMNS = ("x1", "edge_layers", "places", "solution", "codecs", "complete", "front", "front_")


def named(*names: str) -> Front:
    """A front over layers of these names."""
    data = front_data() | {"complete": True, "reason": None}
    points = copy.deepcopy(data["points"])
    points[1] |= {"edge_layers": list(names), "x1": len(names), "x2": 0}
    points[1]["values"]["latency"] = 1 / 3
    points[0] |= {"x2": len(names)}
    return Front.from_dict(data | {"points": sorted(points, key=lambda point: point["values"]["latency"])})


def knapsack() -> Front:
    m = pyo.ConcreteModel("knapsack")
    m.x, m.y = pyo.Var(range(3), domain=pyo.Binary), pyo.Var(["a b"], bounds=(0, 2.5))
    m.fit = pyo.Constraint(expr=m.y["a b"] == 0.1 * m.x[0] + 2.25 * m.x[1])
    m.value = pyo.Objective(expr=3 * m.x[0] + 4 * m.x[1] + m.y["a b"], sense=pyo.maximize)
    m.cost = pyo.Objective(expr=1.5 * m.x[0] + 1.25 * m.x[1] - m.x[2])
    return trace_front(m, [m.value, m.cost])


def own() -> Front:
    def half(m, inst):
        return {"half": pyo.Var(m.layers, domain=pyo.Binary)}

    spare = Objective("spare (x=1)", "", "max", lambda m, inst: sum(m.half[v] for v in m.layers) - 0.1 * m.offload)
    return pareto_front(Instance.from_dict(chain_data()), ["latency", spare], variables=[half])


def columns() -> Front:
    """A front whose objectives have the names of a table's own columns."""
    data = front_data()
    return Front.from_dict(data | {
        "constrained": None,
        "objectives": [{"name": name, "unit": "", "sense": "min"} for name in COLUMNS],
        "points": [point | {"values": {name: k + i for i, name in enumerate(COLUMNS)}} for k, point in enumerate(data["points"])],
    })  # fmt: skip


def beside(key: str, *found: dict[str, object] | None) -> Front:
    """A front with a point for each of these; None: a point without the key."""
    data = front_data()
    return Front.from_dict(data | {"points": [data["points"][0] | ({} if one is None else {key: one}) for one in found]})


FRONTS = {
    "partial": lambda: Front.from_dict(front_data()),
    "no point": lambda: Front.from_dict(front_data() | {"points": []}),
    "no point, whole": lambda: Front.from_dict(front_data() | {"points": [], "complete": True, "reason": None}),
    "names": lambda: named("features.0", "a b", "it's", 'say "so"', "x|y", "back\\slash", "ü", "k=v", "|", "=", "'"),
    "columns": columns,
    "no codec": lambda: beside("codecs", {}),
    "some codecs": lambda: beside("codecs", {}, {"a=b": "c=d", "|": "e f"}, None),
    "no variable": lambda: beside("solution", {}),
    "some variables": lambda: beside("solution", {}, {"a=b": 1.5, "": 2}, None),
    "large numbers": lambda: beside("solution", {"v": 2**63, "w": 10**300}, {"v": 0.5}),
    "nothing at the edge": lambda: pareto_front(Instance.from_dict(instance_data(layer("a", "input", edge=9.0))), ["latency"]),
    "traced": lambda: pareto_front(Instance.from_dict(chain_data()), ["latency", "memory"]),
    "one point with a remark": lambda: pareto_front(Instance.from_dict(instance_data(layer("a", "input", edge=0.1)))),
    "own variables": own,
    "a model": knapsack,
    "three places": lambda: pareto_front(Instance.from_dict(path_data(
        placed("a a", "input", t=(0.3, 0.1, 0.01)), placed("|", "a a", t=(0.4, 0.2, 0.01), out=40)))),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet"])
@pytest.mark.parametrize("name", FRONTS)
def test_every_format_reads_back_equal(name, suffix, tmp_path):
    front = FRONTS[name]()
    front.save(tmp_path / f"front{suffix}")
    read = Front.load(tmp_path / f"front{suffix}")
    assert read == front
    assert read.to_json() == front.to_json()
    assert [point.counts for point in read] == [point.counts for point in front]


@pytest.mark.parametrize("name", ["traced", "own variables", "a model"])
def test_the_tables_are_read_by_pandas_as_before(name, tmp_path):
    front = FRONTS[name]()
    front.save(tmp_path / "front.csv")
    front.save(tmp_path / "front.parquet")
    for read in (pd.read_csv(tmp_path / "front.csv"), pd.read_parquet(tmp_path / "front.parquet")):
        assert len(read) == len(front)
        assert [*read.columns][: len(front.names)] == [*front.names]
        for objective in front.names:
            assert [*read[objective]] == pytest.approx([point.values[objective] for point in front], rel=1e-15)
    assert [*pd.read_parquet(tmp_path / "front.parquet").columns] == [*front.to_frame().columns]
    assert [*pd.read_csv(tmp_path / "front.csv").columns] == [*front.to_frame().columns, "front"]


def test_what_is_no_front_is_refused(tmp_path):
    path = tmp_path / "front.csv"
    path.write_text("latency,memory\n1,2\n")
    with pytest.raises(InputError, match=r"front\.csv: holds no front as a whole \(column or metadata 'front'\)"):
        Front.load(path)
    FRONTS["traced"]().save(path)
    text = path.read_text()
    path.write_text(text.replace("\n0.4415,", "\nfast,"))
    with pytest.raises(InputError, match=r"front\.csv, line 2: latency: got 'fast', expected a number"):
        Front.load(path)
    path.write_text(text.replace("\n0.633,", "\nnan,"))
    with pytest.raises(InputError, match=r"front\.csv: points\[1\]\.values\.latency: got nan, expected a finite number"):
        Front.load(path)
    path.write_text(text.replace("latency,memory", "latency,latency", 1))
    with pytest.raises(InputError, match=r"front\.csv: has the column 'latency' twice"):
        Front.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"front\.csv: is not UTF-8"):
        Front.load(path)
    with pytest.raises(InputError, match=r"nothing\.csv: no such file"):
        Front.load(tmp_path / "nothing.csv")
    path.write_text("")
    with pytest.raises(InputError, match="holds no front as a whole"):
        Front.load(path)
    other = tmp_path / "front.parquet"
    pd.DataFrame({"latency": [1.0]}).to_parquet(other)
    with pytest.raises(InputError, match=r"front\.parquet: holds no front as a whole"):
        Front.load(other)
    other.write_text("latency")
    with pytest.raises(InputError, match=r"front\.parquet: is not a Parquet file"):
        Front.load(other)
    for column, name, said in (([1], '"latency"', "row 1 is no point of a front"), ([["a"]], "[]", "schema: is missing")):
        about = {"front": f'{{"objectives": [{{"name": {name}}}]}}'}
        pq.write_table(pa.table({"edge_layers": column, "x1": [1]}).replace_schema_metadata(about), other)
        with pytest.raises(InputError, match=rf"front\.parquet: {said}"):
            Front.load(other)
    about = {"front": "{}"}
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000_000, dtype=np.int8)), pa.array([1.5]))
    for column, said in ((many, "holds no front: takes more than 268435456 bytes of memory"),
                         (pa.array([2**53], pa.timestamp("ms")), "holds no front: date value out of range")):
        pq.write_table(pa.table({"x1": column, "x2": column}).replace_schema_metadata(about), other)
        assert other.stat().st_size < 2**20
        with pytest.raises(InputError, match=rf"front\.parquet: {said}"):
            Front.load(other)
    with pytest.raises(InputError, match=r"nothing\.parquet: no such file"):
        Front.load(tmp_path / "nothing.parquet")
