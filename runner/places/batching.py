"""Images of several edges go through one part together, if that is faster than one after another.

A batch holds the images that came while the part was at work, so no image waits for others to come. The kernels for a batch may add
in another order than those for one image, so the last bits of an answer may differ. A server therefore does this only if it is told
to.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from measurement.tracing.calls import random_input
from runner.parts.computed import compute_s
from runner.parts.network import flat_outputs
from runner.parts.part import Crossing, Middle, Tail

PAYS = 0.95
"""A batch is used if it takes less than this share of the time of its images one by one ..."""
SAME = 1e-3
"""... and if no output is off by more than this share of the largest one. Rounding stays far below; a part that mixes images does
not."""
_REPEATS = 3


class Computed(NamedTuple):
    """What a part made of an image (`made_of`). `t_s` is the time (s) of its computation, or of its batch's; `waited_s` the wait
    before."""

    made: Crossing
    t_s: float
    waited_s: float


class _Seat:
    """One image's place in a batch."""

    def __init__(self, crossing: Crossing) -> None:
        self.crossing = crossing
        self.came_at = perf_counter()
        self.found: Computed | None = None


class Batches:
    """One part that several peers share. `sizes` are the batches that pay, ascending; without any, images run one after another.

    `computing` is the lock of whoever computes.
    """

    def __init__(self, part: nn.Module, sizes: Sequence[int], computing: threading.Lock) -> None:
        self.sizes = tuple(sizes)
        self._part, self._computing = part, computing
        self._waiting: list[_Seat] = []
        self._changing = threading.Lock()

    @property
    def is_at_work(self) -> bool:
        """Whether a part is being computed now, this one or another."""
        return self._computing.locked()

    def infer(self, crossing: Crossing) -> Computed:
        """What the part makes of an image, which runs alone or in a batch. Raises what the part raises."""
        if not self.sizes:
            came_at = perf_counter()
            with self._computing:
                return self._alone(crossing, came_at)
        seat = _Seat(crossing)
        with self._changing:
            self._waiting.append(seat)
        with self._computing:
            if seat.found is None:  # nobody took it along
                self._compute(self._taken(seat))
        assert seat.found is not None
        return seat.found

    def _taken(self, seat: _Seat) -> list[_Seat]:
        """This one, and the oldest others, as many as pay."""
        with self._changing:
            self._waiting.remove(seat)
            size = max((size for size in self.sizes if size <= len(self._waiting) + 1), default=1)
            others, self._waiting = self._waiting[: size - 1], self._waiting[size - 1 :]
        return [seat, *others]

    def _alone(self, crossing: Crossing, came_at: float) -> Computed:
        begin = perf_counter()
        made = made_of(self._part, crossing)
        return Computed(made, compute_s(self._part), begin - came_at)

    def _compute(self, seats: list[_Seat]) -> None:
        first, *others = seats
        if not others:
            first.found = self._alone(first.crossing, first.came_at)
            return
        begin = perf_counter()
        try:
            found = run(self._part, [seat.crossing for seat in seats])
        except Exception:  # noqa: BLE001 - whatever the part raised: never again, and each sees for itself
            with self._changing:
                self.sizes, self._waiting = (), others + self._waiting
            self._compute([first])
            return
        t_s = perf_counter() - begin
        for seat, made in zip(seats, found, strict=True):
            seat.found = Computed(made, t_s, begin - seat.came_at)


def made_of(part: nn.Module, crossing: Crossing) -> Crossing:
    """What a part makes of an image. The last part gives the network's outputs by path.

    A part before it gives the tensors that go on, by name, and its own outputs of the network in `kept`.
    """
    return part.made(crossing) if isinstance(part, (Middle, Tail)) else Crossing(flat_outputs(part(crossing)))


def run(part: nn.Module, crossings: Sequence[Crossing]) -> list[Crossing]:
    """What the part makes of each image, computed together. Raises ValueError if the outputs cannot be taken apart by images."""
    if len(crossings) == 1:
        return [made_of(part, crossings[0])]
    names = part.incoming.read if isinstance(part, Middle) else crossings[0]
    joined = {name: torch.cat([crossing[name] for crossing in crossings]) for name in names}
    found = made_of(part, Crossing(joined))
    if any(tensor.dim() == 0 or tensor.shape[0] != len(crossings) for tensor in (*found.values(), *found.kept.values())):
        raise ValueError("the part's outputs are not one for each image")
    return [Crossing(_row(found, k), kept=_row(found.kept, k)) for k in range(len(crossings))]


def _row(tensors: Mapping[str, Tensor], k: int) -> dict[str, Tensor]:
    return {name: tensor[k : k + 1] for name, tensor in tensors.items()}


@torch.inference_mode()
def sizes_that_pay(part: Middle | Tail, most: int) -> list[int]:
    """The batches up to `most` images that are faster than single images and give the same numbers, ascending.

    The powers of two and `most` are tried, on random numbers. There are none if the part takes or gives sizes besides tensors, if
    it reads tensors of whole numbers, or if it mixes images.
    """
    specs = [part.incoming.tensors[name] for name in part.incoming.read]
    if part.counts_sizes or not specs or any(not spec.shape or spec.shape[0] != 1 for spec in specs):
        return []
    crossings = [Crossing({name: random_input(spec, k) for name, spec in part.incoming.tensors.items()}) for k in range(most)]
    if not all(crossings[0][name].is_floating_point() for name in part.incoming.read):
        return []
    try:
        singles, single_s = [run(part, [crossing])[0] for crossing in crossings], _seconds(part, crossings[:1])
    except Exception:  # noqa: BLE001 - random numbers in the place of what comes may be anything to a layer
        return []
    found = []
    for size in sorted({*(2**k for k in range(1, most.bit_length())), most}):
        try:
            together = run(part, crossings[:size])
        except Exception:  # noqa: BLE001 - a graph that knows its batch raises anything
            return []
        if not all(map(_are_same, together, singles)):
            return []
        if _seconds(part, crossings[:size]) < PAYS * size * single_s:
            found.append(size)
    return found


def _are_same(one: Crossing, other: Crossing) -> bool:
    return _equal(one, other) and _equal(one.kept, other.kept)


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        tensor.shape == other[name].shape and tensor.dtype == other[name].dtype
        and bool(((tensor - other[name]).abs() <= SAME * other[name].abs().max()).all())
        for name, tensor in one.items()
    )  # fmt: skip


def _seconds(part: nn.Module, crossings: Sequence[Crossing]) -> float:
    """The least of some runs."""
    found = []
    for _ in range(_REPEATS):
        begin = perf_counter()
        run(part, crossings)
        found.append(perf_counter() - begin)
    return min(found)
