"""The parts of a split network: the first takes what the network takes, each further one what the one before it returned."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import TreeSpec, tree_leaves, tree_unflatten

from lmos_opt.errors import InputError
from lmos_opt.graph import INPUT
from lmos_opt.profile import TensorSpec
from measurement.tracing import ShapeRange
from measurement.tracing.calls import Call
from runner.parts.network import Leaf
from runner.wire.tensors import Encoded

Scalar = int | float | tuple[Any, ...]
ShapeRanges = Mapping[str, ShapeRange]


class Crossing(dict[str, Tensor]):
    """The tensors that cross from a place to the next one, by name (`lmos_opt.graph.tensor_names`).

    A tensor has the name of its layer; if the layer has several, they are `name[0]`, `name[1]`. `input` is the image.

    - `scalars`: numbers that later parts need and cannot compute from these tensors, mostly sizes. Ints, floats, or tuples of them.
    - `kept`: the parts of the network's result that the places so far have made, by path (`runner.parts.network.flat_outputs`).
      They stay where they were made.
    - `encoded`: tensors as they came in a codec, which are sent on unchanged. If no layer here reads such a tensor, the entry of
      the dictionary has only its shape.
    """

    scalars: Mapping[str, Scalar] = MappingProxyType({})
    kept: Mapping[str, Tensor] = MappingProxyType({})
    encoded: Mapping[str, Encoded] = MappingProxyType({})

    def __init__(self, tensors: Mapping[str, Tensor] | None = None, scalars: Mapping[str, Scalar] | None = None,
                 kept: Mapping[str, Tensor] | None = None, encoded: Mapping[str, Encoded] | None = None) -> None:  # fmt: skip
        super().__init__(tensors or ())
        if scalars:
            self.scalars = dict(scalars)
        if kept:
            self.kept = dict(kept)
        if encoded:
            self.encoded = dict(encoded)

    def as_sent(self) -> dict[str, Any]:
        """The scalars as a message holds them: lists in place of tuples."""
        return {name: as_list(value) for name, value in self.scalars.items()} if self.scalars else {}


@dataclass(frozen=True)
class Incoming:
    """The inputs of a part: the tensors that come, the names of those that its layers `read`, and the example's scalars.

    Over a link tensors come without gaps between their elements. `gaps` are the strides of those that have some where they are
    made: with other strides a sum may add in another order, and end in other bits.
    """

    tensors: Mapping[str, TensorSpec]
    read: tuple[str, ...]
    scalars: Mapping[str, Scalar]
    gaps: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def arguments(self, crossing: Mapping[str, Tensor]) -> list[Any]:
        """The arguments of the part's graph. InputError if a tensor is missing."""
        if not self.tensors.keys() <= crossing.keys():
            missing = next(name for name in self.tensors if name not in crossing)
            raise InputError("crossing", f"lacks the tensor {missing!r}; expected {', '.join(self.tensors)}")
        return self.read_from(crossing)

    def read_from(self, crossing: Mapping[str, Tensor]) -> list[Any]:
        """The arguments of the part's graph. Tensors that its layers do not read may be missing."""
        found: list[Any] = [crossing[name] for name in self.read]
        if self.gaps:
            found = [self._laid_out(name, tensor) for name, tensor in zip(self.read, found, strict=True)]
        if not self.scalars:
            return found
        given = crossing.scalars if isinstance(crossing, Crossing) else {}
        return [*found,
                *(as_tuple(given.get(name, default)) for name, default in self.scalars.items())]

    def _laid_out(self, name: str, tensor: Tensor) -> Tensor:
        """The tensor with the strides that it has where it is made, if it has the example's shape."""
        strides = self.gaps.get(name)
        if strides is None or tensor.stride() == strides or tuple(tensor.shape) != self.tensors[name].shape:
            return tensor
        once = tensor[tuple(slice(None) if stride else slice(1) for stride in strides)]
        laid_out = torch.empty_strided(once.shape, strides, dtype=tensor.dtype, device=tensor.device)
        return laid_out.copy_(once).as_strided(tensor.shape, strides)


