"""The plan's network where only one half of it is to run: proven to be the plan's, and of its weights that half's alone.

Its graph comes from shapes and its digest from weights that pass by a piece at a time, so that a head of a megabyte needs
no more than that, whatever the whole network weighs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from lmos_opt.errors import InputError, LmosError
from lmos_opt.plan import PlannedNetwork
from measurement.errors import UntraceableError
from measurement.networks import is_open
from measurement.networks.hollow import HollowNetwork
from measurement.tracing import TracedNetwork
from runner.parts.halves import eval_copy
from runner.parts.network import DigestError, Graphs, build, builder_here, example_of, trace_checked


@dataclass(frozen=True)
class LoadedNetwork:
    """The network, empty where it can be, and its graph. A part of it means something once `hollow.fill` gave it its weights."""

    hollow: HollowNetwork
    traced: TracedNetwork


def load_planned(network: PlannedNetwork, weights: str, networks: Sequence[str],
                 module: nn.Module | None = None, graphs: Graphs | None = None) -> LoadedNetwork:  # fmt: skip
    """The network of a plan with these `weights`, which may lie elsewhere than the plan says.

    `networks` are the builders beside torchvision's that may run here; a `module` that is there already is proven to be the plan's
    and not built. A network of theirs that cannot be traced by its shapes alone is built whole; `graphs` are asked for its
    graph. Raises RunnerError for one that may not run, DigestError for another one than the plan's, and what `build_network` and
    `trace_network` raise.
    """
    if module is None:
        here = builder_here(network.builder, networks)
        try:
            return _hollow(here, network, weights)
        except LmosError as error:
            if is_open(here) and not isinstance(error, InputError | UntraceableError):
                raise
        module = build(network.builder, weights, networks)
    else:
        module = eval_copy(module)
    traced = trace_checked(network.builder, module, network, network, network.granularity, graphs)
    return LoadedNetwork(HollowNetwork.of(module), traced)


def _hollow(builder: str, network: PlannedNetwork, weights: str) -> LoadedNetwork:
    hollow = HollowNetwork.build(builder, weights, allow_code=not is_open(builder))
    traced = hollow.trace(example_of(network), network.granularity, opaque=network.opaque)
    found = hollow.digest(traced.structure)
    if found != network.digest:
        raise DigestError(network.builder, network, found)
    return LoadedNetwork(hollow, traced)
