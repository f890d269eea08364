"""`ttft` and `tpot`: two cost sets over the same places, against brute force."""

from __future__ import annotations

import random
from itertools import combinations_with_replacement, pairwise

import pytest

from lmos_opt import Front, InputError, Instance, pareto_front
from lmos_opt.split import Split

NAMES = ["ttft", "tpot", "memory"]


def decoder(seed: int, n_blocks: int, parts: int = 1, n_places: int = 2) -> Instance:
    """A chain of an embedding, blocks of `parts` layers of which the first keeps the state, and a head; random costs."""
    draw = random.Random(seed)
    layers = []
    before = "input"
    names = ["embed", *(f"blocks.{k}.{part}" for k in range(n_blocks) for part in range(parts)), "head"]
    for name in names:
        keeps = name.endswith(".0")
        layers.append({
            "name": name, "inputs": [before], "t_s": [draw.uniform(1e-3, 2e-2) for _ in range(n_places)],
            "t_token_s": [draw.uniform(1e-5, 2e-3) for _ in range(n_places)], "weight_bytes": draw.randrange(10**4, 10**7),
            "output_bytes": 8 if name == "head" else 128 * 64, "token_bytes": 8 if name == "head" else 64,
            "state_bytes": draw.randrange(10**4, 10**6) if keeps else 0, "returned": name == "head",
            "workspace_bytes": draw.randrange(10**6),
        })  # fmt: skip
        before = name
    hops = [{"bandwidth_bytes_per_s": draw.uniform(1e5, 1e8), "back_bytes_per_s": 1e5, "rtt_s": draw.uniform(0, 1e-2)}
            for _ in range(n_places - 1)]  # fmt: skip
    places = [{"name": f"place {p}", "memory_limit_bytes": None} for p in range(n_places)]
    return Instance.from_dict({"schema": "lmos.instance/2", "name": "decoder", "inputs": {"input": 128 * 8}, "places": places,
                               "hops": hops, "tokens": {"prompt": 128, "context": 1024}, "layers": layers})  # fmt: skip


def by_hand(instance: Instance, cuts: tuple[int, ...], h_bytes: str, times: str) -> float:
    """The latency of one pass, added up from the file's own numbers."""
    layers, ends = instance.layers, (0, *cuts, len(instance.layers))
    total = sum(getattr(layer, times)[p] for p in range(len(ends) - 1) for layer in layers[ends[p] : ends[p + 1]])
    for h, cut in enumerate(cuts):
        if cut < len(layers):
            n_input = instance.inputs["input"] // (1 if h_bytes == "output_bytes" else 128)
            sent = n_input if cut == 0 else getattr(layers[cut - 1], h_bytes)
            hop = instance.hops[h]
            assert hop.back_bytes_per_s
            total += sent / hop.bandwidth_bytes_per_s + hop.rtt_s + getattr(layers[-1], h_bytes) / hop.back_bytes_per_s
    return total


def brute_force(instance: Instance, memory_model: str) -> set[tuple[float, ...]]:
    """The non-dominated vectors over all nested prefixes, rounded."""
    found = []
    for cuts in combinations_with_replacement(range(len(instance.layers) + 1), len(instance.hops)):
        split = Split.of(instance, [frozenset(instance.names[:cut]) for cut in cuts], memory_model)  # type: ignore[arg-type]
        here = instance.layers[: cuts[0]]
        held = sum(layer.weight_bytes + layer.state_bytes for layer in here)
        if memory_model == "sum":
            held += sum(layer.output_bytes for layer in here) + (instance.inputs["input"] if here else 0)
        else:
            outputs = [instance.inputs["input"], *(layer.output_bytes for layer in here)]
            works_in = [layer.workspace_bytes for layer in here]
            held += max((a + b + c for (a, b), c in zip(pairwise(outputs), works_in, strict=True)), default=0)
        assert split.memory_bytes == held
        found.append((by_hand(instance, cuts, "output_bytes", "t_s"), by_hand(instance, cuts, "token_bytes", "t_token_s"), -held))
    return {tuple(round(v, 9) for v in a) for a in found
            if not any(b != a and all(x <= y + 1e-15 for x, y in zip(b, a, strict=True)) for b in found)}


def vectors(front: Front) -> set[tuple[float, ...]]:
    """The same of a front."""
    assert front.complete, front.reason
    return {(round(point.values["ttft"], 9), round(point.values["tpot"], 9), round(-point.values["memory"], 9)) for point in front}


