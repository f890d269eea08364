"""Documents for tests: one small example of each noun, and hypothesis strategies at the magnitudes of real networks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lmos_opt import Device, Front, Instance, NetworkProfile, Plan
from lmos_opt.device import load_device
from lmos_opt.files import Document
from lmos_opt.link import load_link
from lmos_opt.plan import Setting, make_plan
from runner.watching.report import RunReport

DIGEST = "sha256:" + "0123456789abcdef" * 4
SETTING = Setting(edge="rpi4", server="paper-server", bandwidth_bytes_per_s=1.25e6, rtt_s=0.0,
                  memory_limit_bytes=None, memory_model="sum", rule="knee")  # fmt: skip


def listed(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def layer(name: str, *inputs: str, edge: float = 0.5, server: float = 0.125, weights: int = 1000, out: int = 2000,
          **extra: float) -> dict[str, Any]:  # fmt: skip
    """A layer as an instance file has it."""
    return {"name": name, "inputs": list(inputs), "t_edge_s": edge, "t_server_s": server, "weight_bytes": weights,
            "output_bytes": out, **extra}  # fmt: skip


def instance_data(*layers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An instance file's content: 1e6 B/s, an image of 4000 bytes, no rtt, no limit."""
    return {"schema": "lmos.instance/1", "name": "toy", "input_bytes": 4000, "bandwidth_bytes_per_s": 1e6, "rtt_s": 0.0,
            "memory_limit_bytes": None, "layers": list(layers), **changes}  # fmt: skip


def chain_data(**changes: Any) -> dict[str, Any]:
    """A chain of three layers; its four splits are all different."""
    return instance_data(
        layer("a", "input", edge=0.25, server=0.0625, weights=100, out=8000),
        layer("b", "a", edge=0.5, server=0.125, weights=0, out=1000),
        layer("c", "b", edge=1.0, server=0.25, weights=50000, out=40),
        **changes,
    )


def diamond_data(**changes: Any) -> dict[str, Any]:
    """a, then b and c beside each other, d joins them; d reads the image as well."""
    return instance_data(layer("a", "input", out=5000), layer("b", "a", out=300), layer("c", "a", out=70),
                         layer("d", "b", "c", "input", out=10), **changes)  # fmt: skip


def path_data(*layers: dict[str, Any], rates: tuple[float, ...] = (1e6, 1e6), **changes: Any) -> dict[str, Any]:
    """An instance file's content along a path with these rates (B/s): an image of 4000 bytes, no rtt, free ways back, no limits;
    by default two layers for three places."""
    few = placed("a", "input", t=(1.0, 0.25, 0.125), out=1000), placed("b", "a", t=(2.0, 0.5, 0.25))
    names = ("phone", "box", "cloud", "archive")[: len(rates) + 1]
    return {"schema": "lmos.instance/2", "name": "toy", "inputs": {"input": 4000},
            "places": [{"name": name, "memory_limit_bytes": None} for name in names],
            "hops": [{"bandwidth_bytes_per_s": rate, "back_bytes_per_s": None, "rtt_s": 0.0} for rate in rates],
            "layers": list(layers or few), **changes}  # fmt: skip


def placed(name: str, *inputs: str, t: tuple[float, ...], weights: int = 1000, out: int = 2000, **extra: float) -> dict[str, Any]:
    """A layer as an instance file of places has it; `t` are its times (s) at each."""
    return {"name": name, "inputs": list(inputs), "t_s": list(t), "weight_bytes": weights, "output_bytes": out, **extra}


def profile_data() -> dict[str, Any]:
    """A profile file's content: two layers, the first with two outputs."""
    def spec(*shape: int) -> dict[str, Any]:
        return {"shape": list(shape), "dtype": "float32"}

    return {
        "schema": "lmos.profile/1", "name": "tiny", "granularity": "module",
        "network": {"builder": "torchvision:alexnet", "weights": "seeded:0", "digest": DIGEST},
        "input": spec(1, 3, 8, 8),
        "layers": [
            {"name": "split", "kind": "chunk", "inputs": ["input"], "macs": 0, "params": 0, "weight_bytes": 0,
             "output_shape": [1, 2, 8, 8], "output_bytes": 768, "outputs": [spec(1, 2, 8, 8), spec(1, 1, 8, 8)],
             "t_local_s": 1e-6},
            {"name": "fc", "kind": "linear", "inputs": ["split"], "macs": 1_920_000_000, "params": 2000,
             "weight_bytes": 8000, "output_shape": [1, 10], "output_bytes": 40, "outputs": [spec(1, 10)],
             "t_local_s": 0.25, "t_local_low_s": 0.2, "t_local_high_s": 0.25, "peak_local_bytes": 4096,
             "work": [{"kind": "view", "operations": 1, "macs": 0, "bytes": 0},
                      {"kind": "linear", "operations": 1, "macs": 1_920_000_000, "bytes": 8552}]},
        ],
        "unknown_operations": ["fancy"], "timing": {"threads": 2, "cpu": "a CPU", "spread": 0.5},
    }  # fmt: skip


