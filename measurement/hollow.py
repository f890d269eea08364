"""A network whose weights take no memory until they are asked for, so that half a network takes half the memory.

Its graph is found from shapes alone, its digest from weights that are made (or read from a file) a piece at a time.
What is to be run is filled afterwards; the rest never was anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lmos_opt.profile import Granularity
from measurement.errors import UntraceableError
from measurement.networks import bytes_of, hollow_module, network_digest
from measurement.seeding import Postponed
from measurement.tracing import TracedNetwork, trace_network


@dataclass(frozen=True)
class HollowNetwork:
    """What `build_network` gives, to the bit, once all of it is filled.

    Seeded weights wait in `postponed`; those of a file are views of the mapped file (`is_mapped`). Published weights are
    simply there.
    """

    module: nn.Module
    postponed: Postponed
    is_mapped: bool

    @classmethod
    def build(cls, builder: str, weights: str, *, allow_code: bool = False) -> HollowNetwork:
        """As `build_network`, which says what may be asked for, and what is raised."""
        postponed = Postponed()
        module = hollow_module(builder, weights, postponed, allow_code=allow_code)
        return cls(module, postponed, weights.partition(":")[0] in {"file", "bundled"})

    def trace(self, example_input: Tensor, granularity: Granularity = "module") -> TracedNetwork:
        """The traced network, from shapes alone.

        Raises what `trace_network` raises, also for a network that can be traced, but not without its numbers.
        """
        with _shapes_alone(self.module) as originals:
            traced = trace_network(self.module, example_input.to("meta"), granularity)
        for part in traced.graph_module.modules():
            for table in (part._parameters, part._buffers):
                for name, tensor in table.items():
                    if tensor is not None and tensor.is_meta:
                        if id(tensor) not in originals:
                            raise UntraceableError(traced.name, [f"{name} is a copy of a weight, made while tracing"])
                        table[name] = originals[id(tensor)]  # type: ignore[assignment]
        return traced

    def digest(self, structure: Iterable[tuple[str, str, Sequence[str]]]) -> str:
        """As `network_digest` of the filled network; a part of one weight is in memory at a time."""
        return network_digest(self.module, structure, self._contents)

    @torch.no_grad()
    def fill(self, part: nn.Module) -> None:
        """Give the weights that this part of the network holds their numbers, in memory of their own."""
        for tensor in (*part.parameters(), *part.buffers()):
            if self.is_mapped:
                tensor.data = tensor.data.clone()
            self.postponed.do(tensor)

    def _contents(self, tensor: Tensor) -> Iterator[npt.NDArray[np.uint8]]:
        fill = self.postponed.of(tensor)
        if fill is None:
            yield bytes_of(tensor)
        else:
            yield from (part.view(np.uint8) for part in fill.parts(tensor.numel()))


@contextmanager
def _shapes_alone(module: nn.Module) -> Iterator[dict[int, Tensor]]:
    """Inside the block, every parameter and buffer is one of torch's `meta` device; the value finds the originals by the
    identities of these."""
    shapes: dict[int, Tensor] = {}
    originals: dict[int, Tensor] = {}
    tables = [table for part in module.modules() for table in (part._parameters, part._buffers)]
    saved = [dict(table) for table in tables]
    try:
        for table in tables:
            for name, tensor in table.items():
                if tensor is not None:
                    if id(tensor) not in shapes:
                        shapes[id(tensor)] = _shape_of(tensor)
                        originals[id(shapes[id(tensor)])] = tensor
                    table[name] = shapes[id(tensor)]  # type: ignore[assignment]
        yield originals
    finally:
        for table, entries in zip(tables, saved, strict=True):
            table.update(entries)  # type: ignore[arg-type]


def _shape_of(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta", requires_grad=False)
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
