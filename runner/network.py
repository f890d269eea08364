"""What both sides do with a network: build it, prove that it is the plan's, and read its outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._pytree import MappingKey, tree_flatten, tree_flatten_with_path, tree_unflatten

from lmos_opt.profile import Granularity, NetworkSource, TensorSpec
from measurement.networks import build_network, network_digest
from measurement.tracing import TracedNetwork, trace_network
from runner.errors import RunnerError
from runner.tensors import DTYPES

_PLAIN_KEY = re.compile(r"[^.\[\s]+")


class DigestError(RunnerError):
    """The network that was built here is not the one that the plan was made for."""

    def __init__(self, where: str, source: NetworkSource, found: str) -> None:
        self.expected, self.found = source.digest, found
        super().__init__(where, f"built here with weights {source.weights}, it is not the plan's network: its digest "
                                f"is {_short(found)}, the plan's {_short(source.digest)}")  # fmt: skip


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12]


def example_input(spec: TensorSpec) -> Tensor:
    """Zeros of the input's shape and dtype."""
    return torch.zeros(spec.shape, dtype=DTYPES[spec.dtype])


def is_torchvision(builder: str) -> bool:
    """Whether a builder names a model of torchvision, and no code of anybody else."""
    return builder.startswith("torchvision:")


def build(builder: str, weights: str, networks: Sequence[str]) -> nn.Module:
    """The network; a builder that is code of anybody else must be among `networks`, by its full name.

    Raises RunnerError for code that is not, and what `build_network` raises.
    """
    check_allowed(builder, networks)
    return build_network(builder, weights, allow_code=builder in networks)


def check_allowed(builder: str, networks: Sequence[str]) -> None:
    """RunnerError for a builder that is code of anybody else, unless it is among `networks`."""
    if not is_torchvision(builder) and builder not in networks:
        raise RunnerError(builder, f"names code to run, which nobody allowed here: --network {builder} does")


def trace_checked(
    where: str, module: nn.Module, source: NetworkSource, spec: TensorSpec, granularity: Granularity
) -> TracedNetwork:
    """The traced network; DigestError unless it is the source's, in architecture and weights."""
    traced = trace_network(module, example_input(spec), granularity)
    found = network_digest(module, traced.structure)
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


def outputs_of(traced: TracedNetwork) -> dict[str, TensorSpec]:
    """What `flat_outputs` finds in the network's output, for an input of the shape that it was traced with."""
    output = next(node for node in traced.graph_module.graph.nodes if node.op == "output")
    leaves = [traced.facts[leaf].tensors[0] if leaf in traced.facts and traced.facts[leaf].tensors else leaf
              for leaf in tree_flatten(output.args[0])[0]]  # fmt: skip
    found = tree_flatten_with_path(tree_unflatten(leaves, traced.output_structure))[0]
    return {_path(path): leaf for path, leaf in found if isinstance(leaf, TensorSpec)}


def _path(path: Sequence[object]) -> str:
    return "".join(["output", *map(_step, path)])


def _step(part: object) -> str:
    if not isinstance(part, MappingKey):  # of a sequence, a named tuple, or what somebody registered
        return f".{next((getattr(part, name) for name in ('idx', 'name') if hasattr(part, name)), part)}"
    key = part.key
    plain = isinstance(key, str) and _PLAIN_KEY.fullmatch(key) and key.isprintable()
    return f".{key}" if plain else f"[{key!r}]"


def logits_of(outputs: Mapping[str, Tensor]) -> Tensor:
    """The tensor that holds the classes: `output.logits`, `output.out`, or the first there is."""
    return next((outputs[name] for name in ("output.logits", "output.out") if name in outputs),
                next(iter(outputs.values())))  # fmt: skip


def class_of(outputs: Mapping[str, Tensor]) -> int:
    """The index of the largest logit, by its magnitude where they are complex (a peer may say so); 0 where there is none."""
    logits = logits_of(outputs)
    if logits.is_complex():
        logits = logits.abs()
    return int(logits.flatten().argmax()) if logits.numel() else 0
