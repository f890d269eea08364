"""Profiles as the command line makes them: built, traced and counted, timed here, and with what codecs make of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lmos.output import activity, err, say
from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.files import input_errors
from lmos_opt.graph import INPUT
from lmos_opt.plan import PlannedNetwork, picture_or_first
from lmos_opt.profile import Granularity, NetworkProfile, NetworkSource, TensorSpec, Timing, Tokens
from lmos_opt.tensors import WHOLE, InputSpec, inputs_of
from measurement import codecs, here
from measurement.decoders import Chain
from measurement.engines import Engine
from measurement.errors import ExampleError, UntraceableError
from measurement.networks import build_network, is_open
from measurement.networks.conventions import conventions_of
from measurement.networks.hollow import HollowNetwork
from measurement.networks.weights import KINDS, bundled_weights
from measurement.profiling import profile_traced
from measurement.sources import example_of, get
from measurement.sources.decoder import ids_of
from measurement.timing import BUDGET_S, PRECISION, REST_S, torch_threads
from measurement.tokens import lengths, with_tokens
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.calls import Example
from runner.errors import RunnerError
from runner.images import Images, find_images
from runner.memory import keep_heap
from runner.parts.network import Graphs, example_input, trace_checked


@dataclass(frozen=True)
class Lengths:
    """Of a decoder's texts, in tokens: a prompt, and what was read and written before one more (None: what is usual)."""

    prompt: int | None = None
    context: int | None = None


Inputs = tuple[int, int, int] | Mapping[str, InputSpec] | Lengths | None
"""The shape of a picture, inputs by name (`parse_inputs`), or a decoder's texts; None for what the network's source says."""


def make_profile(builder: str, weights: str, granularity: Granularity, inputs: Inputs, opaque: Collection[str] = (),
                 tell_user: Callable[[str], None] = say, graphs: Graphs | None = None) -> NetworkProfile:  # fmt: skip
    """Build, trace and count a network; `builder` may be code of the user's own, named on the command line.

    torchvision's are traced by shapes, their weights never all in memory, where that can be; others' graphs are held against the
    network's numbers. `opaque` names parts that stay whole; `tell_user` is called with a line about each part that does. A graph
    that was slow to make is written into `graphs`.
    """
    with activity(f"building {builder}") as tell:
        hollow, traced = _traced(builder, weights, granularity, inputs, opaque, tell)
        said = conventions_of(builder, weights, picture_or_first(traced)).model_dump(exclude_none=True)
        source = NetworkSource(builder=builder, weights=weights, digest=hollow.digest(traced.structure), opaque=tuple(opaque),
                               **said)  # fmt: skip
        origin, place = get(builder)
        for line in origin.remarks(place):
            tell_user(line)
        for name, reason in traced.opaque.items():
            tell_user(f"{name} stays whole, as one layer: {reason}")
        profile = profile_traced(traced, name=builder.rpartition(":")[2], network=source)
        if graphs is not None and traced.document is not None:
            graphs.write(source, profile, traced.document)
        if isinstance(hollow.module, Chain):
            return with_tokens(profile, hollow, _lengths(hollow.module, inputs))
        return profile


def _lengths(chain: Chain, inputs: Inputs) -> Tokens:
    asked = inputs if isinstance(inputs, Lengths) else Lengths()
    return lengths(chain, asked.prompt, asked.context)


def _traced(builder: str, weights: str, granularity: Granularity, inputs: Inputs, opaque: Collection[str],
            tell: Callable[[str], None]) -> tuple[HollowNetwork, TracedNetwork]:  # fmt: skip
    if is_open(builder):
        hollow = HollowNetwork.build(builder, weights)
        tell(f"tracing {builder}")
        with suppress(InputError, UntraceableError):  # some networks run on numbers only; whatever else is wrong is said below
            return hollow, hollow.trace(_example(builder, hollow.module, inputs), granularity, opaque=opaque)
    hollow = HollowNetwork.of(build_network(builder, weights, allow_code=True))
    tell(f"tracing {builder}")
    try:
        return hollow, trace_network(hollow.module, _example(builder, hollow.module, inputs), granularity, opaque=opaque)
    except ExampleError as error:
        guess = "" if inputs else f"; the shape is a guess; give yours: lmos profile {builder} --input 3x128x128"
        raise InputError(builder, error.reason + guess) from error


