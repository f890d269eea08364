"""How fast this machine is at the moment, by what the undivided decoder takes. A machine that others use too changes its pace
within a minute; a promise is held against a run at the pace of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import NamedTuple, Self

import torch

from lmos_opt.instance import Instance
from lmos_opt.profile import NetworkProfile
from measurement.decoders import Chain, State
from measurement.networks import build_network
from measurement.sources.decoder import ids_of
from measurement.timing import torch_threads

REST_S = 0.005
"""Before each call: between two tokens, a machine that is edge and server at once rests while their bytes travel."""
_PROMPTS, _TOKENS = 3, 30


class Pace(NamedTuple):
    """What the undivided decoder takes for the prompt, and for one token after the context (s)."""

    prompt_s: float
    token_s: float

    @classmethod
    def of(cls, profile: NetworkProfile) -> Self:
        """When a profile was timed."""
        tokens = [layer.token.t_local_s or 0.0 for layer in profile.layers if layer.token is not None]
        return cls(sum(layer.t_local_s or 0.0 for layer in profile.layers), sum(tokens))

    @classmethod
    def between(cls, one: Pace, other: Pace) -> Self:
        """The mean of two."""
        return cls(fmean((one.prompt_s, other.prompt_s)), fmean((one.token_s, other.token_s)))

    def on(self, instance: Instance, timed: Pace) -> Instance:
        """An instance whose layers' times were taken at the pace `timed`, at this one."""
        places = len(instance.places)
        return slowed(instance, [self.prompt_s / timed.prompt_s] * places, [self.token_s / timed.token_s] * places)


def slowed(instance: Instance, prompt: Sequence[float], token: Sequence[float]) -> Instance:
    """The instance with the times of prompts and of tokens so many times as long, place by place."""
    by = {"t_s": prompt, "t_token_s": token}
    return instance.replace(layers=[
        {**layer.model_dump(), **{key: [t_s * times for t_s, times in zip(getattr(layer, key), each, strict=True)]
                                  for key, each in by.items()}}
        for layer in instance.layers
    ])  # fmt: skip


class Pacemaker:
    """The undivided decoder of a profile, in one thread: `now` times it, each time in the same way."""

    def __init__(self, profile: NetworkProfile) -> None:
        source, tokens = profile.network, profile.tokens
        assert source is not None
        assert tokens is not None
        chain = build_network(source.builder, source.weights, allow_code=True)
        assert isinstance(chain, Chain)
        self._chain, self._tokens = chain, tokens

    def now(self) -> Pace:
        """Medians of a few calls."""
        chain, tokens = self._chain, self._tokens
        prompt, token = ids_of(chain.vocabulary, tokens.prompt), ids_of(chain.vocabulary, 1)
        with torch_threads(1), torch.inference_mode():
            with State().frozen():
                prompt_s = _median(lambda: chain(prompt), _PROMPTS)
            state = State()
            with state.call(tokens.context):
                chain(ids_of(chain.vocabulary, tokens.context))
            with state.frozen():
                return Pace(prompt_s, _median(lambda: chain(token), _TOKENS))


def _median(call: Callable[[], object], times: int) -> float:
    call()
    found = []
    for _ in range(times):
        time.sleep(REST_S)
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return median(found)
