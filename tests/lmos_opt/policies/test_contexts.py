"""The choice over a growing text: what is chosen at every single context, one by one, beside the stretches."""

from __future__ import annotations

import random

import pytest

from lmos_opt import InputError, Instance
from lmos_opt.errors import InfeasibleError
from lmos_opt.objectives import get
from lmos_opt.policies.contexts import context_policy
from lmos_opt.policies.policy import Policy
from lmos_opt.split import all_splits
from tests.lmos_opt.objectives.test_tokens import decoder

START, END = 100, 125


def at(seed: int, context: int, limits: tuple[int | None, ...]) -> Instance:
    """A decoder whose times and states are lines over the context, with round numbers."""
    draw = random.Random(seed)
    one = decoder(seed, 4, n_places=len(limits))
    layers = []
    for layer in one.layers:
        slopes = [draw.randrange(0, 64) / 2**12 for _ in limits]
        t_s = [draw.randrange(1, 2**12) / 2**14 + slope * (context - START) for slope in slopes]
        layers.append(layer.model_dump() | {"t_token_s": t_s, "weight_bytes": 1000,
                                           "state_bytes": draw.randrange(1, 9) * context if layer.state_bytes else 0})  # fmt: skip
    places = [place.model_dump() | {"memory_limit_bytes": limit} for place, limit in zip(one.places, limits, strict=True)]
    return one.replace(layers=layers, places=places, tokens={"prompt": 128, "context": context})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limits", [(None, None), (34_000, None), (29_522, None), (35_500, 35_200, None)])
def test_every_single_context_has_its_least_time(seed: int, limits: tuple[int | None, ...]) -> None:
    policy = context_policy(at(seed, START, limits), at(seed, END, limits))
    assert (policy.low, policy.high, policy.unit) == (START, END, "tokens")
    assert Policy.from_dict(policy.to_dict()) == policy
    value = get("tpot").value
    assert value is not None
    assert policy.bandwidth_bytes_per_s is not None
    for context in range(START, END + 1):
        stretch = policy.at(context)
        admitted = [split for split in all_splits(at(seed, context, limits)) if split.exceeds is None]
        chosen = next(split for split in admitted if tuple(map(len, split.places)) == stretch.counts)
        least = min(map(value, admitted))
        assert value(chosen) == pytest.approx(least, rel=1e-12)
        assert stretch.latency_s(policy.bandwidth_bytes_per_s, context) == pytest.approx(least, rel=1e-9)
        assert stretch.memory_bytes is not None
        assert stretch.memory_bytes >= chosen.memory_bytes


def test_choices_change_somewhere() -> None:
    counts = [len(context_policy(at(seed, START, limits), at(seed, END, limits)).stretches)
              for seed in range(4) for limits in ((None, None), (34_000, None))]  # fmt: skip
    assert max(counts) > 1


def test_what_does_not_fit_and_what_does_not_belong_together_is_said() -> None:
    near, far = at(0, START, (None, None)), at(0, END, (None, None))
    with pytest.raises(InputError, match="the one with the shorter context first"):
        context_policy(far, near)
    with pytest.raises(InputError, match="layers, hops, places or prompts are not the same"):
        context_policy(near, at(1, END, (None, None)))
    with pytest.raises(InfeasibleError, match="at a context of 100 tokens"):
        context_policy(at(0, START, (10, 10)), at(0, END, (10, 10)))