def front_data() -> dict[str, Any]:
    """A front file's content: two points over three objectives."""
    return {
        "schema": "lmos.front/1", "instance": "toy",
        "objectives": [{"name": "latency", "unit": "s", "sense": "min"}, {"name": "memory", "unit": "B", "sense": "max"},
                       {"name": "price", "unit": "EUR", "sense": "min"}],
        "points": [
            {"values": {"latency": 0.5, "memory": 0, "price": -1.5}, "edge_layers": [], "x1": 0, "x2": 3},
            {"values": {"latency": 1.5, "memory": 6_500_000_000, "price": 2}, "edge_layers": ["a", "b"], "x1": 2, "x2": 1},
        ],
        "solves": 5, "seconds": 0.25, "solver": {"name": "highs", "version": "1.16.0"}, "complete": False,
        "reason": "time limit", "constrained": "latency",
    }  # fmt: skip


def plan_example() -> Plan:
    """A plan of the tiny profile with one layer at the edge."""
    profile = NetworkProfile.from_dict(profile_data())
    setting = SETTING.model_copy(update={"memory_limit_bytes": 10**6})
    return make_plan(Instance.from_profile(profile), ["split"], setting=setting, profile=profile, values={"energy": 0.5})


def report_data() -> dict[str, Any]:
    """A report file's content: one image."""
    machine = {"versions": {"torch": "2.9"}, "system": "Linux", "cpu": "a CPU", "cores": 4, "threads": 2, "commit": None}
    spread = {"mean": 0.5, "p50": 0.25, "p95": 1.0}
    plan = plan_example().to_dict()
    return {
        "schema": "lmos.report/1", "plan": plan, "images": 1, "predicted": plan["predicted"],
        "measured": dict.fromkeys(("t_edge_s", "t_tx_s", "t_server_s", "latency_s", "edge_memory_bytes"), spread),
        "per_image": [{"file": "cat.png", "class": 281, "class_name": "tabby", "t_edge_s": 0.125, "t_tx_s": 0.25,
                       "t_server_s": 0.0, "latency_s": 0.375}],
        "lost": 0, "retries": 0, "fallbacks": 0,
        "environment": {"started": "2026-01-01T00:00:00+00:00", "edge": machine, "server": None, "server_address": None,
                        "shape": None, "weights": "seeded:0", "seed": 0, "images": "one picture"},
    }  # fmt: skip


def examples() -> dict[str, Document]:
    """One document of each kind with every optional part filled where it can be."""
    power = {"compute_w": 4.5, "transmit_w": 1.5, "idle_w": 1.0}
    device = load_device("rpi4")
    assert isinstance(device, Device)
    return {
        "instance": Instance.from_dict(chain_data(power=power, memory_limit_bytes=10**10)),
        "profile": NetworkProfile.from_dict(profile_data()),
        "front": Front.from_dict(front_data()),
        "plan": plan_example(),
        "device": device,
        "link": load_link("lte"),
        "report": RunReport.from_dict(report_data()),
    }


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
sizes = st.integers(0, 10**10)
seconds = st.just(0.0) | st.floats(1e-6, 1e4) | st.integers(0, 100)
rates = st.floats(1e3, 1e11)
reals = st.floats(-1e15, 1e15) | st.integers(-10**12, 10**12)


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    """Any graph of up to eight layers, with a power and an extra number in some."""
    found = draw(st.lists(names.filter(lambda name: name != "input"), min_size=1, max_size=8, unique=True))
    layers = [
        layer(name, *draw(st.lists(st.sampled_from(["input", *found[:k]]), max_size=3)), edge=draw(seconds),
              server=draw(seconds), weights=draw(sizes), out=draw(sizes),
              **draw(st.dictionaries(st.sampled_from(["price", "carbon"]), st.floats(-1e6, 1e6))))
        for k, name in enumerate(found)
    ]  # fmt: skip
    optional = {"power": {"compute_w": draw(seconds), "transmit_w": draw(seconds), "idle_w": draw(seconds)}}
    return Instance.from_dict(instance_data(
        *layers, name=draw(names), input_bytes=draw(sizes), bandwidth_bytes_per_s=draw(rates), rtt_s=draw(seconds),
        memory_limit_bytes=draw(st.none() | sizes), **(optional if draw(st.booleans()) else {})))  # fmt: skip


