"""`profile_network`: a network to a `NetworkProfile`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from lmos_opt.graph import all_before
from lmos_opt.profile import Granularity, NetworkProfile, NetworkSource, ProfileLayer, Shared
from measurement.networks import network_digest
from measurement.tracing import TracedLayer, TracedNetwork, trace_network
from measurement.tracing.calls import Example
from measurement.tracing.stored import holders, place, stored_bytes
from measurement.tracing.work import together


def profile_network(
    module: nn.Module,
    example_input: Example,
    *,
    granularity: Granularity = "module",
    name: str | None = None,
    network: NetworkSource | None = None,
    opaque: Collection[str] = (),
) -> NetworkProfile:
    """The profile of `module` in eval mode: its layers with their graph, work (MACs) and sizes (B).

    `example_input` is a tensor, a tuple of arguments, or a dictionary of them by name; other inputs must have the same shapes.
    Parameters on torch's `meta` device are enough. `name` is the profile's name (default: the module's class in snake case),
    `network` says how to build the module again, and `opaque` are the paths of parts that stay whole. Raises the errors of
    `trace_network`.
    """
    return profile_traced(trace_network(module, example_input, granularity, opaque=opaque), name=name, network=network)


def profile_built(builder: str, weights: str, module: nn.Module, traced: TracedNetwork) -> NetworkProfile:
    """The profile of a traced network that `build_network` has made, with its builder, weights and digest."""
    source = NetworkSource(builder=builder, weights=weights, digest=network_digest(module, traced.structure))
    return profile_traced(traced, name=builder.rpartition(":")[2], network=source)


def profile_traced(
    traced: TracedNetwork, *, name: str | None = None, network: NetworkSource | None = None
) -> NetworkProfile:
    """The profile of a network that is traced already."""
    counted: dict[object, list[str]] = {}
    layers = [_layer(traced, layer, counted) for layer in traced.layers]
    unknown = dict.fromkeys(op for layer in layers for op in layer.unknown_operations)
    return NetworkProfile(
        schema="lmos.profile/1",
        name=name or traced.name,
        granularity=traced.granularity,
        network=network,
        input_tensors=traced.input_tensors,
        arguments=traced.arguments,
        layers=tuple(layers),
        unknown_operations=tuple(unknown),
    )


def _layer(traced: TracedNetwork, layer: TracedLayer, counted: dict[object, list[str]]) -> ProfileLayer:
    """The layer's numbers. `counted` has the layers so far that use a weight, by the weight's place in memory; this one is added.

    A shared weight counts at the first layer that uses it. A later one names the layers before it that use it too.
    """
    weights, shared = [], dict[tuple[str, ...], int]()
    for where, tensor in {place(tensor): tensor for tensor in _weights(traced, layer)}.items():
        users = counted.setdefault(where, [])
        if not users:
            weights.append(tensor)
        else:
            others = _nearest(traced, users, layer.name)
            shared[others] = shared.get(others, 0) + stored_bytes(tensor)
        users.append(layer.name)
    return ProfileLayer(
        name=layer.name,
        kind=layer.kind,
        inputs=layer.inputs,
        macs=sum(traced.facts[node].macs for node in layer.nodes),
        params=sum(t.numel() for t in weights if isinstance(t, nn.Parameter)),
        weight_bytes=sum(map(stored_bytes, weights)),
        shared=tuple(Shared(layers=others, bytes=n_bytes) for others, n_bytes in shared.items()),
        output_shape=layer.outputs[0].shape,
        output_bytes=sum(spec.bytes for spec in layer.outputs),
        outputs=layer.outputs,
        returned=layer.name in traced.returned,
        unknown_operations=tuple(dict.fromkeys(op for node in layer.nodes for op in traced.facts[node].unknown)),
        opaque=layer.name in traced.opaque,
        varies=layer.name in traced.uncut,
        work=together(work for node in layer.nodes for work in traced.facts[node].work),
    )


def _nearest(traced: TracedNetwork, users: Sequence[str], name: str) -> tuple[str, ...]:
    """The users of a weight that say whether a place that runs layer `name` runs any of them: a user is left out if the layer is
    made from another user, and that one from it. In such a row of layers, a place that runs both ends runs what is between."""
    inputs = {one.name: one.inputs for one in traced.layers}
    before, farther = all_before(inputs, name), set[str]()
    for user in reversed(users):
        if user in before - farther:
            farther |= all_before(inputs, user)
    return tuple(user for user in users if user not in farther)


def _weights(traced: TracedNetwork, layer: TracedLayer) -> list[Tensor | torch.ScriptObject]:
    """What holds the parameters and buffers that the layer's nodes use, in order."""
    found: list[Tensor | torch.ScriptObject] = []
    for node in layer.nodes:
        if node.op == "call_module":
            found += holders(traced.graph_module.get_submodule(str(node.target)))
        for source in node.all_input_nodes:
            if source.op == "get_attr":
                found += holders(traced.attribute(source))
    return found
