"""Parts on torch and on onnxruntime: what crosses, what comes out, and the classes of the bundled pictures, at cuts of networks.

A network of 8-bit integers is made of a bundled one, so that its bytes and its classes can be looked at too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmos.profiles import weights_of
from lmos_opt.errors import InputError
from lmos_opt.plan import PlannedNetwork
from lmos_opt.profile import NetworkProfile
from lmos_opt.tensors import inputs_of
from lmos_opt.units import counted
from measurement import engines
from measurement.engines import worst_error
from measurement.networks import build_network, parse_builder
from measurement.onnx_files.joining import exported
from measurement.profiling import profile_built
from measurement.sources import example_of
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.calls import call
from runner.images import find_images
from runner.parts.computed import computed_on
from runner.parts.network import class_of, flat_outputs
from runner.parts.part import Head, Tail
from runner.parts.split import split_traced

WHOLE_NUMBERS = "squeezenet1_1"
"""Of which a network of 8-bit integers is made."""
_MOST_INPUTS = 5


@dataclass(frozen=True)
class Agreement:
    """Some cuts of a network: the largest differences of what crosses and of what comes out, relative to the largest number of a
    tensor, and how many of the inputs' classes are equal at every cut (None: it classifies nothing).

    `spread` is the largest difference between the outputs of two inputs, relative as above. If it is tiny, equal classes say
    nothing: with random weights a deep network may give the same for every picture."""

    network: str
    layers: int
    cuts: int
    crossing_error: float
    output_error: float
    inputs: int
    same_classes: int | None
    spread: float


@dataclass(frozen=True)
class WholeNumbers:
    """A network and the same in 8-bit integers: bytes of weights, bytes that cross at each cut, and how many pictures' classes are
    equal."""

    network: str
    weight_bytes: tuple[int, int]
    crossing_bytes: tuple[tuple[int, int], ...]
    pictures: int
    same_classes: int


@dataclass(frozen=True)
class Subject:
    """A network, traced, its profile, and inputs: bundled pictures, where it takes such."""

    name: str
    module: torch.nn.Module
    traced: TracedNetwork
    profile: NetworkProfile
    inputs: Sequence[Any]

    @classmethod
    def of(cls, name: str) -> Subject:
        """By its name; InputError for what is none."""
        builder = parse_builder(name)
        weights = weights_of(builder, None)
        module = build_network(builder, weights, allow_code=True).eval()
        example = example_of(builder, module)
        traced = trace_network(module, example, "module")
        profile = profile_built(builder, weights, module, traced)
        return cls(name, module, traced, profile, _inputs(profile))

    def cuts(self, count: int) -> list[list[str]]:
        """So many cuts, as evenly over the layers as they can be: the names of the edge's."""
        names = [layer.name for layer in self.profile.layers]
        return [names[:x1] for x1 in sorted({round(k * (len(names) - 1) / max(count - 1, 1)) for k in range(count)})]

    def halves(self, edge: Sequence[str]) -> tuple[Head, Tail]:
        """The two parts of a cut."""
        head, tail = split_traced(self.traced, edge)
        return head, tail


def _inputs(profile: NetworkProfile) -> list[Any]:
    assert profile.network is not None
    planned = PlannedNetwork(**profile.network.model_dump(), name=profile.name, granularity=profile.granularity,
                             **inputs_of(profile))  # fmt: skip
    images = find_images(planned, None)
    return [images.load(k) for k in range(min(len(images), _MOST_INPUTS))]


@torch.inference_mode()
def agreement(subject: Subject, count: int, tell: Callable[[str], None]) -> Agreement:
    """Both parts of so many cuts on onnxruntime, beside the same on torch. InputError where one of them cannot be there."""
    engine = engines.get("onnxruntime")
    cuts, crossing_error, output_error = subject.cuts(count), 0.0, 0.0
    wanted = [flat_outputs(call(subject.module, given)) for given in subject.inputs]
    same = [True] * len(wanted)
    for edge in cuts:
        tell(f"{subject.name}: {len(edge)} of {len(subject.profile.layers)} layers at the edge")
        head, tail = subject.halves(edge)
        there: tuple[Head, Tail] | None = None
        for k, given in enumerate(subject.inputs):
            crossing = call(head, given)
            if there is None:
                tensors = subject.traced.tensors_of(given)
                try:
                    there = (computed_on(engine, head, head.arguments(tensors)),
                             computed_on(engine, tail, tail.incoming.arguments(crossing)))  # fmt: skip
                except InputError as error:
                    raise InputError(f"{subject.name}, {counted(len(edge), 'layer')} at the edge", str(error)) from error
            found = call(there[0], given)
            crossing_error = max(crossing_error, worst_error(list(found.values()), list(crossing.values())))
            outputs = flat_outputs(there[1](found))
            output_error = max(output_error, worst_error(list(outputs.values()), list(wanted[k].values())))
            same[k] &= class_of(outputs) == class_of(wanted[k])
    classes = None if class_of(wanted[0]) is None else sum(same)
    spread = max((worst_error(list(one.values()), list(other.values())) for one, other in combinations(wanted, 2)), default=0.0)
    return Agreement(subject.name, len(subject.profile.layers), len(cuts), crossing_error, output_error, len(wanted), classes,
                     spread)  # fmt: skip


def whole_numbers(folder: Path, count: int) -> tuple[WholeNumbers, Subject]:
    """The bundled network as 8-bit integers, with scales from the bundled pictures, beside itself."""
    plain = Subject.of(WHOLE_NUMBERS)
    small = Subject.of(f"onnx:{_quantized(plain, folder)}")
    with torch.inference_mode():
        same = sum(class_of(flat_outputs(plain.module(x))) == class_of(flat_outputs(small.module(x))) for x in plain.inputs)
    crossing = tuple((_crossing_bytes(plain, ours), _crossing_bytes(small, theirs))
                     for ours, theirs in zip(plain.cuts(count), small.cuts(count), strict=True))  # fmt: skip
    weights = [sum(layer.weight_bytes for layer in one.profile.layers) for one in (plain, small)]
    return WholeNumbers(WHOLE_NUMBERS, (weights[0], weights[1]), crossing, len(plain.inputs), same), small


@torch.inference_mode()
def _crossing_bytes(subject: Subject, edge: Sequence[str]) -> int:
    head, _ = subject.halves(edge)
    return sum(tensor.nbytes for tensor in call(head, subject.inputs[0]).values())


def _quantized(subject: Subject, folder: Path) -> Path:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, inferred, small = (folder / f"{subject.name}{kind}.onnx" for kind in ("", "_inferred", "_int8"))
    whole = subject.traced.graph_module
    found = exported(whole, subject.traced.tensors_of(subject.inputs[0]))
    assert found is not None  # a whole network gives a tensor
    model = found.model
    plain.write_bytes(model.to_bytes())
    quant_pre_process(str(plain), str(inferred), skip_symbolic_shape=True)

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[Tensor] = iter(subject.inputs)

        def get_next(self) -> dict[str, Any] | None:
            """The next picture as the file takes it; None after the last."""
            found = next(self.left, None)
            return None if found is None else {model.proto.graph.input[0].name: found.numpy()}

    quantize_static(str(inferred), str(small), Pictures(), quant_format=QuantFormat.QDQ)
    return small