@dataclass(frozen=True)
class Outgoing:
    """The outputs of a part.

    `names` has for each value the names of its tensors, in the order in which they cross. `relayed` says for each value whether the
    part sends it on as it came. `scalars` are the names of scalars, `kept` the leaves of the network's result that stay here.
    """

    names: tuple[tuple[str, ...], ...]
    relayed: tuple[bool, ...]
    scalars: tuple[str, ...]
    kept: tuple[Leaf, ...]

    @property
    def keeps(self) -> frozenset[str]:
        """The paths of the result's leaves that stay."""
        return frozenset(leaf.path for leaf in self.kept)

    @property
    def passing(self) -> frozenset[str]:
        """The names of the tensors that are sent on as they came."""
        return frozenset(name for names, is_relayed in zip(self.names, self.relayed, strict=True) if is_relayed for name in names)

    def fresh(self, values: Sequence[Any], scalars: Sequence[Any], made: Sequence[Any]) -> Crossing:
        """The tensors and scalars that the part itself has made, from its graph's outputs; its leaves of the result are `kept`."""
        fresh = [names for names, is_relayed in zip(self.names, self.relayed, strict=True) if not is_relayed]
        tensors = {name: tensor for names, value in zip(fresh, values, strict=True)
                   for name, tensor in zip(names, _tensors(value), strict=True)}  # fmt: skip
        kept = {leaf.path: tree_leaves(value)[leaf.place] for leaf, value in zip(self.kept, made, strict=True)}
        return Crossing(tensors, {name: as_tuple(v) for name, v in zip(self.scalars, scalars, strict=True)}, kept)

    def onward(self, fresh: Crossing, before: Mapping[str, Tensor]) -> Crossing:
        """The next Crossing, from what the part itself has made (`fresh`) and from the Crossing before it."""
        tensors = {name: before[name] if is_relayed else fresh[name]
                   for names, is_relayed in zip(self.names, self.relayed, strict=True) for name in names}  # fmt: skip
        encoded = {name: one for name, one in getattr(before, "encoded", {}).items() if name in tensors}
        return Crossing(tensors, fresh.scalars, {**getattr(before, "kept", {}), **fresh.kept}, encoded)


@dataclass(frozen=True)
class Result:
    """The structure of the network's result, the paths of its leaves, and the paths of those that earlier parts keep.

    `fixed` are the leaves of what earlier parts make that are no tensors, by path: None, or a number, as on the example.
    """

    structure: TreeSpec
    paths: tuple[str, ...]
    kept: frozenset[str]
    fixed: Mapping[str, object]

    @cached_property
    def fresh(self) -> tuple[str, ...]:
        """The paths of the leaves that the last part makes."""
        return tuple(path for path in self.paths if path not in self.kept and path not in self.fixed)

    def build(self, kept: Mapping[str, Tensor], made: Sequence[Any]) -> Any:
        """The network's result, from what earlier parts kept, by path, and the `fresh` leaves in their order."""
        found = {**self.fixed, **kept, **dict(zip(self.fresh, made, strict=True))}
        return tree_unflatten([found[path] for path in self.paths], self.structure)


@dataclass(frozen=True)
class Sizes:
    """Sizes of the first part.

    `find` computes sizes that only later layers give, from shapes alone (None: there are none). `shape_range` are the shapes for
    which the part is made, by input (None: any).
    """

    find: fx.GraphModule | None = None
    shape_range: ShapeRanges | None = field(default=None)


class Head(nn.Module):
    """The first part: called as the network is, it returns the Crossing. Holds only what its layers use."""

    def __init__(self, body: fx.GraphModule, call: Call, outgoing: Outgoing, sizes: Sizes) -> None:
        super().__init__()
        self.body, self.call, self._outgoing, self._sizes = body, call, outgoing, sizes

    @property
    def keeps(self) -> frozenset[str]:
        """The paths of the result's leaves that stay here."""
        return self._outgoing.keeps

    @property
    def signature(self) -> inspect.Signature | None:
        """The signature of the network's forward; None if the network takes one tensor."""
        return self.call.signature

    def forward(self, *args: Any, **options: Any) -> Crossing:
        """Run the first place's layers on what the network takes.

        Raises InputError for a call of another structure than the example's, and for tensors of shapes that this cut was not made
        for.
        """
        return self.on(self.call.tensors(args, options))

    def on(self, tensors_in: Sequence[Tensor]) -> Crossing:
        """The same from the call's tensors alone, in the order of `call.names`."""
        return self._outgoing.onward(self._outgoing.fresh(*self.body(*self.arguments(tensors_in))), {})

    def arguments(self, tensors_in: Sequence[Tensor]) -> list[Any]:
        """What the part's graph is called with. InputError for tensors of shapes that this cut was not made for."""
        self._check_shapes(tensors_in)
        find = self._sizes.find
        foreign = () if find is None else find(*(torch.empty_like(t, device="meta") for t in tensors_in))[0]
        return [*tensors_in, *foreign]

    def _check_shapes(self, tensors: Sequence[Tensor]) -> None:
        shape_range = self._sizes.shape_range
        if shape_range is None:
            return
        for name, tensor in zip(self.call.names, tensors, strict=True):
            shape, bounds = tuple(tensor.shape), shape_range[name]
            if len(shape) != len(bounds) or not all(
                low <= n and (high is None or n <= high) for n, (low, high) in zip(shape, bounds, strict=True)
            ):
                wanted = ", ".join(str(low) if low == high else f"{low} or more" for low, high in bounds)
                where = "image" if name == INPUT else name
                raise InputError(where, f"has shape {list(shape)}, but this split holds for [{wanted}] only")
        batches = {tensor.shape[0] for name, tensor in zip(self.call.names, tensors, strict=True)
                   if shape_range[name] and shape_range[name][0][1] is None}  # fmt: skip
        if len(batches) > 1:
            raise InputError(INPUT, f"has tensors of the batches {sorted(batches)}, but this split holds for one batch of all")


