"""What both sides do with a network: build it, prove that it is the plan's, and read its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import MappingKey, TreeSpec, tree_flatten_with_path, tree_leaves, tree_unflatten

from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import edge_memory
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan
from lmos_opt.profile import Granularity, NetworkSource, TensorSpec
from lmos_opt.tensors import InputSpec, TakesInputs
from measurement.networks import build_network, network_digest
from measurement.profiling import profile_traced
from measurement.sources import get
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.aliasing import Slot
from measurement.tracing.calls import ByParameter, given_by, step
from measurement.tracing.kept import Document
from runner.errors import RunnerError
from runner.wire.tensors import DTYPES


class DigestError(RunnerError):
    """The network that was built here is not the one that the plan was made for."""

    def __init__(self, where: str, source: NetworkSource, found: str) -> None:
        self.expected, self.found = source.digest, found
        super().__init__(where, f"built here with weights {source.weights}, it is not the plan's network: its digest "
                                f"is {_short(found)}, the plan's {_short(source.digest)}; its code or its weights "
                                "are others")  # fmt: skip


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12]


def example_of(record: TakesInputs) -> Tensor | ByParameter:
    """What the network may be called with: `example_input` of each of its inputs. InputError likewise."""
    return given_by(record, {name: example_input(spec) for name, spec in record.input_tensors.items()})


def example_input(spec: TensorSpec) -> Tensor:
    """Zeros of the input's shape and dtype. InputError for one that this machine cannot hold.

    Of whole numbers whose range is known, the first half is the greatest and the rest the least: lengths, masks and indices that
    the network takes.
    """
    try:
        found = torch.zeros(spec.shape, dtype=DTYPES[spec.dtype])
        if isinstance(spec, InputSpec) and spec.low is not None and spec.high is not None:
            flat = found.view(-1)
            flat[: (flat.numel() + 1) // 2], flat[(flat.numel() + 1) // 2 :] = spec.high, spec.low
        return found
    except (RuntimeError, MemoryError, OverflowError):
        shape = "x".join(map(str, spec.shape))
        raise InputError("input", f"{shape} {spec.dtype} are {spec.bytes} bytes, more than this machine can hold") from None


def build(builder: str, weights: str, networks: Sequence[str]) -> nn.Module:
    """The network of a builder. Other builders than torchvision's must be among `networks`.

    Raises the errors of `builder_here` and `build_network`.
    """
    here = builder_here(builder, networks)
    return build_network(here, weights, allow_code=here in networks)


def builder_here(builder: str, networks: Sequence[str]) -> str:
    """The builder that stands for a plan's on this machine: itself, or one of `networks` that names a copy of it.

    A folder lies elsewhere on another machine: one of the same name stands for it, and the digest tells whether it is the same.
    InputError for one that is neither among `networks` nor of a source whose networks anybody may ask for.
    """
    if builder in networks:
        return builder
    source, name = get(builder)
    if source.is_open:
        return builder
    place = builder.partition(":")[0]
    for allowed in networks:
        other, theirs = get(allowed)
        is_same = other is source or allowed.partition(":")[0] == source.whose
        if is_same and source.stands_for(theirs, name):
            return allowed if other is source else f"{place}:{theirs}"
    what = "code to run" if source.runs_code else f"a network of {builder.partition(':')[0]}"
    raise InputError(builder, f"names {what}, which nobody allowed here: --network {builder} allows it")


class Graphs(Protocol):
    """Graphs of networks that were traced before. One that is read is proven to be the network's, as one that was just made."""

    def read(self, source: NetworkSource, inputs: TakesInputs) -> Document | None:
        """The graph of this network for these inputs; None if there is none."""

    def write(self, source: NetworkSource, inputs: TakesInputs, document: Document) -> None:
        """Keep a graph, where that can be."""


def trace_checked(where: str, module: nn.Module, source: NetworkSource, inputs: TakesInputs, granularity: Granularity,
                  graphs: Graphs | None = None) -> TracedNetwork:  # fmt: skip
    """The traced network; DigestError unless it is the source's, in architecture and weights."""
    kept = None if graphs is None else graphs.read(source, inputs)
    traced = checked(where, trace_network(module, example_of(inputs), granularity, opaque=source.opaque, document=kept), source)
    if graphs is not None and traced.document not in (None, kept):
        graphs.write(source, inputs, traced.document)
    return traced


def checked(where: str, traced: TracedNetwork, source: NetworkSource) -> TracedNetwork:
    """The same; DigestError unless it is the source's, in architecture and weights."""
    found = network_digest(traced.module, traced.structure)
    if found != source.digest:
        raise DigestError(where, source, found)
    return traced


def flat_outputs(output: object) -> dict[str, Tensor]:
    """The tensors in a network's output, by path: `output`, `output.0`, `output.logits`.

    A key that is no plain word stands as Python writes it, so that no two paths look the same: `output['a.b']`, `output[3]`.
    """
    found = {}
    for path, leaf in tree_flatten_with_path(output)[0]:
        if isinstance(leaf, Tensor):
            found[_path(path)] = leaf
    return found


