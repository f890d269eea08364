"""Promises: the split is the best that keeps the deadline, exactly, and how often it was kept is counted."""

from __future__ import annotations

import random

import pytest

from lmos_opt import InfeasibleError, InputError, Instance, objectives
from lmos_opt.plans.promise import Promise, keeping
from lmos_opt.split import Split

EVENING = [{"weight": 6.0, "bandwidth": [1.0]}, {"weight": 3.0, "bandwidth": [0.5], "time": [1.0, 2.0]},
           {"weight": 1.0, "bandwidth": [0.125], "time": [1.5, 1.0]}]  # fmt: skip
POWER = {"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.0}


def chain(seed: int) -> Instance:
    """Six layers in a row, whose latency at p90 is decided by the second scenario or the third, by where they are cut."""
    rng = random.Random(seed)
    names = [f"v{k}" for k in range(6)]
    layers = [{"name": name, "inputs": [before], "t_edge_s": rng.randint(1, 9) / 16, "t_server_s": rng.randint(1, 4) / 32,
               "weight_bytes": rng.randint(0, 900), "output_bytes": rng.randint(1, 4000)}
              for before, name in zip(["input", *names], names, strict=False)]  # fmt: skip
    found = Instance.from_dict({"schema": "lmos.instance/1", "name": "chain", "input_bytes": 3000, "rtt_s": 0.0,
                                "bandwidth_bytes_per_s": 4096.0, "memory_limit_bytes": None, "layers": layers})  # fmt: skip
    return found.with_place(1, power=POWER).replace(scenarios=EVENING)


@pytest.mark.parametrize("best", ["energy", "memory"])
@pytest.mark.parametrize("seed", range(4))
def test_the_split_is_the_best_of_all_that_keep_it(seed: int, best: str) -> None:
    """Every cut is tried; deadlines are latencies that cuts have, to the last bit, and the next smaller numbers."""
    instance, promise = chain(seed), Promise(deadline_s=1.0, confidence=0.9)
    splits = [Split.at(instance, [instance.names[:n]]) for n in range(7)]
    quantile, other = objectives.get(promise.objective), objectives.get(best)
    assert quantile.value is not None
    assert other.value is not None
    latencies, values = [quantile.value(split) for split in splits], [other.value(split) for split in splits]
    sign = 1 if other.sense == "min" else -1
    for deadline in sorted(latencies):
        for exact in (deadline, deadline * (1 - 2**-52)):
            within = [sign * value for latency, value in zip(latencies, values, strict=True) if latency <= exact]
            asked = promise.model_copy(update={"deadline_s": exact})
            if not within:
                with pytest.raises(InfeasibleError, match=rf"the least latency@p90 of any split is {min(latencies):.6g} s"):
                    keeping(instance, asked, best)
                continue
            point = keeping(instance, asked, best)
            assert point.values["latency@p90"] <= exact
            assert sign * point.values[best] == pytest.approx(min(within))


def test_it_is_best_in_energy_where_powers_are_known_and_else_in_memory() -> None:
    promise = Promise(deadline_s=100.0)
    assert promise.objectives(chain(0)) == ("latency@p95", "energy")
    without = chain(0).with_place(1, power=None)
    assert promise.objectives(without) == ("latency@p95", "memory")
    assert keeping(without, promise).x1 == 6


@pytest.mark.parametrize(("confidence", "name"), [(0.95, "latency@p95"), (0.999, "latency@p99.9"), (1.0, "latency@p100"),
                                                  (0.07, "latency@p7")])
def test_the_confidence_is_a_quantile(confidence: float, name: str) -> None:
    assert Promise(deadline_s=1.0, confidence=confidence).objective == name


@pytest.mark.parametrize("wrong", [{"deadline_s": 0.0}, {"deadline_s": 1.0, "confidence": 0.0},
                                   {"deadline_s": 1.0, "confidence": 1.1}])
def test_what_is_no_promise_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"greater than 0|less than or equal to 1"):
        Promise(**wrong)


def test_without_scenarios_there_is_no_promise() -> None:
    with pytest.raises(InputError, match="has no scenarios"):
        keeping(chain(0).replace(scenarios=()), Promise(deadline_s=1.0))


def test_how_often_it_was_kept_counts_lost_images_against_it() -> None:
    found = Promise(deadline_s=0.25, confidence=0.9).kept_in([0.1, 0.25, 0.26, 0.2], lost=1)
    assert (found.kept, found.images, found.share) == (3, 5, 0.6)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2307, 0.8824)
    assert found.in_words == "250.00 ms kept by 3 of 5 images (60.0 %, 23.1 % to 88.2 %; promised 90 %)"
