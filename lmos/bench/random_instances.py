"""Random split instances at the magnitudes that networks have: seeded, small enough to enumerate."""

from __future__ import annotations

import random
from typing import Any

from lmos_opt.formulation.memory import memory_sum
from lmos_opt.instance import Instance

SHAPES = ("chain", "dag", "wide")
STYLES = ("realistic", "ties", "zeros", "extreme", "near_ties", "literal")


def random_instance(seed: int, most_layers: int = 14, shape: str | None = None, style: str | None = None) -> Instance:
    """An instance of up to `most_layers` layers.

    Styles: times of milliseconds and bytes of megabytes; few distinct values; many zero costs; bytes together with gigabytes,
    and microseconds together with seconds; latencies 1e-6 apart; work and memory from one vector, as the paper writes it.
    """
    rng = random.Random(seed)
    shape = shape or rng.choice(SHAPES)
    style = style or rng.choice(STYLES)
    n = rng.randint(1, most_layers)
    layers = []
    for k in range(n):
        t_edge, t_server, weight, output = _numbers(rng, style)
        layers.append({"name": f"layer{k}", "inputs": _inputs(rng, shape, k), "t_edge_s": t_edge, "t_server_s": t_server,
                       "weight_bytes": weight, "output_bytes": output})
    return Instance.from_dict({
        "schema": "lmos.instance/1", "name": f"random-{seed}-{shape}-{style}-{n}",
        "input_bytes": rng.choice([0, 3, 602112, 10**9]) if style in ("zeros", "extreme") else 602112,
        "bandwidth_bytes_per_s": rng.choice([62500.0, 1.25e6, 2.5e7, 1e9 / 3]),
        "rtt_s": rng.choice([0.0, 0.0, 0.02]),
        "memory_limit_bytes": None,
        "layers": layers,
    })  # fmt: skip


def with_limit(instance: Instance, seed: int) -> Instance:
    """The instance with a memory limit that cuts somewhere (often exactly at a reachable value)."""
    rng = random.Random(seed)
    some = frozenset(instance.names[: rng.randint(0, len(instance.layers))])
    if any(u not in some for u, v in instance.arcs if v in some and u not in instance.inputs):
        some = frozenset()
    return instance.replace(memory_limit_bytes=max(0, memory_sum(instance, some) - rng.choice([0, 0, 1])))


def with_results(instance: Instance, seed: int) -> Instance:
    """The instance with some layers' outputs in the network's result, and often a rate of the way back."""
    rng = random.Random(f"results {seed}")
    share = rng.choice([0.2, 0.5, 0.9])
    layers = [{**layer.model_dump(), "returned": rng.random() < share or not instance.consumers[layer.name]}
              for layer in instance.layers]
    back = rng.choice([None, 62500.0, 1.25e6, 2.5e7, 1e9 / 3, instance.bandwidth_bytes_per_s])
    return instance.replace(layers=layers, back_bytes_per_s=back)


def with_inputs(instance: Instance, seed: int, most: int = 3) -> Instance:
    """The instance with one to `most` inputs, each of which any layer may read that read the only one."""
    rng = random.Random(f"inputs {seed}")
    sizes = {f"input.{letter}": rng.choice([0, 7, 4096, instance.input_bytes]) for letter in "abcdef"[: rng.randint(1, most)]}

    def read(sources: tuple[str, ...]) -> list[str]:
        chosen = rng.sample([*sizes], rng.randint(1, len(sizes)))
        return [name for u in sources for name in (chosen if u in instance.inputs else [u])]

    layers = [{**layer.model_dump(), "inputs": read(layer.inputs)} for layer in instance.layers]
    return instance.replace(inputs=sizes, layers=layers)


