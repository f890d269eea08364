"""The halves of a plan as programs of other runtimes: ONNX, or `torch.export`. Checked against torch where that can be.

`head` takes the image and returns the plan's crossing tensors under their names, and behind them what it makes of the network's
result, which stays there; `tail` takes what crosses and returns the rest of the result. Shapes are the plan's. A plan with
nothing at one side has no file for that side.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.files import make_folder, write_atomically
from lmos_opt.graph import INPUT
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.profile import TensorSpec
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import Call, random_input
from measurement.tracing.capture import quiet
from runner.parts.network import build, example_input, flat_outputs, trace_checked
from runner.parts.part import Head, Tail
from runner.parts.split import split_traced

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
IMAGE = "image"
SEED = 0
"""Of the random image that both are compared on: zeros would hide what weights do."""


class ExportError(LmosError):
    """A half could not be written in a format: `half` names it."""

    def __init__(self, half: str, reason: str) -> None:
        self.half = half
        super().__init__(f"the {half} cannot be exported: {reason}")


@dataclass(frozen=True)
class ExportedHalf:
    """A written file, the names of its inputs and outputs, and by how much it differs from torch.

    `difference` is the largest over its outputs of max |theirs - torch's| / max |torch's|.
    """

    half: str
    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float


class _Whole(nn.Module):
    """A network that takes its input tensors in order, whatever it takes them in."""

    def __init__(self, part: nn.Module, call: Call) -> None:
        super().__init__()
        self.part, self.call = part, call

    def forward(self, *tensors: Tensor) -> Any:
        """What the network returns."""
        args, options = self.call.put(tensors)
        return self.part(*args, **options)


class _Program(nn.Module):
    """A half that takes and returns tensors in a fixed order, as programs do."""

    def __init__(self, part: nn.Module, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.part, self.inputs, self.outputs = part, tuple(inputs), tuple(outputs)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The half's outputs in their order."""
        named = _named(self.part, dict(zip(self.inputs, tensors, strict=True)))
        return tuple(named[name] for name in self.outputs)


def _named(part: nn.Module, arguments: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A half's outputs by name: a tail takes its arguments by name, a head the network's inputs in order."""
    if isinstance(part, Tail):
        return part.made(arguments)
    if not isinstance(part, Head):
        return flat_outputs(part(*arguments.values()))
    found = part.on([*arguments.values()])
    return {**found, **{_free(path, found): tensor for path, tensor in found.kept.items()}}


def export_plan(plan: Plan, folder: Path, to: str = "onnx", *, networks: Sequence[str] = (),
                weights: str | None = None) -> list[ExportedHalf]:  # fmt: skip
    """Write `plan.json` and the halves of a plan into a folder, and compare them with torch on a random image.

    `to` is one of FORMATS; `networks` are the builders beyond torchvision's that may run here. Raises InputError for a
    plan of numbers alone or an unknown format, MissingExtraError where ONNX is not installed, ExportError where a half
    has an operation that the format does not know.
    """
    if to not in FORMATS:
        raise InputError("--to", f"{to!r} is not one of {', '.join(FORMATS)}")
    network = check_runnable(plan, "plan")
    plan.check_two("plan", "exports are made")
    if to == "onnx":
        _need_onnx()
    module = build(network.builder, weights or network.weights, networks)
    traced = trace_checked(network.builder, module, network, network, network.granularity)
    images = _image(module, traced)
    halves = split_traced(traced, plan.edge_layers) if plan.x2 else (_Whole(module, traced.call), None)
    make_folder(folder)
    with torch.no_grad():
        written = [export_half(name, part, arguments, folder, to)
                   for name, part, arguments in _parts(plan, halves, traced.call, images)]
    plan.save(folder / "plan.json")
    return written


def export_half(name: str, part: nn.Module, arguments: Mapping[str, Tensor], folder: Path, to: str) -> ExportedHalf:
    """Write one half and compare it with torch on these arguments; gradients must be off."""
    outputs = _named(part, arguments)
    program = _Program(part, tuple(arguments), tuple(outputs)).eval()
    tensors = tuple(arguments.values())
    names = tuple(_free(output, arguments) for output in outputs)
    _check_known(name, to, {**arguments, **outputs})
    with _quiet(), _failing(name):
        exported = torch.export.export(program, tensors)
        data = _onnx(exported, [*arguments, *names]) if to == "onnx" else _pt2(exported)
    path = folder / f"{name}{FORMATS[to]}"
    write_atomically(path, data)
    with _quiet(), _failing(name):
        found = run_onnx(path, arguments) if to == "onnx" else list(torch.export.load(path).module()(*tensors))
    return ExportedHalf(name, path, program.inputs, names, largest_difference(found, outputs.values()))


def run_onnx(path: Path, arguments: Mapping[str, Tensor]) -> list[Tensor]:
    """What onnxruntime makes of a file, on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(array) for array in session.run(None, {k: v.numpy() for k, v in arguments.items()})]