def _example(builder: str, module: nn.Module, inputs: Inputs) -> Example:
    if isinstance(module, Chain):
        if not isinstance(inputs, Lengths | None):
            raise InputError("--input", "is not for decoders, which take token ids; --prompt N says how many")
        return ids_of(module.vocabulary, _lengths(module, inputs).prompt)
    if inputs is None:
        return example_of(builder, module)
    if isinstance(inputs, Lengths):
        raise InputError("--prompt", f"is for decoders; {builder} is none")
    if isinstance(inputs, tuple):
        return example_input(TensorSpec(shape=(1, *inputs), dtype="float32"))
    found = {name: example_input(spec) for name, spec in inputs.items()}
    return found[INPUT] if list(found) == [INPUT] else found


def time_profile(profile: NetworkProfile, threads: int | None = None, precision: float = PRECISION,
                 budget_s: float = BUDGET_S, engine: Engine | None = None, rest_s: float = REST_S) -> NetworkProfile:  # fmt: skip
    """The profile with this machine's times for a bundled picture, and the fixed cost of an exchange. Shows its progress."""
    keep_heap()  # as both sides of a run do
    with activity(f"timing {profile.name} on {'this machine' if engine is None else engine.device}") as tell:
        images = _images(profile)
        timed = here.time_profile(profile, None if images is None else images.load(0), threads=threads, precision=precision,
                                  budget_s=budget_s, allow_code=True, engine=engine, rest_s=rest_s)  # fmt: skip
        tell("measuring what an exchange costs on this machine")
        return _with_exchange(timed, threads)


def _images(profile: NetworkProfile) -> Images | None:
    """Inputs for the network that the profile names, if it names one: bundled pictures where it takes pictures."""
    if profile.network is None:
        return None
    return find_images(planned_of(profile, profile.network), None)


def _with_exchange(profile: NetworkProfile, threads: int | None) -> NetworkProfile:
    from lmos.exchange import exchange_time

    try:
        found = exchange_time(threads)
    except (RunnerError, OSError) as error:
        err().print(f"lmos: what an exchange costs here is not known and counts as 0: {error}", soft_wrap=True)
        return profile
    measured = {"exchange_s": found.value, "exchange_low_s": found.low, "exchange_high_s": found.high}
    return profile.model_copy(update={"timing": (profile.timing or Timing()).model_copy(update=measured)})


def measure_codecs(profile: NetworkProfile, names: Sequence[str], threads: int | None) -> NetworkProfile:
    """The profile with what codecs make of its tensors, measured on this machine over the bundled pictures."""
    with activity(f"building {profile.name}") as tell:
        images = _images(profile)
        inputs = None if images is None else [images.load(k) for k in range(len(images))]
        about = here.RANDOM if images is None else images.what
        return here.measure_codecs(profile, names, inputs, about=about, threads=threads, allow_code=True, tell=tell)


MOST_SENT = 16
"""Inputs that codecs' bytes and times are measured on: medians and means of them change little with more."""


@dataclass(frozen=True)
class FidelityAsked:
    """Losses to measure: over the calibration part of these inputs (None: the bundled pictures), at most so many of them, of these
    codecs by their names (none: all that fit the network). `confidence` is that of what is lost at most; None: the means count."""

    inputs: Path | None
    codecs: Sequence[str] = ()
    seed: int = 0
    most: int | None = None
    threads: int | None = None
    confidence: float | None = 0.95


