"""This machine's numbers for a profile: the network that it names is built again, timed, and put through codecs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile
from measurement import codecs
from measurement.codec_effects import measure_codec
from measurement.decoders import Chain
from measurement.engines import DEFAULT, Engine
from measurement.networks import build_network
from measurement.timing import BUDGET_S, PRECISION, REST_S, timed_profile, torch_threads
from measurement.timing.on_engine import timed_on
from measurement.tokens import timed_decoder
from measurement.tracing.calls import Example, given_by, random_input

RANDOM = "random tensors"


def time_profile(
    profile: NetworkProfile,
    example_input: Example | None = None,
    *,
    threads: int | None = None,
    precision: float = PRECISION,
    budget_s: float = BUDGET_S,
    allow_code: bool = False,
    engine: Engine | None = None,
    rest_s: float = REST_S,
) -> NetworkProfile:
    """The profile with each layer's time and memory on this machine, as `lmos profile --time` measures them.

    The network is built from what the profile says of it; `allow_code` lets that be code of the user's own. `example_input`
    is by default random tensors of the shapes that the network takes; `threads`, `precision`, `budget_s` and `rest_s` are those
    of `time_layers`. Another `engine` than torch on the processor is timed by other means (`measurement.timing.on_engine`), and
    tells no layer's memory. What an exchange between two processes costs is not among it: the command measures it afterwards.
    Raises InputError if the profile names no network, or the network has changed, and what `build_network` raises.
    """
    module = _built(profile, "it cannot be timed", allow_code)
    if profile.tokens is not None and isinstance(module, Chain):
        if engine is not None and engine.name != DEFAULT:
            raise InputError("--engine", f"{engine.name} does not time decoders; leave it out")
        return timed_decoder(profile, module, threads=threads, precision=precision, budget_s=budget_s, rest_s=rest_s)
    example = _example(profile, 0) if example_input is None else example_input
    if engine is not None and engine.name != DEFAULT:
        return timed_on(profile, module, example, engine, budget_s)
    return timed_profile(profile, module, example, threads=threads, precision=precision, budget_s=budget_s, rest_s=rest_s)


def measure_codecs(
    profile: NetworkProfile,
    names: Sequence[str],
    examples: Sequence[Example] | None = None,
    *,
    about: str = RANDOM,
    threads: int | None = None,
    allow_code: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> NetworkProfile:
    """The profile with the bytes and times (s) of its tensors in some codecs, as `lmos profile --codec` measures them.

    `names` are the names of codecs. `examples` are the inputs, and `about` describes them: by default random tensors, which say
    little about pictures. `tell` is called with a line about each codec before it is measured. Raises InputError for an unknown
    codec, and the errors of `time_profile`.
    """
    wanted = [codecs.get(name) for name in names]
    found = dict(profile.codecs or {})
    with torch_threads(threads):
        module = _built(profile, "its codecs cannot be measured", allow_code)
        inputs = [_example(profile, k) for k in range(8)] if examples is None else examples
        for codec in wanted:
            tell(f"measuring {codec.name} on this machine")
            found[codec.name] = measure_codec(profile, module, codec, inputs, about)
    return profile.model_copy(update={"codecs": found})


def _built(profile: NetworkProfile, why: str, allow_code: bool) -> nn.Module:
    source = profile.network
    if source is None:
        raise InputError(profile.name, f"names no network to build, so {why}")
    return build_network(source.builder, source.weights, allow_code=allow_code)


def _example(profile: NetworkProfile, seed: int) -> Example:
    return given_by(profile, {name: random_input(spec, seed) for name, spec in profile.input_tensors.items()})