def with_places(instance: Instance, seed: int, k: int) -> Instance:
    """The instance along a path of k places: further times, hops and ways back, and often limits, groups and a port."""
    rng = random.Random(f"places {seed}")
    found = instance.to_dict() | {"schema": "lmos.instance/2"}
    limit = rng.choice([None, None, sum(layer.weight_bytes + layer.output_bytes for layer in instance.layers) // 2])
    hop = instance.hops[0].model_dump()

    def rate() -> float:
        return rng.choice([62500.0, 1.25e6, 2.5e7, 1e9 / 3])

    hops = [hop, *({"bandwidth_bytes_per_s": rate(), "rtt_s": rng.choice([0.0, 0.02]),
                    "back_bytes_per_s": rng.choice([None, rate()])} for _ in range(k - 2))]  # fmt: skip
    places: list[dict[str, Any]] = [{"name": f"place{p}", "memory_limit_bytes": instance.memory_limit_bytes if p == 1 else
               rng.choice([None, limit])} for p in range(1, k + 1)]  # fmt: skip
    if instance.power is not None:
        places[0]["power"] = instance.power.model_dump()
    layers = [{**layer.model_dump(), "t_s": [layer.t_s[0], *(rng.choice([1.0, 0.5, 0.0, 2.0, rng.random()]) * rng.choice(layer.t_s)
                                                             for _ in range(k - 2)), layer.t_s[-1]]}
              for layer in instance.layers]  # fmt: skip
    groups = [rng.sample(instance.names, min(2, len(layers)))] if rng.random() < 0.3 else []
    return Instance.from_dict({"schema": "lmos.instance/2", "name": found["name"], "inputs": instance.inputs, "places": places,
                               "hops": hops, "together": groups, "port_bytes_per_s": rng.choice([None, rate()]),
                               "layers": layers})  # fmt: skip


def with_scenarios(instance: Instance, seed: int) -> Instance:
    """The instance with 4 to 40 scenarios: of one bandwidth alone, of all bandwidths and times, or each worse than the one before.
    Weights are equal, decimal, or any."""
    rng = random.Random(f"scenarios {seed}")
    n_places, n = len(instance.places), rng.choice([4, 7, 20, 40])
    kind = rng.choice(["bandwidth", "all", "ordered"])
    weight = rng.choice([lambda: 1.0, lambda: rng.choice([0.05, 0.1, 0.3]), rng.random])

    def factors(k: int, count: int) -> list[float]:
        if kind == "ordered":
            return [1 + k / 8] * count
        return [rng.choice([0.25, 0.5, 1.0, 1.0, 2.0, rng.uniform(0.1, 4)]) for _ in range(count)]

    found = []
    for k in range(n):
        slower = [1.0] * (n_places - 1)
        slower[rng.randrange(n_places - 1) if kind != "bandwidth" else 0] = 1 / factors(k, 1)[0]
        bandwidth = slower if kind == "bandwidth" else [1 / factor for factor in factors(k, n_places - 1)]
        found.append({"weight": weight() or 1.0, "bandwidth": bandwidth,
                      "time": [1.0] * n_places if kind == "bandwidth" else factors(k, n_places)})  # fmt: skip
    return instance.replace(scenarios=found)


def with_codecs(instance: Instance, seed: int) -> Instance:
    """The instance with up to three codecs to choose among for most tensors."""
    rng = random.Random(f"codecs {seed}")
    found: dict[str, Any] = {}
    for name in instance.tensors:
        n_bytes = instance.tensor_bytes(name)
        lossy = [{"name": codec, "bytes": n_bytes // ratio, "encode_s": rng.choice([0.0, 0.01, 0.002]),
                  "decode_s": rng.choice([0.0, 0.01, 0.001]), "loss": rng.choice([0.0, 0.01, 0.02, 0.05])}
                 for codec, ratio in (("int8", 4), ("int4", 8))]  # fmt: skip
        if rng.random() < 0.7:
            found[name] = rng.sample([{"name": "raw", "bytes": n_bytes}, *lossy], rng.choice([1, 2, 3, 3]))
    return instance.replace(codecs=found or {instance.tensors[0]: [{"name": "raw", "bytes": 1}]})


def _inputs(rng: random.Random, shape: str, k: int) -> list[str]:
    if shape == "chain":
        return [f"layer{k - 1}" if k else "input"]
    earlier = ["input", *(f"layer{i}" for i in range(k))]
    if shape == "wide":
        return [rng.choice(earlier[: max(1, k // 2)])]
    return sorted(set(rng.sample(earlier[-4:], min(len(earlier[-4:]), rng.randint(1, 2)))))


def _numbers(rng: random.Random, style: str) -> tuple[float, float, int, int]:
    if style == "ties":
        return rng.choice([0.1, 0.2]), rng.choice([0.0, 0.1]), rng.choice([0, 1000]), rng.choice([125000, 250000])
    if style == "zeros":
        def zero(x: float) -> float:
            return x if rng.random() < 0.4 else 0.0
        return zero(rng.uniform(0, 0.2)), zero(rng.uniform(0, 0.02)), int(zero(10**6)), int(zero(10**5))
    if style == "extreme":
        return (10 ** rng.uniform(-7, 1), 10 ** rng.uniform(-8, 0), int(10 ** rng.uniform(0, 10)) * rng.randint(0, 1),
                int(10 ** rng.uniform(0, 9.5)))
    if style == "near_ties":
        return (0.5 + 1e-6 * rng.randint(-3, 3), 0.1 + 1e-6 * rng.randint(-3, 3), 10**7 + rng.randint(-2, 2),
                250000 + rng.randint(-1, 1))
    if style == "literal":
        work = rng.randint(1, 10**9)
        return work / 6e9, work / 1.2e10, work, work // 7
    return rng.uniform(1e-5, 0.3), rng.uniform(1e-6, 0.05), rng.randint(0, 5 * 10**8), rng.randint(10**3, 4 * 10**6)