def measure_fidelity(profile: NetworkProfile, asked: FidelityAsked) -> NetworkProfile:
    """The profile with bytes, times on this machine and losses of codecs, measured on a user's own inputs.

    InputError if the profile names no network, and for inputs or codecs that cannot be used.
    """
    from runner.images.labelled import find_labelled
    from runner.lab.fidelity.losses import Share, measure_losses

    if profile.network is None:
        raise InputError(profile.name, "names no network to build, so what codecs lose cannot be measured")
    planned, share = planned_of(profile, profile.network), Share(asked.seed, asked.most)
    found = [codecs.get(name) for name in asked.codecs] or fitting_codecs(profile)
    with activity(f"building {profile.name}") as tell:
        inputs = find_labelled(planned, asked.inputs)
        numbers = share.of(inputs)
        about = f"{len(numbers)} of {inputs.images.what}"
        sent = [inputs.images.load(k) for k in numbers[:MOST_SENT]]
        measured = here.measure_codecs(profile, [codec.name for codec in found], sent, about=about, threads=asked.threads,
                                       allow_code=True, tell=tell)
        tell(f"tracing {profile.name}")
        with torch_threads(asked.threads):
            module = build_network(planned.builder, planned.weights, allow_code=True)
            traced = trace_checked(planned.builder, module, planned, planned, planned.granularity)
            losses = measure_losses(profile, traced, found, inputs, share, lambda line: tell(f"what codecs lose: {line}"),
                                    confidence=asked.confidence)  # fmt: skip
    return measured.model_copy(update={"fidelity": losses})


def planned_of(profile: NetworkProfile, source: NetworkSource) -> PlannedNetwork:
    """The profile's network as plans have it."""
    return PlannedNetwork(**source.model_dump(), name=profile.name, granularity=profile.granularity, **inputs_of(profile))


def fitting_codecs(profile: NetworkProfile) -> list[codecs.Codec]:
    """The shipped codecs that change anything and fit the network, those with an argument at their usual one."""
    found = []
    for name in codecs.usual():
        with suppress(InputError, MissingExtraError):
            codec = codecs.get(name)
            if codec.name != codecs.RAW and profile.network is not None:
                codec.for_network(profile.network, profile.input)
                found.append(codec)
    return found


def weights_of(builder: str, asked: str | None) -> str:
    """The weights as a plan names them: `seeded:0` or the bundled ones by default, a file, a published entry."""
    name = builder.rpartition(":")[2]
    if asked is None:
        if builder.startswith("torchvision:") and name in bundled_weights():
            return f"bundled:{name}"
        source, place = get(builder)
        return source.usual_weights(place) or "seeded:0"
    if asked.partition(":")[0] in KINDS:
        return asked
    if re.fullmatch(r"[A-Z][A-Z0-9_]*", asked):
        return f"torchvision:{asked}"
    return f"file:{asked}"


_INPUT = re.compile(r"(?:(?P<name>[^\W\d]\w*)=)?(?P<shape>[1-9]\d{0,8}(?:x[1-9]\d{0,8})*)(?::(?P<dtype>\w+))?"
                    r"(?::(?P<low>-?\d{1,15})\.\.(?P<high>-?\d{1,15}))?")  # fmt: skip


def parse_inputs(texts: Sequence[str]) -> dict[str, InputSpec] | None:
    """`3x224x224`, or `ids=128:int64` and `mask=128:int64`, as inputs by the forward's parameters, or `input` without a name; None
    where there are none.

    Shapes have no batch, which is 1. Whole numbers are from 0 and 1, or from a range such as `ids=128:int64:0..30521`.
    """
    found: dict[str, InputSpec] = {}
    for text in texts:
        match = _INPUT.fullmatch(text)
        name = match["name"] or INPUT if match else ""
        if match is None or (match["name"] is None and match["dtype"] is None and match["shape"].count("x") != 2):
            raise InputError("--input", f"{text!r} is not a shape such as 3x224x224, or an input such as ids=128:int64")
        if name in found or (found and INPUT in (name, *found)):
            raise InputError("--input", f"{text!r} stands beside another input; each needs a name of its own, as ids=128:int64")
        dtype = match["dtype"] or "float32"
        ends = {"low": 0, "high": 1} if dtype in WHOLE else {}
        if match["low"]:
            ends = {"low": int(match["low"]), "high": int(match["high"])}
        with input_errors("--input"):
            shape = (1, *map(int, match["shape"].split("x")))
            found[name] = InputSpec.model_validate({"shape": shape, "dtype": dtype, **ends})
    return found or None
