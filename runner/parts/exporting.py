"""The parts of a plan as programs for other runtimes: ONNX, or `torch.export`. Each is compared with torch.

The first part takes the network's inputs. It returns the plan's crossing tensors, under their names, and then those outputs of the
network that it makes. A later part takes what crosses the hop before it, and returns what it makes for the next hop, and then its
own outputs of the network. A tensor that a part only passes on is neither its input nor its output.

Two parts are called `head` and `tail`; more are called `place_1`, `place_2` and so on. The whole network, if it is wanted, is
called `whole`. Shapes are those of the plan. A place without layers has no file, and neither has a part that returns nothing.
`export.json` describes the files (`runner.parts.exported`).
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy as copy_of
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_structure

from lmos_opt.errors import InputError, LmosError, MissingExtraError, let_interruption_through
from lmos_opt.graph import INPUT
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.processes.writing import make_folder, write_atomically
from lmos_opt.profile import TensorSpec
from measurement.onnx_files.joining import joined, output_node
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import Call, random_input
from measurement.tracing.capture import quiet
from runner.parts.exported import WHOLE, ExportedPart, write_index
from runner.parts.network import build, example_input, flat_outputs, trace_checked
from runner.parts.part import Crossing, Head, Middle, Tail
from runner.parts.split import split_along

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
IMAGE = "image"
TWO = ("head", "tail")
"""The names of the parts, if there are two."""
SEED = 0
"""The seed of the random inputs that the comparison uses. Zeros would hide what weights do."""


class ExportError(LmosError):
    """The part `part` cannot be written in the format."""

    def __init__(self, part: str, reason: str) -> None:
        self.part = part
        name = "the whole network" if part == WHOLE else f"the {part}" if part in TWO else part
        super().__init__(f"{name} cannot be exported: {reason}")


class Whole(nn.Module):
    """A network that takes its input tensors one after another, whatever structure its own arguments have."""

    def __init__(self, part: nn.Module, call: Call) -> None:
        super().__init__()
        self.part, self.call = part, call

    def forward(self, *tensors: Tensor) -> Any:
        """What the network returns."""
        args, options = self.call.put(tensors)
        return self.part(*args, **options)


class _Program(nn.Module):
    """A part that takes and returns tensors in a fixed order, as programs do."""

    def __init__(self, part: nn.Module, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.part, self.inputs, self.outputs = part, tuple(inputs), tuple(outputs)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The part's outputs in their order."""
        named = _named(self.part, dict(zip(self.inputs, tensors, strict=True)))
        return tuple(named[name] for name in self.outputs)


