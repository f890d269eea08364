"""`split_module`: a network cut into parts, one a place, that together give exactly what it gives whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import cast, overload

from torch import nn

from lmos_opt.errors import InputError, likely
from lmos_opt.profile import Granularity
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.calls import Example
from runner.parts.cutting import Cut
from runner.parts.part import Head, Part, Tail

Places = Sequence[Iterable[str]]
"""The names of the layers at each place, in the order in which data flows."""


@overload
def split_module(module: nn.Module, edge_layers: Iterable[str], example_input: Example, *, granularity: Granularity = ...,
                 opaque: Collection[str] = ...) -> tuple[Head, Tail]: ...  # fmt: skip
@overload
def split_module(module: nn.Module, *, places: Places, example_input: Example, granularity: Granularity = ...,
                 opaque: Collection[str] = ...) -> tuple[Part, ...]: ...  # fmt: skip
def split_module(
    module: nn.Module,
    edge_layers: Iterable[str] | None = None,
    example_input: Example | None = None,
    *,
    places: Places | None = None,
    granularity: Granularity = "module",
    opaque: Collection[str] = (),
) -> tuple[Part, ...]:
    """`module` in eval mode as parts, one for each place. The first part is called as the module is, each further part with what
    the part before it returned. The output of the last part equals the module's, bit for bit.

    For two places, give the layers of the first as `edge_layers`: `tail(head(image))`. For any number of places, `places` has the
    layers of each place (possibly none). Layers have the names of the profile at the same granularity. Data only flows forward, so
    a layer reads only from its own place and earlier ones. The example is a tensor, a tuple of arguments, or a dictionary of them
    by name.

    The parts share the network's parameters; each holds only those that it uses. A tensor crosses a hop if a layer after the hop
    reads it. An output of the network that an earlier place than the last makes stays there, in the mapping's `kept`.
    `opaque` names parts of the network that become one layer each.
    Raises InputError for an unknown layer, a layer at two places or at none, and data that would flow back, and what
    `trace_network` raises.
    """
    if example_input is None:
        raise InputError("example_input", "is missing")
    return _split(trace_network(module, example_input, granularity, opaque=opaque), edge_layers, places)


@overload
def split(network: TracedNetwork, edge_layers: Iterable[str]) -> tuple[Head, Tail]: ...
@overload
def split(network: TracedNetwork, *, places: Places) -> tuple[Part, ...]: ...
def split(network: TracedNetwork, edge_layers: Iterable[str] | None = None, *,
          places: Places | None = None) -> tuple[Part, ...]:  # fmt: skip
    """The parts of a network that `measurement.trace` has traced, as by `split_module`. Each call takes only milliseconds.

    Raises InputError for an unknown layer, a layer at two places or at none, and data that would flow back.
    """
    return _split(network, edge_layers, places)


def split_traced(traced: TracedNetwork, edge_layers: Iterable[str]) -> tuple[Head, Tail]:
    """Head and tail of a traced network, as by `split_module`."""
    return cast("tuple[Head, Tail]", _split(traced, edge_layers, None))


def split_along(traced: TracedNetwork, edge_layers: Iterable[str], later_layers: Places = ()) -> tuple[Part, ...]:
    """The parts of a traced network: `edge_layers` at the first place, and the layers of each later place in `later_layers`.

    Without `later_layers` a second place has all other layers.
    """
    return _split(traced, None, [edge_layers, *later_layers]) if later_layers else split_traced(traced, edge_layers)


def _split(traced: TracedNetwork, edge_layers: Iterable[str] | None, places: Places | None) -> tuple[Part, ...]:
    if (edge_layers is None) == (places is None):
        raise InputError("places", "stand beside edge_layers; expected one of the two" if places else "or edge_layers are missing")
    before = [frozenset(edge_layers)] if edge_layers is not None else _before(traced, places or ())
    for edge in before:
        _check(traced, edge, "places" if edge_layers is None else "edge_layers")
    return Cut(traced, before).parts()


def _before(traced: TracedNetwork, places: Places) -> list[frozenset[str]]:
    """For each hop the layers that run before it. InputError unless each layer is at one of at least two places."""
    sets = [list(place) for place in places]
    if len(sets) < 2 or any(isinstance(place, str) for place in places):
        raise InputError("places", f"{places!r:.80}; expected a list of layers for each of at least two places")
    known, where = {layer.name for layer in traced.layers}, dict[str, int]()
    for p, names in enumerate(sets, 1):
        for name in names:
            if name not in known:
                raise InputError("places", f"{traced.name} has no layer {name!r}{likely(name, known)}")
            if where.setdefault(name, p) != p:
                raise InputError("places", f"{traced.name}: layer {name!r} is at the places {where[name]} and {p}")
    if missing := [layer.name for layer in traced.layers if layer.name not in where]:
        raise InputError("places", f"{traced.name}: layer {missing[0]!r} is at none of the {len(sets)} places")
    return [frozenset(name for place in sets[:h] for name in place) for h in range(1, len(sets))]


def _check(traced: TracedNetwork, edge: frozenset[str], key: str) -> None:
    known = [layer.name for layer in traced.layers]
    unknown = sorted(edge.difference(known))
    if unknown:
        raise InputError(key, f"{traced.name} has no layer {unknown[0]!r}{likely(unknown[0], known)}")
    for layer in traced.layers:
        for source in layer.inputs:
            if layer.name in edge and source not in traced.input_tensors and source not in edge:
                raise InputError(key, f"{traced.name}: layer {layer.name!r} is at the edge, but its input {source!r} is not")
