"""`profile_network`: a network to a `NetworkProfile`."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from lmos_opt.graph import all_before
from lmos_opt.profile import Granularity, NetworkProfile, NetworkSource, ProfileLayer
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

    A shared weight counts at the first layer that uses it. A later one names a layer before it that uses it too: the nearest one
    whose output it is made from (layers of one place that use a weight of an earlier place hold one copy together), or else
    the first one, of a parallel branch. Where three or more layers of parallel branches use a weight, a place may count it more
    than once, but never too little.
    """
    weights, shared = [], dict[str, int]()
    held = {place(tensor): tensor for tensor in _weights(traced, layer)}
    users = {where: counted.setdefault(where, []) for where in held}
    before = all_before({one.name: one.inputs for one in traced.layers}, layer.name) if any(users.values()) else ()
    for where, tensor in held.items():
        if not users[where]:
            weights.append(tensor)
        else:
            other = next((name for name in reversed(users[where]) if name in before), users[where][0])
            shared[other] = shared.get(other, 0) + stored_bytes(tensor)
        users[where].append(layer.name)
    return ProfileLayer(
        name=layer.name,
        kind=layer.kind,
        inputs=layer.inputs,
        macs=sum(traced.facts[node].macs for node in layer.nodes),
        params=sum(t.numel() for t in weights if isinstance(t, nn.Parameter)),
        weight_bytes=sum(map(stored_bytes, weights)),
        shared=shared,
        output_shape=layer.outputs[0].shape,
        output_bytes=sum(spec.bytes for spec in layer.outputs),
        outputs=layer.outputs,
        returned=layer.name in traced.returned,
        unknown_operations=tuple(dict.fromkeys(op for node in layer.nodes for op in traced.facts[node].unknown)),
        opaque=layer.name in traced.opaque,
        work=together(work for node in layer.nodes for work in traced.facts[node].work),
    )


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
