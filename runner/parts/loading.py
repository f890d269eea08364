"""The plan's network where only one half of it is to run: proven to be the plan's, and of its weights that half's alone.

Its graph comes from shapes and its digest from weights that pass by a piece at a time, so that a head of a megabyte needs
no more than that, whatever the whole network weighs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmos_opt.errors import LmosError
from lmos_opt.plan import PlannedNetwork
from lmos_opt.tensors import only_input
from measurement.networks.hollow import HollowNetwork
from measurement.tracing import TracedNetwork
from runner.parts.network import DigestError, build, check_allowed, example_input, is_torchvision, trace_checked


@dataclass(frozen=True)
class LoadedNetwork:
    """The network, empty where it can be, and its graph. A part of it means something once `hollow.fill` gave it its weights."""

    hollow: HollowNetwork
    traced: TracedNetwork


def load_planned(network: PlannedNetwork, weights: str, networks: Sequence[str]) -> LoadedNetwork:
    """The network of a plan with these `weights`, which may lie elsewhere than the plan says.

    `networks` are the `package.module:callable` that may run here. A network of the user's own that cannot be traced by its
    shapes alone is built whole. Raises RunnerError for one that may not run, DigestError for another one than the plan's,
    and what `build_network` and `trace_network` raise.
    """
    check_allowed(network.builder, networks)
    try:
        return _hollow(network, weights)
    except LmosError:
        if is_torchvision(network.builder):
            raise
    module = build(network.builder, weights, networks)
    traced = trace_checked(network.builder, module, network, only_input(network), network.granularity)
    return LoadedNetwork(HollowNetwork.of(module), traced)


def _hollow(network: PlannedNetwork, weights: str) -> LoadedNetwork:
    hollow = HollowNetwork.build(network.builder, weights, allow_code=not is_torchvision(network.builder))
    traced = hollow.trace(example_input(only_input(network)), network.granularity)
    found = hollow.digest(traced.structure)
    if found != network.digest:
        raise DigestError(network.builder, network, found)
    return LoadedNetwork(hollow, traced)
