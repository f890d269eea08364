"""The benchmark of tokens: what is made of numbers, how layers are shared out by memory, and a text that is drawn."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lmos.cli import main

pytest.importorskip("transformers")
import torch

from lmos.bench.tokens.decoders import differing, drawn, prompt_of
from lmos.bench.tokens.promises import PlaceMemory, Promised, in_proportion
from lmos.bench.tokens.texts import Abandoned
from lmos.commands.bench_tokens import _Found
from lmos_opt import Instance
from measurement.decoders import State
from measurement.decoders.state import GREEDY, Pick
from measurement.networks import build_network
from measurement.tracing import trace
from runner.parts.split import split_traced


def test_what_is_not_kept_is_said() -> None:
    times = [Promised("tpot", 32, "1Gbps", 3, predicted_s, 1.0) for predicted_s in (1.05, 0.95, 2.0)]
    good = _Found([], [], Abandoned(300, {250: 100, 500: 200, 1000: 205}), times, [PlaceMemory(1, 32, 3, 95, 100)], [])
    assert good.missed() == []
    bad = _Found([], [], Abandoned(300, {500: 200, 1000: 300}), times[1:], [PlaceMemory(1, 32, 3, 80, 100)], [])
    assert bad.missed() == ["a server's memory grew by 50 % with texts that were abandoned", "times are 52.5 % off in the median",
                            "memory is more than a tenth off"]  # fmt: skip


def test_layers_are_shared_out_as_memories_are() -> None:
    layers = [{"name": f"l{k}", "inputs": [f"l{k - 1}"] if k else ["input"], "t_s": [1.0] * 3, "weight_bytes": n, "output_bytes": 1}
              for k, n in enumerate((40, 10, 10, 10, 10, 20))]  # fmt: skip
    hops = [{"bandwidth_bytes_per_s": 1e6, "rtt_s": 0.0, "back_bytes_per_s": None}] * 2
    places = [{"name": name, "memory_limit_bytes": limit} for name, limit in (("a", 100), ("b", 60), ("c", 40))]
    instance = Instance.from_dict({"schema": "lmos.instance/2", "name": "chain", "inputs": {"input": 1}, "hops": hops,
                                   "places": places, "layers": layers})  # fmt: skip
    assert in_proportion(instance) == (2, 3, 1)


@pytest.mark.parametrize("number", range(8))
def test_a_drawn_configuration_writes_what_transformers_generates(number: int, tmp_path: Path) -> None:
    """Two of each kind, one with tokens that are drawn; in two parts, each with a state of its own."""
    rng, pick = random.Random(number), Pick(0.8, 5) if number % 8 > 3 else GREEDY
    one, ids = drawn(number, tmp_path), prompt_of(rng.randint(1, 300))
    chain = build_network(one.builder, "seeded:0", allow_code=True)
    traced = trace(chain, torch.tensor([ids]))
    names = [layer.name for layer in traced.layers]
    head, tail = split_traced(traced, names[: rng.randint(1, len(names) - 1)])
    here, there, new, found = State(pick), State(pick), torch.tensor([ids]), list[int]()
    with torch.inference_mode():
        for _ in range(12):
            n = new.shape[1]
            with here.call(n):
                crossing = head(new)
            with there.call(n):
                new = tail(crossing)
            found.append(int(new))
    wanted = one.undivided(ids, 12, pick)
    assert (differing(found, wanted), differing(found, [*wanted, 1])) == (0, 1)
    assert pick == GREEDY or wanted != one.undivided(ids, 12)


def test_parts_that_there_are_not_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "tokens", "--parts", "texts,other"]) == 2
    assert "--parts: 'other' is not one of texts, kills, abandoned" in capsys.readouterr().err
