"""The plan's network where only one half of it is to run: proven to be the plan's, and of its weights that half's alone.

Its graph comes from shapes and its digest from weights that pass by a piece at a time, so that a head of a megabyte needs
no more than that, whatever the whole network weighs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn

from lmos_opt.errors import InputError, LmosError
from lmos_opt.plan import PlannedNetwork
from measurement.decoders.copies import eval_copy
from measurement.errors import UntraceableError
from measurement.networks import is_open
from measurement.networks.hollow import HollowNetwork
from measurement.tracing import TracedNetwork
from runner.parts.network import DigestError, Graphs, build, builder_here, checked, example_of, trace_checked

OwnNetwork: TypeAlias = nn.Module | TracedNetwork
"""A network that is here already: as it is, or traced."""


@dataclass(frozen=True)
class LoadedNetwork:
    """The network, empty if it can be, and its graph. A part of it means something once `hollow.fill` gave it its weights."""

    hollow: HollowNetwork
    traced: TracedNetwork


@torch.inference_mode(False)  # whatever the caller's mode is: torch.export takes no weights that were made inside it
def load_planned(network: PlannedNetwork, weights: str, networks: Sequence[str],
                 module: OwnNetwork | None = None, graphs: Graphs | None = None) -> LoadedNetwork:  # fmt: skip
    """The network of a plan with these `weights`, which may lie elsewhere than the plan says.

    `networks` are the builders beside torchvision's that may run here; a `module` that is there already is proven to be the plan's
    and not built, nor, if it is traced already for the plan's inputs, traced again. A network of theirs that cannot be traced by
    its shapes alone is built whole; `graphs` are asked for its graph. Raises InputError for one that may not run, DigestError for
    another one than the plan's, and what `build_network` and `trace_network` raise.
    """
    if module is None:
        here = builder_here(network.builder, networks)
        try:
            return _hollow(here, network, weights)
        except LmosError as error:
            if is_open(here) and not isinstance(error, InputError | UntraceableError):
                raise
        module = build(network.builder, weights, networks)
    elif isinstance(module, TracedNetwork):
        if _is_as_planned(module, network):
            return LoadedNetwork(HollowNetwork.of(eval_copy(module.module)), checked(network.builder, module, network))
        module = eval_copy(module.module)
    else:
        module = eval_copy(module)
    traced = trace_checked(network.builder, module, network, network, network.granularity, graphs)
    return LoadedNetwork(HollowNetwork.of(module), traced)


def _is_as_planned(traced: TracedNetwork, network: PlannedNetwork) -> bool:
    """Whether it was traced for the plan's inputs and layers: whether it is the plan's network its digest tells."""
    shapes = [{name: (spec.shape, spec.dtype) for name, spec in record.input_tensors.items()} for record in (traced, network)]
    return shapes[0] == shapes[1] and (traced.arguments, traced.granularity) == (network.arguments, network.granularity)


def _hollow(builder: str, network: PlannedNetwork, weights: str) -> LoadedNetwork:
    hollow = HollowNetwork.build(builder, weights, allow_code=not is_open(builder))
    traced = hollow.trace(example_of(network), network.granularity, opaque=network.opaque)
    found = hollow.digest(traced.structure)
    if found != network.digest:
        raise DigestError(network.builder, network, found)
    return LoadedNetwork(hollow, traced)
