"""Codecs that the program chooses, beside all cuts times all choices, added up here from the definition."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from math import fsum

import pytest

from lmos.bench.random_instances import random_instance, with_codecs, with_limit, with_places, with_results
from lmos_opt import Front, InfeasibleError, InputError, Instance, make_plan, pareto_front
from lmos_opt.codec_sizes import Choice
from lmos_opt.objectives import get
from lmos_opt.plan import Setting
from lmos_opt.policies.policy_maps import bandwidth_policy
from lmos_opt.split import Split, down_closed_sets, nested
from tests.lmos_opt.documents import chain_data

ASKED = (("latency", "fidelity_loss"), ("latency", "memory"), ("throughput", "fidelity_loss"), ("tx_bytes", "latency"),
         ("latency", "memory", "fidelity_loss"))  # fmt: skip


def toy(**changes: object) -> Instance:
    """A chain whose input and first layer may be sent in two ways each."""
    chain = Instance.from_dict(chain_data(bandwidth_bytes_per_s=2e5))
    codecs = {name: [{"name": "raw", "bytes": chain.tensor_bytes(name)},
                     {"name": "int8", "bytes": chain.tensor_bytes(name) // 4, "encode_s": 0.001, "decode_s": 0.002, "loss": 0.01}]
              for name in chain.tensors[:2]}  # fmt: skip
    return chain.replace(**{"codecs": codecs, **changes})


def stages(instance: Instance, upto: tuple[frozenset[str], ...], codecs: Mapping[str, Choice]) -> tuple[dict[str, float], set[str]]:
    """What a split takes, from the definition alone; and what crosses."""
    n_places = len(instance.places)
    place = {v: 1 + sum(v not in before for before in upto) for v in instance.names} | dict.fromkeys(instance.inputs, 1)
    at: list[list[float]] = [[] for _ in range(n_places + 1)]
    over: list[list[float]] = [[] for _ in range(n_places)]
    n_bytes, lost, crossing = 0, [], set()
    for layer in instance.layers:
        at[place[layer.name]].append(layer.t_s[place[layer.name] - 1])
    for u in instance.tensors:
        readers = {place[v] for v in instance.consumers[u] if place[v] > place[u]}
        if not readers:
            continue
        crossing.add(u)
        choice = codecs.get(u)
        size = instance.tensor_bytes(u) if choice is None else choice.bytes
        for h in range(place[u], max(readers)):
            over[h].append(size / instance.hops[h - 1].bandwidth_bytes_per_s)
            n_bytes += size
        if choice is not None:
            lost.append(choice.loss)
            at[place[u]].append(choice.encode_s)
            for p in readers:
                at[p].append(choice.decode_s)
    for h, hop in enumerate(instance.hops, 1):
        over[h] += [hop.rtt_s] if len(upto[h - 1]) < len(instance.layers) else []
        returned = sum(layer.output_bytes for layer in instance.layers if layer.returned and layer.name not in upto[h - 1])
        over[h] += [] if hop.back_bytes_per_s is None else [returned / hop.back_bytes_per_s]
    times = [*map(fsum, at[1:]), *map(fsum, over[1:])]
    return {"latency": fsum(times), "throughput": max(times), "tx_bytes": n_bytes, "fidelity_loss": fsum(lost)}, crossing


def everything(instance: Instance, names: tuple[str, ...]) -> set[tuple[float, ...]]:
    """The costs of all cuts with all choices."""
    found = set()
    for split in nested(instance, list(down_closed_sets(instance)), "sum"):
        if split.exceeds is not None:
            continue
        free = [u for u in instance.codecs if u in stages(instance, split.upto, {})[1]]
        for choices in itertools.product(*(instance.codecs[u] for u in free)):
            values, _ = stages(instance, split.upto, dict(zip(free, choices, strict=True)))
            found.add(tuple(values.get(name, -split.memory_bytes) for name in names))
    return found


def drawn(seed: int) -> Instance:
    rng = random.Random(f"codecs {seed}")
    n_places = rng.choice((2, 2, 3))
    instance = random_instance(seed, 7 if n_places == 2 else 4, style=rng.choice(("realistic", "ties", "zeros")))
    if rng.random() < 0.4:
        instance = with_results(instance, seed)
    if rng.random() < 0.3:
        instance = with_limit(instance, seed)
    return with_codecs(instance if n_places == 2 else with_places(instance, seed, n_places), seed)


@pytest.mark.parametrize("seed", range(30))
def test_fronts_are_those_of_all_cuts_with_all_choices(seed: int) -> None:
    instance, names = drawn(seed), ASKED[seed % len(ASKED)]
    known = everything(instance, names)
    if not known:
        with pytest.raises(InfeasibleError):
            pareto_front(instance, names)
        return
    ties = [0 if all(isinstance(values[k], int) for values in known) else 1e-10 * max(abs(values[k]) for values in known)
            for k in range(len(names))]

    def covers(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return all(x <= y + tie for x, y, tie in zip(a, b, ties, strict=True))

    front = pareto_front(instance, names)
    found = front.costs()
    assert front.complete
    assert all(any(covers(f, t) for f in found) for t in known)
    assert all(any(covers(f, t) and covers(t, f) for t in known) for f in found)
    assert not any(covers(f, g) for f, g in itertools.permutations(found, 2))
    for point in front:
        split = Split.at(instance, point.named_places, codecs=point.codecs)
        codecs = {u: next(c for c in instance.codecs[u] if c.name == name) for u, name in (point.codecs or {}).items()}
        values, crossing = stages(instance, split.upto, codecs)
        assert set(codecs) == crossing & set(instance.codecs)
        assert all(point.values[name] == pytest.approx(values[name], rel=1e-12) for name in names if name in values)


def test_points_have_their_codecs_in_every_format(tmp_path) -> None:
    front = pareto_front(toy(), ["latency", "fidelity_loss"])
    assert {codec for point in front for codec in (point.codecs or {}).values()} == {"raw", "int8"}
    for suffix in ("json", "csv", "parquet"):
        front.save(tmp_path / f"front.{suffix}")
        assert [point.codecs for point in Front.load(tmp_path / f"front.{suffix}")] == [point.codecs for point in front]
    assert front.to_frame()["codecs"].tolist() == [point.codecs for point in front]
    plain = pareto_front(Instance.from_dict(chain_data()))
    assert plain[0].codecs is None
    assert "codecs" not in plain.to_dict()["points"][0]


def test_an_instance_with_choices_is_a_file_and_comes_back_equal() -> None:
    instance = toy()
    assert instance.to_dict()["schema"] == "lmos.instance/2"
    assert Instance.from_dict(instance.to_dict()) == instance
    name = instance.tensors[0]
    assert instance.to_dict()["codecs"][name][1] == {"name": "int8", "bytes": instance.tensor_bytes(name) // 4, "encode_s": 0.001,
                                                     "decode_s": 0.002, "loss": 0.01}  # fmt: skip


def test_a_limit_on_what_is_lost_is_kept_and_a_looser_one_is_faster() -> None:
    instance = toy()
    latencies, lost = [], get("fidelity_loss").value
    for limit in (0.0, 0.01, 1.0):
        front = pareto_front(instance, ["latency"], limits={"fidelity_loss": limit})
        assert lost(Split.at(instance, front[0].named_places, codecs=front[0].codecs)) <= limit
        latencies.append(front[0].values["latency"])
    assert latencies == sorted(latencies, reverse=True)
    with pytest.raises(InfeasibleError, match="constraint latency at most 1e-06 s"):
        pareto_front(instance, ["latency"], limits={"latency": 1e-6})


def test_a_plan_sends_as_the_point_says() -> None:
    instance = toy()
    front = pareto_front(instance, ["latency", "memory"])
    point = next(point for point in front if point.codecs and "int8" in point.codecs.values())
    setting = Setting.of(instance, edge="a", server="b", rule="min_latency", memory_model="sum")
    plan = make_plan(instance, point.edge_layers, setting=setting, codecs=point.codecs)
    assert plan.codecs == point.codecs
    assert plan.predicted["latency_s"] == point.values["latency"]
    assert [tensor.wire_bytes for tensor in plan.crossing] == [instance.tensor_bytes(name) // 4 for name in point.codecs]


@pytest.mark.parametrize(("codecs", "message"), [
    ({"nobody": [{"name": "raw", "bytes": 1}]}, "codecs.nobody"),
    ({"input": []}, "codecs.input"),
    ({"input": [{"name": "raw", "bytes": 1}, {"name": "raw", "bytes": 2}]}, r"codecs.input\[1\].name: 'raw' is the name of an"),
    ({"input": [{"name": "raw", "bytes": -1}]}, r"codecs.input\[0\].bytes"),
    ({"input": [{"name": "raw", "bytes": 1, "at_places": [{}]}]}, r"at_places: has 1 item; expected 2, one for each place"),
])  # fmt: skip
def test_choices_that_are_none_are_named(codecs: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        toy(codecs=codecs)


def test_what_looks_at_places_alone_says_that_codecs_are_open() -> None:
    with pytest.raises(InputError, match=r"enumeration looks at where layers run, and codecs of .* are chosen beside that"):
        pareto_front(toy(), algorithm="enumeration")
    with pytest.raises(InputError, match="has codecs to choose among, and a policy's are fixed"):
        bandwidth_policy(toy(), "min_latency", 1e5, 1e7)
    with pytest.raises(InputError, match="input cannot be sent as 'zip'; its codecs are raw, int8"):
        toy().coded({"input": "zip"})
    with pytest.raises(InputError, match="has no codecs to choose among; expected some, with their losses"):
        pareto_front(Instance.from_dict(chain_data()), ["latency", "fidelity_loss"])


def test_choices_and_scenarios_go_together() -> None:
    """Of a worst case over two links, all cuts with all choices."""
    instance = toy(scenarios=[{"bandwidth": [1.0]}, {"bandwidth": [0.1], "time": [1.0, 4.0]}])
    front = pareto_front(instance, ["latency@worst", "fidelity_loss"])
    first, second = instance.in_scenarios
    known = set()
    for split in nested(instance, list(down_closed_sets(instance)), "sum"):
        free = [u for u in instance.codecs if u in split.codecs]
        for k in itertools.product(*(range(len(instance.codecs[u])) for u in free)):
            totals = []
            for one in (first, second):
                chosen = {u: one.codecs[u][i] for u, i in zip(free, k, strict=True)}
                ends = [c.at(1).encode_s - c.encode_s + c.at(2).decode_s - c.decode_s for c in chosen.values()]
                values = stages(one, split.upto, chosen)[0]
                totals.append(values["latency"] + sum(ends))
            known.add((max(totals), values["fidelity_loss"]))
    best = [c for c in known if not any(d != c and d[0] <= c[0] and d[1] <= c[1] for d in known)]
    assert sorted(front.costs()) == [pytest.approx(c) for c in sorted(best)]
