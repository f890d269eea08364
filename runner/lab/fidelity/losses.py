"""`loss[u, c]`: how much of a network's result is lost if tensor u alone crosses in codec c, for every tensor and codec.

The network runs as one part for each layer. The layers up to a tensor are computed once for each input. Then the tensor is encoded
and decoded as on the wire, and the layers after it are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmos_opt.codec_sizes import Calibration, Fidelity
from lmos_opt.errors import InputError
from lmos_opt.graph import tensor_names
from lmos_opt.plans.proportion import upper_end
from lmos_opt.profile import NetworkProfile
from measurement.codecs import Codec
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import call
from runner.images.labelled import Labelled
from runner.lab.fidelity import Part, numbers_of
from runner.lab.fidelity.judging import Expected, Tally, criterion_of, mean
from runner.parts.network import flat_outputs
from runner.parts.part import Crossing
from runner.parts.split import split
from runner.wire.tensors import pack, unpack


@dataclass(frozen=True)
class Share:
    """A part of a set of inputs: those of `part`, as `seed` divides the set, at most `most` of them (None: all)."""

    seed: int = 0
    most: int | None = None
    part: Part = "calibration"

    def of(self, inputs: Labelled) -> list[int]:
        """The numbers of the inputs in it."""
        return numbers_of(inputs.images.names, self.part, self.seed)[: self.most]


def measure_losses(profile: NetworkProfile, traced: TracedNetwork, codecs: Sequence[Codec], inputs: Labelled,
                   share: Share | None = None, tell: Callable[[str], None] = lambda _: None, *,
                   confidence: float | None = None) -> Fidelity:  # fmt: skip
    """The loss of each codec for each tensor that may cross, measured over a `share` of the inputs (default: the calibration half).

    A search uses these means. With a `confidence` (0 to 1, both excluded) the record also has upper bounds of the true losses, each
    with that confidence, if losses are shares of inputs; then a search uses the bounds.

    `traced` is the profile's network. `tell` is called with a line about each input. Ctrl-C ends the measuring after the inputs so
    far, and the record says so; before the first input, KeyboardInterrupt is raised. Raises InputError for a codec that cannot be
    used with the network, or a profile of another network.
    """
    if profile.network is None or [layer.name for layer in traced.layers] != [layer.name for layer in profile.layers]:
        raise InputError(profile.name, "the profile's layers are not those of the network to be measured")
    share = share or Share()
    network = profile.network
    codecs = [codec.for_network(network, profile.input) for codec in codecs]
    numbers, tallies, whole = share.of(inputs), dict[tuple[str, str], Tally](), list[bool]()
    steps = Steps(traced)
    done, criterion = 0, None
    try:
        for k in numbers:
            tell(f"input {done + 1} of {len(numbers)}")
            found = dict[tuple[str, str], Any]()
            expected, crossings = steps.whole(inputs.images.load(k), None if inputs.right is None else inputs.right[k])
            criterion = criterion or criterion_of(expected)
            for layer, at in steps.places.items():
                for codec in codecs:
                    if not codec.only_input or layer in traced.input_tensors:
                        found[codec.name, layer] = steps.after(crossings, at, codec, [layer])
            for key, outputs in found.items():
                tallies.setdefault(key, Tally(criterion)).add(expected, outputs)
            whole.append(expected.is_right)
            done += 1
    except KeyboardInterrupt:
        if not done:
            raise
    assert criterion is not None
    losses: dict[str, dict[str, float]] = {codec.name: {} for codec in codecs}
    errors: dict[str, dict[str, float]] = {codec.name: {} for codec in codecs}
    for (codec_name, layer), tally in tallies.items():
        losses[codec_name][layer], errors[codec_name][layer] = tally.loss, tally.error
    sure = None if criterion == "outputs" else confidence
    exact = {codec.name for codec in codecs if codec.is_lossless}
    upper = None if sure is None else {
        codec: {layer: 0.0 if codec in exact else upper_end(round(loss * done), done, sure) for layer, loss in of_codec.items()}
        for codec, of_codec in losses.items()}  # fmt: skip
    about = Calibration(criterion=criterion, of=inputs.images.what, part=share.part, inputs=done, seed=share.seed,
                        right=mean(list(map(float, whole))) if criterion == "labels" else None, complete=done == len(numbers),
                        weights=network.weights, confidence=sure)  # fmt: skip
    return Fidelity(calibration=about, losses=losses, upper=upper, errors=errors)


class Steps:
    """A network as one part for each layer: from the crossing before a layer to the crossing after it.

    `places` has for each layer or input whose tensors may cross the number of layers after which they first do.
    """

    def __init__(self, traced: TracedNetwork) -> None:
        self._parts = split(traced, places=[(), *((layer.name,) for layer in traced.layers)])
        counts = dict.fromkeys(traced.input_tensors, 1)
        counts |= {layer.name: len(layer.outputs) for layer in traced.layers}
        self._names = {layer: tensor_names(layer, count) for layer, count in counts.items()}
        read = {name for layer in traced.layers for name in layer.inputs}
        after = dict.fromkeys(traced.input_tensors, 0) | {layer.name: k for k, layer in enumerate(traced.layers, 1)}
        self.places: Mapping[str, int] = {name: k for name, k in after.items() if name in read}

    def whole(self, example: Any, right: frozenset[int] | None) -> tuple[Expected, list[Crossing]]:
        """What the network makes of an input, and what crosses after each number of layers."""
        head, *parts = self._parts
        with torch.inference_mode():
            found: list[Crossing] = [call(head, example)]
            for part in parts[:-1]:
                found.append(part(found[-1]))
            return Expected(flat_outputs(parts[-1](found[-1])), right), found

    def after(self, crossings: Sequence[Crossing], k: int, codec: Codec,
              layers: Collection[str] | None = None) -> dict[str, Tensor] | None:  # fmt: skip
        """What the network makes of it where some layers' tensors, or all, that cross after the first k layers do so under a codec;
        None if that changes no bit."""
        crossing = crossings[k]
        names = [*crossing] if layers is None else [name for layer in layers for name in self._names[layer]]
        mine = {name: crossing[name] for name in names if name in crossing}
        with torch.inference_mode():
            headers, parts = pack(mine, codec)
            if all(header.encoded_bytes is None for header in headers):
                return None
            arrived = unpack(headers, memoryview(bytearray(b"".join(parts))), codec)
            if codec.is_lossless or all(torch.equal(arrived[name], tensor) for name, tensor in mine.items()):
                return None
            found: Any = Crossing({**crossing, **arrived}, crossing.scalars, crossing.kept)
            for part in self._parts[k + 1 :]:
                found = part(found)
            return flat_outputs(found)