def memory_here(plan: Plan, traced: TracedNetwork, edge_layers: Iterable[str]) -> int:
    """What these layers need at the edge (B), by the plan's own model."""
    instance = Instance.from_profile(profile_traced(traced, name="whole"))
    return edge_memory(instance, frozenset(edge_layers), plan.setting.memory_model)


class Leaf(NamedTuple):
    """One leaf of a network's output: its path, what computes it (None: a constant), its number among that value's leaves, and
    what tensor (None: it is none, and `value` is what it was on the example)."""

    path: str
    node: fx.Node | None
    place: int
    spec: TensorSpec | None
    value: object = None


def leaves_of(traced: TracedNetwork) -> list[Leaf]:
    """The leaves of the network's output, in their order, for an input of the shape that it was traced with."""
    output = next(node for node in traced.graph_module.graph.nodes if node.op == "output")
    found: list[tuple[fx.Node | None, int, TensorSpec | None, object]] = []
    for value in tree_leaves(output.args[0]):
        facts = traced.facts.get(value) if isinstance(value, fx.Node) else None
        if facts is None:
            found.append((value, 0, None, None) if isinstance(value, fx.Node) else (None, 0, None, value))
            continue
        for place, leaf in enumerate(tree_leaves(facts.value)):
            found.append((value, place, facts.tensors[leaf.k], None) if isinstance(leaf, Slot) else (value, place, None, leaf))
    numbered = tree_unflatten(list(range(len(found))), traced.output_structure)
    paths = [_path(path) for path, _ in tree_flatten_with_path(numbered)[0]]
    return [Leaf(path, *rest) for path, rest in zip(paths, found, strict=True)]


@dataclass(frozen=True)
class OutputForm:
    """How a network's output is put together from its tensors: the leaves in their order, and the structure around them."""

    leaves: tuple[Leaf, ...]
    structure: TreeSpec

    @classmethod
    def of(cls, traced: TracedNetwork) -> OutputForm:
        """The form of a traced network's output, for an input of the shape that it was traced with."""
        return cls(tuple(leaf._replace(node=None) for leaf in leaves_of(traced)), traced.output_structure)

    def build(self, tensors: Mapping[str, Tensor]) -> Any:
        """The output as the network returns it, from what `flat_outputs` finds in it."""
        return tree_unflatten([leaf.value if leaf.spec is None else tensors[leaf.path] for leaf in self.leaves], self.structure)


def outputs_of(traced: TracedNetwork) -> dict[str, TensorSpec]:
    """What `flat_outputs` finds in the network's output, for an input of the shape that it was traced with."""
    return {leaf.path: leaf.spec for leaf in leaves_of(traced) if leaf.spec is not None}


def varying_outputs(traced: TracedNetwork) -> frozenset[str]:
    """Those of `outputs_of` whose sizes nobody knows before: those that depend on numbers, and what parts that were kept whole
    have a hand in, as a detector's boxes."""
    reached = {node for layer in traced.layers if layer.name in traced.opaque for node in layer.nodes}
    for node in traced.graph_module.graph.nodes:
        if not reached.isdisjoint(node.all_input_nodes):
            reached.add(node)
    reached |= {node for node, facts in traced.facts.items() if facts.varies}
    return frozenset(leaf.path for leaf in leaves_of(traced) if leaf.node in reached)


def _path(path: Sequence[object]) -> str:
    return "".join(["output", *map(_step, path)])


def _step(part: object) -> str:
    if not isinstance(part, MappingKey):  # of a sequence, a named tuple, or what somebody registered
        return f".{next((getattr(part, name) for name in ('idx', 'name') if hasattr(part, name)), part)}"
    return step(part.key)


def logits_of(outputs: Mapping[str, Tensor]) -> Tensor | None:
    """The tensor that says the classes: `output.logits` if it has the shape (batch, classes), else the one that has it.

    None if the result is no classification: no tensor of it has two dimensions, or several have.
    """
    flat = {name: tensor for name, tensor in outputs.items() if tensor.dim() == 2 and tensor.dtype != torch.bool}
    if "output.logits" in flat:
        return flat["output.logits"]
    return next(iter(flat.values())) if len(flat) == 1 else None


def class_of(outputs: Mapping[str, Tensor]) -> int | None:
    """The index of the largest logit; None if the outputs are not those of a classifier.

    Complex logits, which a peer may send, are compared by their magnitude. Without any number the index is 0.
    """
    logits = logits_of(outputs)
    return None if logits is None else class_in(logits)


def class_in(logits: Tensor) -> int:
    """The index of the largest of these logits (see `class_of`)."""
    if logits.is_complex():
        logits = logits.abs()
    return int(logits.argmax()) if logits.numel() else 0


def in_words(outputs: Mapping[str, Tensor]) -> str:
    """The outputs of a network in words: `output.out float32[1, 21, 224, 224]`."""
    return ", ".join(f"{name} {str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}" for name, tensor in outputs.items())
