"""Several edges' images through one tail as a batch, where that is faster than one after another.

A batch is what has come while the tail was at work: nobody waits for others. Its kernels may add in another order than those for
one image, so the last bits of an answer may differ from those of the whole network; hence a server does this only when told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import torch
from torch import Tensor, nn

from runner.parts.part import Crossing, made_by

PAYS = 0.95
"""A batch is used where it takes less than this share of the time that its images take one by one ..."""
SAME = 1e-3
"""... and where no output is off by more than this share of the largest one: other kernels stay far below, a tail that mixes
images up does not."""
_REPEATS = 3
Outputs = dict[str, Tensor]


class _Seat:
    """One image's place in a batch."""

    def __init__(self, crossing: Crossing) -> None:
        self.crossing = crossing
        self.outputs: Outputs | None = None
        self.t_server_s = 0.0


class Batches:
    """One tail for several peers. `sizes` are the batches that pay, ascending; `computing` is held by whoever computes."""

    def __init__(self, tail: nn.Module, sizes: Sequence[int], computing: threading.Lock) -> None:
        self.sizes = tuple(sizes)
        self._tail, self._computing = tail, computing
        self._waiting: list[_Seat] = []
        self._changing = threading.Lock()

    def infer(self, crossing: Crossing) -> tuple[Outputs, float]:
        """The outputs, and the time (s) that the batch took in which they were computed. Raises what the tail raises."""
        seat = _Seat(crossing)
        with self._changing:
            self._waiting.append(seat)
        with self._computing:
            if seat.outputs is None:  # nobody took it along
                self._compute(self._taken(seat))
        assert seat.outputs is not None
        return seat.outputs, seat.t_server_s

    def _taken(self, seat: _Seat) -> list[_Seat]:
        """This one, and the oldest others, as many as pay."""
        with self._changing:
            self._waiting.remove(seat)
            size = max((size for size in self.sizes if size <= len(self._waiting) + 1), default=1)
            others, self._waiting = self._waiting[: size - 1], self._waiting[size - 1 :]
        return [seat, *others]

    def _compute(self, seats: list[_Seat]) -> None:
        begin = perf_counter()
        try:
            found = run(self._tail, [seat.crossing for seat in seats])
        except Exception:
            if len(seats) == 1:
                raise
            with self._changing:  # never again, and each sees for itself
                self.sizes, self._waiting = (), seats[1:] + self._waiting
            self._compute(seats[:1])
            return
        t_server_s = perf_counter() - begin
        for seat, outputs in zip(seats, found, strict=True):
            seat.outputs, seat.t_server_s = outputs, t_server_s


def run(tail: nn.Module, crossings: Sequence[Crossing]) -> list[Outputs]:
    """Each image's outputs, computed together. ValueError where the outputs are not one for each image."""
    if len(crossings) == 1:
        return [made_by(tail, crossings[0])]
    joined = {name: torch.cat([crossing[name] for crossing in crossings]) for name in crossings[0]}
    outputs = made_by(tail, Crossing(joined, crossings[0].scalars))
    if any(tensor.dim() == 0 or tensor.shape[0] != len(crossings) for tensor in outputs.values()):
        raise ValueError("the tail's outputs are not one for each image")
    return [{name: tensor[k : k + 1] for name, tensor in outputs.items()} for k in range(len(crossings))]


@torch.inference_mode()
def sizes_that_pay(head: Callable[[Tensor], Crossing], tail: nn.Module, example: Tensor, most: int) -> list[int]:
    """The batches up to `most` (powers of two, and it) that are faster than singles and give what they give, tried on images
    of random numbers. None for tails that need sizes beside tensors, for inputs that are no numbers with fractions, and for
    tails that do not treat images apart."""
    if not example.is_floating_point() or example.dim() == 0 or example.shape[0] != 1:
        return []
    drawn = torch.Generator().manual_seed(0)
    crossings = [head(torch.randn(example.shape, dtype=example.dtype, generator=drawn)) for _ in range(most)]
    if crossings[0].scalars or any(tensor.dim() == 0 or tensor.shape[0] != 1 for tensor in crossings[0].values()):
        return []
    singles, single_s = [run(tail, [crossing])[0] for crossing in crossings], _seconds(tail, crossings[:1])
    found = []
    for size in sorted({*(2**k for k in range(1, most.bit_length())), most}):
        try:
            together = run(tail, crossings[:size])
        except Exception:  # noqa: BLE001 - a graph that knows its batch raises anything
            return []
        if not all(_are_same(one, other) for one, other in zip(together, singles, strict=False)):
            return []
        if _seconds(tail, crossings[:size]) < PAYS * size * single_s:
            found.append(size)
    return found


def _are_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        tensor.shape == other[name].shape and tensor.dtype == other[name].dtype
        and bool(((tensor - other[name]).abs() <= SAME * other[name].abs().max()).all())
        for name, tensor in one.items()
    )  # fmt: skip


def _seconds(tail: nn.Module, crossings: Sequence[Crossing]) -> float:
    """The least of some runs."""
    found = []
    for _ in range(_REPEATS):
        begin = perf_counter()
        run(tail, crossings)
        found.append(perf_counter() - begin)
    return min(found)