@st.composite
def fronts(draw: st.DrawFn) -> Front:
    """Any points over up to three objectives, as splits or as other models' solutions."""
    objectives = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    points = []
    for _ in range(draw(st.integers(0, 4))):
        point: dict[str, Any] = {"values": {name: draw(reals) for name in objectives}}
        if draw(st.booleans()):
            edge = draw(st.lists(names, max_size=3, unique=True))
            point |= {"edge_layers": edge, "x1": len(edge), "x2": draw(st.integers(0, 100))}
        else:
            point["solution"] = draw(st.dictionaries(names, st.floats(-1e15, 1e15), max_size=3))
        points.append(point)
    complete = draw(st.booleans())
    data = front_data() | {
        "objectives": [{"name": name, "unit": draw(names), "sense": draw(st.sampled_from(["min", "max"]))}
                       for name in objectives],
        "points": points, "solves": draw(sizes), "seconds": draw(seconds), "complete": complete,
        "reason": None if complete else draw(names), "constrained": draw(st.none() | st.sampled_from(objectives)),
    }  # fmt: skip
    return Front.from_dict(data)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan of any down-closed prefix of any instance."""
    instance = draw(instances())
    edge = instance.names[: draw(st.integers(0, len(instance.names)))]
    memory_model = draw(st.sampled_from(["sum", "peak"]))
    return make_plan(instance, edge, setting=SETTING.model_copy(update={"memory_model": memory_model}),
                     values=draw(st.dictionaries(names, reals, max_size=2)))  # fmt: skip


@st.composite
def measured_times(draw: st.DrawFn) -> dict[str, Any]:
    """What is measured of a layer: nothing, its time alone, or with an interval and its memory."""
    low, middle, high = sorted(draw(st.tuples(seconds, seconds, seconds)))
    alone = {"t_local_s": draw(st.none() | st.just(middle))}
    if alone["t_local_s"] is None or draw(st.booleans()):
        return alone
    return alone | {"t_local_low_s": low, "t_local_high_s": high, "peak_local_bytes": draw(st.none() | sizes)}


@st.composite
def profiles(draw: st.DrawFn) -> NetworkProfile:
    """A profile of up to five layers with one or two outputs each."""
    found = draw(st.lists(names.filter(lambda name: name != "input"), min_size=1, max_size=5, unique=True))
    specs = st.fixed_dictionaries({"shape": st.lists(st.integers(0, 300), max_size=4),
                                   "dtype": st.sampled_from(["float32", "uint8", "int64"])})
    element = {"float32": 4, "uint8": 1, "int64": 8}
    layers = []
    for k, name in enumerate(found):
        outputs = draw(st.lists(specs, min_size=1, max_size=2))
        total = 0
        for spec in outputs:
            n_bytes = element[spec["dtype"]]
            for extent in spec["shape"]:
                n_bytes *= extent
            total += n_bytes
        work = draw(st.none() | st.lists(st.fixed_dictionaries({"kind": names, "operations": sizes, "bytes": sizes,
                                                                "macs": st.integers(0, 2**40)}), max_size=3))  # fmt: skip
        layers.append({"name": name, "kind": draw(names), "inputs": draw(st.lists(st.sampled_from(["input", *found[:k]]))),
                       "macs": draw(sizes) if work is None else sum(one["macs"] for one in work), "work": work,
                       "params": draw(sizes), "weight_bytes": draw(sizes),
                       "output_shape": outputs[0]["shape"], "output_bytes": total, "outputs": outputs,
                       **draw(measured_times())})  # fmt: skip
    data = copy.deepcopy(profile_data()) | {
        "name": draw(names), "granularity": draw(st.sampled_from(["module", "paper"])), "input": draw(specs),
        "layers": layers, "unknown_operations": draw(st.lists(names, max_size=2)),
        "timing": draw(st.none() | st.dictionaries(names, names | reals, max_size=2)),
    }  # fmt: skip
    if draw(st.booleans()):
        data["network"] = None
    return NetworkProfile.from_dict(data)