def _named(part: nn.Module, arguments: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A part's outputs by name: the first one takes the network's inputs in order, others their arguments by name."""
    return _together(*_made(part, arguments))


def _together(crossing: Mapping[str, Tensor], result: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {**crossing, **{_free(path, crossing): tensor for path, tensor in result.items()}}


def _made(part: nn.Module, arguments: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """What a part makes of what crosses, by name, and of the network's result, by path."""
    if isinstance(part, Tail):
        return {}, part.made(arguments)
    if isinstance(part, Middle):
        found = part.made(arguments)
    elif isinstance(part, Head):
        found = part.on([*arguments.values()])
    else:
        return {}, flat_outputs(part(*arguments.values()))
    return found, found.kept


def export_plan(plan: Plan, folder: Path, to: str = "onnx", *, networks: Sequence[str] = (),
                weights: str | None = None, whole: bool = False) -> list[ExportedPart]:  # fmt: skip
    """Write `plan.json`, the parts of a plan and `export.json` into a folder, and compare the parts with torch on random inputs.

    - `to`: one of FORMATS.
    - `networks`: builders that may run here, besides torchvision's.
    - `weights`: the weights, if they are not where the plan says.
    - `whole`: also write the whole network, for an edge that loses its server.

    Returns the written parts in the order of the places; a part that returns nothing is not written. Raises InputError for a plan
    made from an instance file and for an unknown format, MissingExtraError if ONNX is not installed, and ExportError if a part has
    an operation that the format does not have.
    """
    if to not in FORMATS:
        raise InputError("--to", f"{to!r} is not one of {', '.join(FORMATS)}")
    network = check_runnable(plan, "plan")
    if to == "onnx":
        _need_onnx()
    module = build(network.builder, weights or network.weights, networks)
    traced = trace_checked(network.builder, module, network, network, network.granularity)
    images = _image(module, traced)
    parts = split_along(traced, plan.edge_layers, plan.later_layers) if plan.offloads else (Whole(module, traced.call),)
    make_folder(folder)
    with torch.no_grad():
        written = [_write(name, part, arguments, made, folder, to)
                   for name, part, arguments in _with_arguments(plan, parts, traced.call, images)
                   if any(made := _made(part, arguments))]
        if whole:
            written.append(export_part(WHOLE, Whole(module, traced.call), _inputs(traced.call, images), folder, to))
    plan.save(folder / "plan.json")
    write_index(plan, traced, to, written, folder)
    return written


def names_of_parts(plan: Plan) -> Sequence[str]:
    """The names of a plan's parts, one for each place."""
    return TWO if plan.n_places == 2 else [f"place_{p}" for p in range(1, plan.n_places + 1)]


def export_part(name: str, part: nn.Module, arguments: Mapping[str, Tensor], folder: Path, to: str) -> ExportedPart:
    """Write one part, and compare it with torch on these arguments. The caller must have switched gradients off."""
    return _write(name, part, arguments, _made(part, arguments), folder, to)


def _write(name: str, part: nn.Module, arguments: Mapping[str, Tensor], made: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
           folder: Path, to: str) -> ExportedPart:  # fmt: skip
    """`export_part` of what torch has made of the arguments."""
    crossing, result = made
    outputs = _together(crossing, result)
    program = _Program(part, tuple(arguments), tuple(outputs)).eval()
    tensors = tuple(arguments.values())
    names = tuple(_free(output, arguments) for output in outputs)
    _check_known(name, to, {**arguments, **outputs})
    with _quiet(), _failing(name):
        data = _of_operators(part, arguments, outputs, names) if to == "onnx" else None
        if data is None:
            exported = torch.export.export(program, tensors)
            data = _onnx(exported, [*arguments, *names]) if to == "onnx" else _pt2(exported)
    path = folder / f"{name}{FORMATS[to]}"
    write_atomically(path, data)
    with _quiet(), _failing(name):
        found = run_onnx(path, arguments) if to == "onnx" else list(torch.export.load(path).module()(*tensors))
    return ExportedPart(name, path, program.inputs, names, largest_difference(found, outputs.values()), tuple(result),
                        crossing.as_sent() if isinstance(crossing, Crossing) else {})  # fmt: skip


def run_onnx(path: Path, arguments: Mapping[str, Tensor]) -> list[Tensor]:
    """The outputs of an ONNX file for these inputs, from onnxruntime with one thread on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(array) for array in session.run(None, {k: v.numpy() for k, v in arguments.items()})]


def largest_difference(found: Sequence[Tensor], expected: Any) -> float:
    """The largest value, over pairs of tensors, of max |found - expected| / max |expected|. It is infinite if two shapes differ."""
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
    """An input with random numbers from SEED (`measurement.tracing.calls.random_input`)."""
    return random_input(spec, SEED)


def _image(module: nn.Module, traced: TracedNetwork) -> list[Tensor]:
    """Random inputs, or the plan's example where the network does not take them."""
    tensors = [random_image(spec) for spec in traced.input_tensors.values()]
    try:
        with torch.no_grad():
            Whole(module, traced.call)(*(tensor.clone() for tensor in tensors))
    except Exception:  # noqa: BLE001 - a network's forward may raise anything
        return [example_input(spec) for spec in traced.input_tensors.values()]
    return tensors


def _check_known(part: str, to: str, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if to == "onnx" and tensor.is_complex():
            raise ExportError(part, f"the tensor {name!r} is complex, which ONNX does not know; use --to torch")


def _with_arguments(plan: Plan, parts: Sequence[nn.Module], call: Call,
                    images: Sequence[Tensor]) -> Iterator[tuple[str, nn.Module, Mapping[str, Tensor]]]:  # fmt: skip
    """The parts that have layers, or make some of the network's result, with their names and what they take."""
    names, first = names_of_parts(plan), parts[0]
    crossing: Mapping[str, Tensor] = first.on(images) if isinstance(first, Head) else {}
    if plan.edge_layers or (isinstance(first, Head) and first.keeps):
        yield names[0], first, _inputs(call, images, crossing)
    for name, part, count in zip(names[1:], parts[1:], plan.counts[1:], strict=False):
        untouched = part.untouched if isinstance(part, Middle) else ()
        if count:
            yield name, part, {name: tensor for name, tensor in crossing.items() if name not in untouched}
        if isinstance(part, Middle):
            crossing = part(crossing)


def _inputs(call: Call, images: Sequence[Tensor], crossing: Collection[str] = ()) -> dict[str, Tensor]:
    """The network's inputs by the names that a file has for them."""
    names = [IMAGE] if call.names == (INPUT,) else call.names
    return {_free(name, crossing): image for name, image in zip(names, images, strict=True)}


def _free(name: str, crossing: Collection[str]) -> str:
    """The name of what does not cross; those of a file are apart, and a layer may be called `image` or `output`."""
    while name in crossing:
        name += "_"
    return name


def _of_operators(part: nn.Module, arguments: Mapping[str, Tensor], outputs: Mapping[str, Tensor],
                  names: Sequence[str]) -> bytes | None:  # fmt: skip
    """The file's bytes where the part is one of an ONNX file: its operators as they are; None of torch's parts.

    Which of the part's values is which output shows in a run: they are the same tensors.
    """
    body = part.part if isinstance(part, Whole) else getattr(part, "body", None)
    if not isinstance(body, fx.GraphModule):
        return None
    seen = _Kept(body)
    given: Sequence[Any]
    if isinstance(part, Whole):
        copy: nn.Module = Whole(seen, part.call)
        given, takes = [*arguments.values()], tuple(arguments)
    else:
        assert isinstance(part, Head | Middle | Tail)
        given = part.arguments([*arguments.values()]) if isinstance(part, Head) else part.incoming.read_from(arguments)
        takes = tuple(arguments) if isinstance(part, Head) else part.incoming.read
        copy = copy_of(part)
        copy._modules = {**part._modules, "body": seen}
    found = _named(copy, arguments)
    nodes = {id(leaf): (node, place) for node, place, leaf in seen.tensors()}
    made = joined(body, given, takes, {name: nodes[id(found[output])] for output, name in zip(outputs, names, strict=True)})
    return None if made is None else made.model.to_bytes()


class _Kept(nn.Module):
    """Runs a part's graph and keeps what it returned."""

    def __init__(self, body: fx.GraphModule) -> None:
        super().__init__()
        self.body = body
        self.found: Any = None

    def forward(self, *args: Any, **options: Any) -> Any:
        self.found = self.body(*args, **options)
        return self.found

    def tensors(self) -> Iterator[tuple[fx.Node, int, Tensor]]:
        """What the nodes that the graph returns put out in the last run: node, which of its tensors, and the tensor."""
        result = output_node(self.body).args[0]
        result = dict(result) if isinstance(result, dict) else result  # a graph's own kind of dict is another
        for node, value in zip(tree_leaves(result), tree_structure(result).flatten_up_to(self.found), strict=True):
            for place, leaf in enumerate(tree_leaves(value)):
                if isinstance(node, fx.Node) and isinstance(leaf, Tensor):
                    yield node, place, leaf


def _onnx(exported: Any, names: Sequence[str]) -> bytes:
    """The file's bytes, with these names of inputs and outputs. Values inside get numbers for names, apart from these: those of the
    exporter may be a crossing tensor's."""
    made = torch.onnx.export(exported, dynamo=True, verbose=False)
    assert made is not None
    graph = made.model.graph
    inside = [*graph.initializers.values(), *(value for node in graph for value in node.outputs)]
    for k, value in enumerate(inside):
        value.name = _free(f"value_{k}", names)
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
def _failing(part: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # exporters raise anything
        let_interruption_through(error)
        first = next((line for line in str(error).strip().splitlines() if line), type(error).__name__)
        raise ExportError(part, first) from error