class Middle(nn.Module):
    """A part between two others: `middle(crossing)` returns the next Crossing. Holds only what its layers use.

    Tensors that only later parts read pass untouched.
    """

    def __init__(self, body: fx.GraphModule, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__()
        self.body, self.incoming, self._outgoing = body, incoming, outgoing

    @property
    def keeps(self) -> frozenset[str]:
        """The paths of the result's leaves that stay here."""
        return self._outgoing.keeps

    def forward(self, crossing: Mapping[str, Tensor]) -> Crossing:
        """Run this place's layers on the tensors by name; scalars that did not come are those of the example.

        Raises InputError if a tensor is missing. Changes none of the tensors.
        """
        return self.onward(self._outgoing.fresh(*self.body(*self.incoming.arguments(crossing))), crossing)

    def onward(self, made: Crossing, before: Mapping[str, Tensor]) -> Crossing:
        """The next Crossing, from what this part alone `made` of the one before it."""
        return self._outgoing.onward(made, before)

    @property
    def counts_sizes(self) -> bool:
        """Whether it takes or gives sizes beside tensors."""
        return bool(self.incoming.scalars or self._outgoing.scalars)

    @property
    def untouched(self) -> frozenset[str]:
        """The names of the tensors that only pass."""
        return self._outgoing.passing.difference(self.incoming.read)

    def made(self, crossing: Mapping[str, Tensor]) -> Crossing:
        """The Crossing of this part's own tensors. The `untouched` tensors may be missing."""
        return self._outgoing.fresh(*self.body(*self.incoming.read_from(crossing)))


class Tail(nn.Module):
    """The last part: `tail(crossing)` returns the whole network's output, what was `kept` in its place. Holds only what
    its layers use."""

    def __init__(self, body: fx.GraphModule, incoming: Incoming, result: Result) -> None:
        super().__init__()
        self.body, self.incoming, self._result = body, incoming, result

    def forward(self, crossing: Mapping[str, Tensor]) -> Any:
        """Run the last place's layers on the tensors by name; scalars that did not come are those of the example.

        Raises InputError if a tensor is missing. Changes none of the tensors.
        """
        result, kept = self._result, getattr(crossing, "kept", {})
        missing = [path for path in result.paths if path in result.kept and path not in kept]
        if missing:
            raise InputError("crossing", f"lacks what the edge kept of the result: {missing[0]!r} in its attribute 'kept'")
        return result.build(kept, self._run(crossing))

    @property
    def counts_sizes(self) -> bool:
        """Whether it takes sizes beside tensors."""
        return bool(self.incoming.scalars)

    def made(self, crossing: Mapping[str, Tensor]) -> Crossing:
        """The tensors of the network's result, by path, without those that earlier parts keep."""
        made = zip(self._result.fresh, self._run(crossing), strict=True)
        return Crossing({path: leaf for path, leaf in made if isinstance(leaf, Tensor)})

    def _run(self, crossing: Mapping[str, Tensor]) -> list[Any]:
        """The output's leaves that are not kept, in their order."""
        return _leaves(self.body(*self.incoming.arguments(crossing)))


Part = Head | Middle | Tail


def as_tuple(value: Any) -> Any:
    """The value with tuples in place of lists, at any depth."""
    return tuple(as_tuple(item) for item in value) if isinstance(value, tuple | list) else value


def as_list(value: Any) -> Any:
    """The value with lists in place of tuples, at any depth."""
    return [as_list(item) for item in value] if isinstance(value, tuple | list) else value


def _leaves(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        else:
            found += tree_leaves(value)
    return found


def _tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