def largest_difference(found: Sequence[Tensor], expected: Any) -> float:
    """The largest over pairs of tensors of max |found - expected| / max |expected|; infinite where shapes differ."""
    return max((_difference(ours, theirs) for ours, theirs in zip(expected, found, strict=True)), default=0.0)


def _difference(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape:
        return math.inf
    wide = torch.complex128 if ours.is_complex() else torch.float64
    ours, theirs = ours.to(wide), theirs.to(wide)
    other = ~((ours == theirs) | (ours.isnan() & theirs.isnan()))
    if not other.any():
        return 0.0
    scale = float(ours[ours.isfinite()].abs().max()) if ours.isfinite().any() else 0.0
    worst = float((theirs - ours)[other].abs().max())
    return worst / (scale or 1.0) if math.isfinite(worst) else math.inf


def random_image(spec: TensorSpec) -> Tensor:
    """An input of random numbers from SEED (`measurement.tracing.calls.random_input`)."""
    return random_input(spec, SEED)


def _image(module: nn.Module, traced: TracedNetwork) -> list[Tensor]:
    """Random inputs, or the plan's example where the network does not take them."""
    tensors = [random_image(spec) for spec in traced.input_tensors.values()]
    try:
        with torch.no_grad():
            _Whole(module, traced.call)(*(tensor.clone() for tensor in tensors))
    except Exception:  # noqa: BLE001 - a network's forward may raise anything
        return [example_input(spec) for spec in traced.input_tensors.values()]
    return tensors


def _check_known(half: str, to: str, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if to == "onnx" and tensor.is_complex():
            raise ExportError(half, f"the tensor {name!r} is complex, which ONNX does not know; use --to torch")


def _parts(plan: Plan, halves: tuple[nn.Module, nn.Module | None],
           call: Call, images: Sequence[Tensor]) -> Iterator[tuple[str, nn.Module, Mapping[str, Tensor]]]:  # fmt: skip
    head, tail = halves
    crossing = dict(head.on(images)) if isinstance(head, Head) else {}
    if plan.x1:
        names = [IMAGE] if call.names == (INPUT,) else call.names
        yield "head", head, {_free(name, crossing): image for name, image in zip(names, images, strict=True)}
    if tail is not None:
        yield "tail", tail, crossing


def _free(name: str, crossing: Collection[str]) -> str:
    """The name of what does not cross; those of a file are apart, and a layer may be called `image` or `output`."""
    while name in crossing:
        name += "_"
    return name


def _onnx(exported: Any, names: Sequence[str]) -> bytes:
    """The file's bytes, with these names of inputs and outputs. Values inside get numbers for names: those of the exporter
    may be a crossing tensor's."""
    made = torch.onnx.export(exported, dynamo=True, verbose=False)
    assert made is not None
    graph = made.model.graph
    for k, value in enumerate(value for node in graph for value in node.outputs):
        value.name = f"value_{k}"
    for value, name in zip([*graph.inputs, *graph.outputs], names, strict=True):
        value.name = name
    data: bytes = made.model_proto.SerializeToString()
    return data


def _pt2(exported: Any) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    return buffer.getvalue()


def _need_onnx() -> None:
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("writing ONNX", "export") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell their developers much that a user can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet():
            yield
    finally:
        logging.disable(before)


@contextmanager
def _failing(half: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # exporters raise anything
        first = next((line for line in str(error).strip().splitlines() if line), type(error).__name__)
        raise ExportError(half, first) from error
