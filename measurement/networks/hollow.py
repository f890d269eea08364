"""A network whose weights take no memory until they are asked for, so that half a network takes half the memory.

Its graph is found from shapes alone, its digest from weights that are made (or read from a file) a piece at a time.
The part that is to be run gets its weights afterwards; the weights of the rest are never in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lmos_opt.profile import Granularity
from measurement.errors import UntraceableError
from measurement.networks import bytes_of, hollow_module, network_digest
from measurement.networks.mapped import addresses_of, pieces
from measurement.networks.seeding import Postponed
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.calls import Example, call_of, input_spec
from measurement.tracing.grouping import snake_case
from measurement.tracing.kept import Document
from measurement.tracing.undisturbed import check_usable


@dataclass(frozen=True)
class HollowNetwork:
    """A network whose weights are not in memory yet. When all are filled in, it is bit for bit that of `build_network`.

    Seeded weights are made from `postponed`. Weights of a file are views of the file, which is mapped into memory at the addresses
    `mapped`.
    """

    module: nn.Module
    postponed: Postponed
    mapped: tuple[range, ...]

    @classmethod
    def build(cls, builder: str, weights: str, *, allow_code: bool = False) -> HollowNetwork:
        """Like `build_network`, with the same arguments and errors."""
        postponed = Postponed()
        module, file = hollow_module(builder, weights, postponed, allow_code=allow_code)
        return cls(module, postponed, () if file is None else addresses_of(file))

    @classmethod
    def of(cls, module: nn.Module) -> HollowNetwork:
        """A network whose weights are all in memory."""
        return cls(module, Postponed(), ())

    def part(self, module: nn.Module) -> HollowNetwork:
        """A part of the network, without the weights of the other parts."""
        return HollowNetwork(module, self.postponed.only([*module.parameters(), *module.buffers()]), self.mapped)

    def trace(self, example_input: Example, granularity: Granularity = "module", *,
              opaque: Collection[str] = (), document: Document | None = None) -> TracedNetwork:  # fmt: skip
        """The traced network, from shapes alone.

        Raises what `trace_network` raises, also for a network that can be traced, but not without its numbers.
        """
        check_usable(self.module, name := snake_case(type(self.module).__name__))
        call, example = call_of(self.module, example_input, name)
        with shapes_alone(self.module) as pairs:
            traced = trace_network(self.module, call.example([tensor.to("meta") for tensor in example]), granularity, opaque=opaque,
                                   document=document)
        originals = {id(shape): tensor for shape, tensor in pairs}
        for part in traced.graph_module.modules():
            for table in (part._parameters, part._buffers):
                for name, tensor in table.items():
                    if tensor is not None and tensor.is_meta:
                        found = originals.get(id(tensor), _view(tensor, pairs))
                        if found is None:
                            raise UntraceableError(traced.name, [f"{name} is a copy of a weight, made while tracing"])
                        table[name] = found  # type: ignore[assignment]
        return replace(traced, input_tensors={key: input_spec(tensor) for key, tensor in zip(call.names, example, strict=True)})

    def digest(self, structure: Iterable[tuple[str, str, Sequence[str]]]) -> str:
        """As `network_digest` of the filled network; a part of one weight is in memory at a time."""
        return network_digest(self.module, structure, self._contents)

    @torch.no_grad()
    def fill(self, part: nn.Module) -> None:
        """Give the weights that this part of the network holds their numbers, in memory of their own."""
        for tensor in (*part.parameters(), *part.buffers()):
            if self._is_mapped(tensor):
                tensor.data = self._own(tensor)
            self.postponed.do(tensor)

    def present_bytes(self) -> int:
        """The memory (B) that weights take now: those that were filled, are constants, or could not be mapped."""
        present = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
                   for tensor in (*self.module.parameters(), *self.module.buffers())
                   if self.postponed.of(tensor) is None and not self._is_mapped(tensor)}  # fmt: skip
        return sum(present.values())

    def _is_mapped(self, tensor: Tensor) -> bool:
        return any(tensor.data_ptr() in addresses for addresses in self.mapped)

    def _own(self, tensor: Tensor) -> Tensor:
        if not tensor.is_contiguous():
            return tensor.data.clone()
        copy = torch.empty_like(tensor.data)
        target, done = bytes_of(copy), 0
        for piece in pieces(bytes_of(tensor), self.mapped):
            target[done : done + piece.size] = piece
            done += piece.size
        return copy

    def _contents(self, tensor: Tensor) -> Iterator[npt.NDArray[np.uint8]]:
        fill = self.postponed.of(tensor)
        if fill is None:
            yield from pieces(bytes_of(tensor), self.mapped)
        else:
            yield from (part.view(np.uint8) for part in fill.parts(tensor.numel()))


@contextmanager
def shapes_alone(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Inside the block, every parameter and buffer is one of torch's `meta` device; the value pairs each with its original."""
    shapes: dict[int, Tensor] = {}
    pairs: list[tuple[Tensor, Tensor]] = []
    tables = [table for part in module.modules() for table in (part._parameters, part._buffers)]
    saved = [dict(table) for table in tables]
    try:
        for table in tables:
            for name, tensor in table.items():
                if tensor is not None:
                    if id(tensor) not in shapes:
                        shapes[id(tensor)] = _shape_of(tensor)
                        pairs.append((shapes[id(tensor)], tensor))
                    table[name] = shapes[id(tensor)]  # type: ignore[assignment]
        yield pairs
    finally:
        for table, entries in zip(tables, saved, strict=True):
            table.update(entries)  # type: ignore[arg-type]


def _shape_of(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta", requires_grad=False)
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def _view(tensor: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor | None:
    """What `tensor` would be had it been made of an original and not of its shape: a view of it; None if it is no view."""
    for shape, original in pairs:
        if tensor.untyped_storage()._cdata == shape.untyped_storage()._cdata and shape.stride() == original.stride():
            return original.detach().as_strided(tensor.shape, tensor.stride(),
                                                original.storage_offset() + tensor.storage_offset())  # fmt: skip
    return None
