"""A decoder's numbers for two texts: a prompt, and one more token after a context. Its layers' state, work and times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile, ProfileLayer, StateTensor, Tokens, TokenStep
from measurement.decoders import Chain, State
from measurement.networks.hollow import HollowNetwork, shapes_alone
from measurement.profiling import profile_traced
from measurement.sources.decoder import ids_of
from measurement.timing import BUDGET_S, PRECISION, REST_S, time_layers, timed_profile, torch_threads
from measurement.tokens.workspace import workspaces
from measurement.tracing import trace_network

PROMPT, CONTEXT = 128, 1024
"""The default lengths of texts, in tokens; shorter for a decoder that takes fewer."""


def lengths(chain: Chain, prompt: int | None = None, context: int | None = None) -> Tokens:
    """The lengths of both texts. InputError for those that the decoder does not take."""
    longest = chain.longest or max(PROMPT, CONTEXT + 1)
    found = Tokens(prompt=min(PROMPT, longest) if prompt is None else prompt,
                   context=max(min(CONTEXT, longest - 1), 1) if context is None else context)  # fmt: skip
    if chain.longest is not None:
        for option, n, most in (("--prompt", found.prompt, chain.longest), ("--context", found.context, chain.longest - 1)):
            if n > most:
                raise InputError(option, f"{n} tokens are more than this decoder takes, which has {chain.longest} positions; at "
                                         f"most {most}")  # fmt: skip
    return found


def with_tokens(profile: NetworkProfile, hollow: HollowNetwork, tokens: Tokens) -> NetworkProfile:
    """The profile of a decoder's prompt with what its layers keep of a text and work in, and what one more token takes of them.

    Both are seen on shapes alone: a text of the context goes through, and what blocks hold of it then is their state.
    """
    chain = _checked(hollow.module, profile.name)
    state = State()
    with shapes_alone(chain), torch.no_grad(), state.call(tokens.context):
        chain(torch.empty(1, tokens.context, dtype=torch.int64, device="meta"))
    with state.frozen():
        step = profile_traced(hollow.trace(ids_of(chain.vocabulary, 1)))
    works_in, works_in_then = workspaces(chain, tokens.prompt), workspaces(chain, 1, tokens.context)
    kept = {f"blocks.{number}": tensors for number, tensors in state.tensors.items()}
    layers = []
    for layer, one in zip(profile.layers, step.layers, strict=True):
        number = int(layer.name.rpartition(".")[2]) if layer.name in kept else -1
        specs = tuple(
            StateTensor(name=name, shape=(*tensor.shape[:-2], 1, *tensor.shape[-1:]),
                        dtype=str(tensor.dtype).removeprefix("torch."), most_tokens=state.window(number))
            for name, tensor in kept.get(layer.name, {}).items()
        )  # fmt: skip
        layers.append(ProfileLayer(**{
            **{key: getattr(layer, key) for key in ProfileLayer.model_fields},
            "state": specs, "state_bytes_per_token": sum(spec.bytes for spec in specs),
            "workspace_bytes": works_in[layer.name],
            "token": TokenStep(macs=one.macs, output_bytes=one.output_bytes, workspace_bytes=works_in_then[layer.name],
                               work=one.work),
        }))  # fmt: skip
    return profile.model_copy(update={"layers": tuple(layers), "tokens": tokens})


def timed_decoder(profile: NetworkProfile, chain: Chain, *, threads: int | None = None, precision: float = PRECISION,
                  budget_s: float = BUDGET_S, rest_s: float = REST_S) -> NetworkProfile:  # fmt: skip
    """The profile with this machine's times: of the prompt, as `timed_profile` finds them, and of one token after the context."""
    tokens = profile.tokens
    assert tokens is not None
    with State().frozen():  # each run begins with no text, and blocks share what they are called with
        timed = timed_profile(profile, chain, ids_of(chain.vocabulary, tokens.prompt), threads=threads, precision=precision,
                              budget_s=budget_s, rest_s=rest_s)  # fmt: skip
    with torch_threads(threads), _after(chain, tokens.context):
        one = ids_of(chain.vocabulary, 1)
        times = time_layers(trace_network(chain, one), chain, one, threads=threads, precision=precision, budget_s=budget_s,
                            rest_s=rest_s)  # fmt: skip
    layers = []
    for layer in timed.layers:
        found, step = times.layers[layer.name], layer.token
        assert step is not None
        measured = {"t_local_s": found.value, "t_local_low_s": found.low, "t_local_high_s": found.high}
        layers.append(layer.model_copy(update={"token": step.model_copy(update=measured)}))
    timing = timed.timing
    if timing is not None and times.others is not None:
        timing = timing.model_copy(update={"others": max(timing.others or 0.0, times.others)})
    return timed.model_copy(update={"layers": tuple(layers), "timing": timing})


@contextmanager
def _after(chain: Chain, context: int) -> Iterator[None]:
    """Each call inside the block goes on with one text of this length."""
    state = State()
    with torch.inference_mode(), state.call(context):
        chain(ids_of(chain.vocabulary, context))
    with state.frozen():
        yield


def _checked(module: object, name: str) -> Chain:
    if not isinstance(module, Chain):
        raise InputError(name, "is no decoder, which alone has tokens; expected hf:DIRECTORY with the configuration of one")
    return module