class TestTwoWorkloads:
    @pytest.mark.parametrize("memory_model", ["sum", "peak"])
    @pytest.mark.parametrize(("n_blocks", "parts"), [(24, 1), (32, 1), (24, 2)])
    def test_the_front_is_that_of_brute_force(self, n_blocks: int, parts: int, memory_model: str) -> None:
        instance = decoder(n_blocks, n_blocks, parts)
        found = pareto_front(instance, objectives=NAMES, memory_model=memory_model)  # type: ignore[arg-type]
        assert vectors(found) == brute_force(instance, memory_model)
        assert len(found) > 1

    def test_a_search_of_the_integer_program_finds_the_same(self) -> None:
        instance = decoder(5, 8)
        found = pareto_front(instance, objectives=NAMES, algorithm="local_upper_bounds")
        assert vectors(found) == brute_force(instance, "sum")

    def test_it_holds_along_three_places(self) -> None:
        instance = decoder(3, 24, n_places=3)
        assert vectors(pareto_front(instance, objectives=NAMES)) == brute_force(instance, "sum")

    @pytest.mark.parametrize("algorithm", [None, "local_upper_bounds", "layerwise"])
    def test_what_layers_work_in_counts_in_every_algorithm_and_at_later_places(self, algorithm: str | None) -> None:
        """By hand: weights of 100, what is received (40) or made (30), and what the layer works in (7, then 500)."""
        layers = [{"name": name, "inputs": [before], "t_s": [1.0] * 3, "weight_bytes": 100, "output_bytes": 30,
                   "workspace_bytes": works_in} for name, before, works_in in (("a", "input", 7), ("b", "a", 500))]
        hop = {"bandwidth_bytes_per_s": 1e9, "back_bytes_per_s": None, "rtt_s": 0.0}
        three = Instance.from_dict({"schema": "lmos.instance/2", "name": "two", "inputs": {"input": 40}, "layers": layers,
                                    "places": [{"name": f"p{p}", "memory_limit_bytes": None} for p in range(3)],
                                    "hops": [hop, hop]})  # fmt: skip
        assert [Split.of(three, [frozenset("a"), frozenset("ab")], "peak").memory_at(p) for p in (1, 2, 3)] == [177, 660, 0]
        two = three.replace(places=three.places[:2], hops=three.hops[:1],
                            layers=[layer | {"t_s": [1.0] * 2} for layer in layers])  # fmt: skip
        for limit, x1 in ((760, 2), (759, 1), (176, 0)):
            limited = two.replace(memory_limit_bytes=limit)
            found = pareto_front(limited, objectives=["memory"], memory_model="peak", algorithm=algorithm)
            assert found.points[0].x1 == x1
        if algorithm != "layerwise":
            found = pareto_front(three, objectives=["footprint:2"], memory_model="peak", algorithm=algorithm,
                                 constraints=[lambda m, _: [m.at[2, "b"] == 1, m.at[1, "a"] == 1]])  # fmt: skip
            assert found.points[0].values["footprint:2"] == 660

    def test_a_memory_limit_counts_the_state_at_every_place(self) -> None:
        instance = decoder(4, 10)
        names = instance.names
        held = sum(layer.weight_bytes + layer.state_bytes + layer.output_bytes for layer in instance.layers[6:])
        received = instance.layers[5].output_bytes
        for limit, fits in ((held + received, True), (held + received - 1, False)):
            front = pareto_front(instance.with_place(2, memory_limit_bytes=limit), objectives=["ttft", "memory"])
            assert (6 in {point.x1 for point in front}) <= fits
            assert all(point.x1 is not None and point.x1 >= 6 for point in front)
        assert Split.of(instance, [frozenset(names[:6])]).memory_at(2) == held + received


class TestFiles:
    def test_written_files_read_back_equal(self) -> None:
        instance = decoder(1, 3)
        assert Instance.from_dict(instance.to_dict()) == instance
        assert instance.to_dict()["tokens"] == {"prompt": 128, "context": 1024}
        assert "state_bytes" not in instance.to_dict()["layers"][0]

    def test_two_places_with_tokens_are_no_file_of_the_first_schema(self) -> None:
        assert decoder(1, 3).to_dict()["schema"] == "lmos.instance/2"

    def test_a_layer_without_a_tokens_time_is_named(self) -> None:
        data = decoder(1, 3).to_dict()
        del data["layers"][2]["t_token_s"]
        with pytest.raises(InputError, match=r"layers\[2\].t_token_s"):
            Instance.from_dict(data)

    @pytest.mark.parametrize("name", ["ttft", "tpot"])
    def test_an_instance_without_tokens_is_refused_by_name(self, name: str) -> None:
        layer = {"name": "a", "inputs": ["input"], "t_edge_s": 0.5, "t_server_s": 0.1, "weight_bytes": 8, "output_bytes": 4}
        plain = Instance.from_dict({"schema": "lmos.instance/1", "name": "toy", "input_bytes": 8, "bandwidth_bytes_per_s": 1.0,
                                    "rtt_s": 0.0, "memory_limit_bytes": None, "layers": [layer]})  # fmt: skip
        with pytest.raises(InputError, match="says nothing of tokens"):
            pareto_front(plain, objectives=[name, "memory"])
