"""What a plan says before anything is built or contacted: its weights, its timeouts, and whether its codecs suit it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lmos_opt.errors import InputError, likely
from lmos_opt.graph import layer_of
from lmos_opt.plan import Plan, PlannedNetwork, check_sendable
from lmos_opt.tensors import only_input
from measurement.codec_choice import named
from measurement.networks.preprocessing import preprocessing_of
from measurement.tracing import TracedNetwork
from runner.wire.timeouts import PATIENT, Timeouts


def patient_with(plan: Plan) -> Timeouts:
    """The timeouts for a plan: an image may take ten times what is predicted, and half a minute in any case."""
    return replace(PATIENT, result_s=max(PATIENT.result_s, 10 * float(plan.predicted.get("latency_s", 0.0))))


def check_crossing(plan: Plan, network: PlannedNetwork) -> None:
    """InputError if more crosses than can be sent, where a codec does not suit it, or where the server would make another
    tensor of the picture itself: it knows the network, not the plan."""
    check_sendable(plan, "plan")
    codec, how = named(plan.codec, plan.codecs), network.preprocessing
    crossing = [tensor.name for hop in plan.hops for tensor in hop]
    codec.check_crossing(crossing)
    as_picture = next((one.name for one in map(codec.of, crossing) if one.only_input), None)
    if how is None or as_picture is None:
        return
    other = preprocessing_of(network.builder, network.weights, only_input(network).shape)
    if any(getattr(how, key) != getattr(other, key) for key in ("channels", "scale", "mean", "std")):
        raise InputError("plan.network.preprocessing", f"is not what goes with {network.weights}, which a server makes of a "
                                                       f"picture; choose another codec than {as_picture}")


def check_sizes(plan: Plan, traced: TracedNetwork) -> None:
    """InputError if a tensor would cross whose size depends on numbers: the other side could not say what comes."""
    for name in (tensor.name for hop in plan.hops for tensor in hop):
        if layer_of(name) in traced.uncut:
            raise InputError("plan.crossing", f"{name!r} would cross, and its size depends on numbers: nobody knows it before. "
                                              "Make profile and plan again with this version, which cuts elsewhere")  # fmt: skip


def check_codecs(plan: Plan, traced: TracedNetwork) -> None:
    """InputError if a tensor has a codec of its own that is none of the network's."""
    known = {*traced.input_tensors, *(layer.name for layer in traced.layers)}
    for name, codec in plan.codecs.items():
        if layer_of(name) not in known:
            raise InputError("plan.codecs", f"{name!r} (to be sent in {codec}) names no tensor of the network{likely(name, known)}")


def weights_of(planned: str, file: Path | None) -> str:
    """The plan's weights, or those of a file that lies elsewhere; InputError if the plan has none of a file."""
    if file is None:
        return planned
    if not planned.startswith("file:"):
        raise InputError(str(file), f"the plan's weights are {planned}, not those of a file")
    return f"file:{file}"


def seed_of(weights: str) -> int | None:
    """The seed of seeded weights."""
    kind, _, value = weights.partition(":")
    return int(value) if kind == "seeded" else None


def about_weights(weights: str) -> str:
    """What weights are, in half a sentence."""
    if weights.startswith("seeded:"):
        return f"{weights}: random numbers, so the classes mean nothing"
    return f"{weights}: trained"
