"""What a codec makes of a network's tensors, measured: their bytes, and the time at both ends on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import mean, median

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from lmos_opt.codec_sizes import MeasuredCodec, Sent
from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile
from measurement.codecs import Codec
from measurement.processor import cpu_name
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.aliasing import tensor_spec
from measurement.tracing.calls import Example
from measurement.tracing.undisturbed import undisturbed

Trials = dict[str, list[list["Trial"]]]
"""By layer, for each image, for each of the layer's tensors."""


class Trial:
    """One tensor through a codec and back; `found` is what arrives."""

    def __init__(self, codec: Codec, name: str, tensor: Tensor) -> None:
        laid_out = tensor.contiguous()
        begin = time.perf_counter()
        encoded = codec.encode(name, laid_out)
        self.encode_s = time.perf_counter() - begin
        self.raw_bytes = tensor.nbytes
        self.bytes, self.decode_s, self.found = tensor.nbytes, 0.0, tensor
        if encoded is not None and len(encoded) < tensor.nbytes:
            payload = memoryview(encoded)
            begin = time.perf_counter()
            flat = codec.decode(payload, tensor_spec(laid_out))
            self.decode_s = time.perf_counter() - begin
            self.bytes, self.found = payload.nbytes, flat.as_strided(laid_out.shape, laid_out.stride())


def measure_codec(profile: NetworkProfile, module: nn.Module, codec: Codec, images: Sequence[Example], about: str) -> MeasuredCodec:
    """The bytes (mean) and times (median, s) of a codec for each layer's output over `images`. `about` describes the images.

    Raises InputError if the codec cannot be used for the network, or if `profile` is not the profile of `module`.
    """
    if profile.network is None:
        raise InputError(profile.name, "names no network, so its codecs cannot be measured")
    traced = trace_network(module, images[0], profile.granularity)
    if [layer.name for layer in traced.layers] != [layer.name for layer in profile.layers]:
        raise InputError(profile.name, "the profile's layers are not those of the network to be measured")
    codec = codec.for_network(profile.network, profile.input)
    try_codec(traced, module, codec, images[0])  # the first ones pay for memory and for the codec's own preparation
    found: Trials = {}
    for image in images:
        for name, trials in try_codec(traced, module, codec, image).items():
            found.setdefault(name, []).append(trials)
    conditions = {"images": f"{len(images)}: {about}", "weights": profile.network.weights, "torch": torch.__version__,
                  "threads": torch.get_num_threads(), "cpu": cpu_name()}  # fmt: skip
    return MeasuredCodec(sent={name: _sent(trials) for name, trials in found.items()}, about=conditions)


def try_codec(traced: TracedNetwork, module: nn.Module, codec: Codec, image: Example) -> dict[str, list[Trial]]:
    """Each layer's tensors through the codec, as they come about in one run; inputs by their names."""
    tensors = traced.tensors_of(image)
    found = {name: [Trial(codec, name, tensor)] for name, tensor in zip(traced.input_tensors, tensors, strict=True)}
    if codec.only_input:
        return found
    with undisturbed(module), torch.inference_mode():
        _Watching(traced, codec, found).run(*(tensor.clone() for tensor in tensors))
    return found


class _Watching(fx.Interpreter):
    """Runs the graph and looks at what a layer gives as soon as it is there: later operations may work in place."""

    def __init__(self, traced: TracedNetwork, codec: Codec, found: dict[str, list[Trial]]) -> None:
        super().__init__(traced.graph_module)
        self._owner = {node: layer.name for layer in traced.layers for node in layer.values}
        self._codec, self._found = codec, found

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if (layer := self._owner.get(n)) is not None:
            for tensor in tree_leaves(value):
                if isinstance(tensor, Tensor):
                    self._found.setdefault(layer, []).append(Trial(self._codec, layer, tensor))
        return value


def _sent(images: list[list[Trial]]) -> Sent:
    parts = tuple(round(mean(trial.bytes for trial in trials)) for trials in zip(*images, strict=True))
    return Sent(
        bytes=sum(parts),
        encode_s=median(sum(trial.encode_s for trial in trials) for trials in images),
        decode_s=median(sum(trial.decode_s for trial in trials) for trials in images),
        parts=parts if len(parts) > 1 else (),
    )
