"""Random initialisation that gives the same bits on every machine, every CPU and every release of torch.

torch's own fills do not: their vectorised paths differ between CPUs and between releases. Here the numbers come from
PCG64's raw 64-bit output, a stream that numpy promises never to change, and become float32 by three operations that
IEEE 754 fixes to the last bit: a 32-bit integer to float, one multiplication, and one addition where the range is not
centred at zero. A logarithm, as a normal deviate needs, would bring the machine's mathematical library in.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_VALUES_AT_ONCE = 1 << 17
"""Values drawn at a time: half a megabyte stays in the cache between drawing and scaling."""
_HALF_RANGE = 2.0**-31
"""Takes a signed 32-bit integer to [-1, 1]."""
_SPREAD = math.sqrt(3.0)
"""The uniform distribution on mean -+ sqrt(3) std has that mean and that standard deviation."""

_PATCHING = threading.Lock()


@dataclass(frozen=True)
class Fill:
    """Draws from [low, high], from stream `stream` of `seed`. Each 64-bit word gives two values, its lower half first."""

    low: float
    high: float
    seed: int
    stream: int

    def into(self, values: npt.NDArray[np.float32]) -> None:
        """Put the draws into a contiguous array."""
        draw, flat = self._drawing(), values.reshape(-1)
        for start in range(0, flat.size, _VALUES_AT_ONCE):
            draw(flat[start : start + _VALUES_AT_ONCE])

    def parts(self, size: int) -> Iterator[npt.NDArray[np.float32]]:
        """The first `size` draws, some at a time; each part takes the memory of the one before it."""
        draw, room = self._drawing(), np.empty(min(size, _VALUES_AT_ONCE), np.float32)
        for start in range(0, size, _VALUES_AT_ONCE):
            part = room[: size - start]
            draw(part)
            yield part

    def _drawing(self) -> Callable[[npt.NDArray[np.float32]], None]:
        bits = np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(self.stream,)))
        scale, middle = np.float32((self.high - self.low) / 2 * _HALF_RANGE), np.float32((self.high + self.low) / 2)

        def draw(part: npt.NDArray[np.float32]) -> None:
            words = np.asarray(bits.random_raw((part.size + 1) // 2), dtype="<u8")
            np.multiply(words.view("<i4")[: part.size], scale, out=part, casting="unsafe", dtype=np.float32)
            if middle != 0:
                np.add(part, middle, out=part)

        return draw


class Postponed:
    """Fills of whole tensors that have not been done: nobody has looked at these tensors yet.

    Such a tensor has an address, but no memory behind it: the system gives it some when it is filled.
    """

    def __init__(self) -> None:
        self._fills: dict[int, tuple[torch.UntypedStorage, Fill]] = {}  # by address, which is kept from being used again

    def add(self, tensor: torch.Tensor, fill: Fill) -> None:
        """Postpone a fill of a tensor that is all of its storage; an earlier one is forgotten."""
        storage = tensor.untyped_storage()
        self._fills[storage.data_ptr()] = (storage, fill)

    def of(self, tensor: torch.Tensor) -> Fill | None:
        """The fill that this tensor's memory still waits for."""
        return self._fills.get(_address(tensor), (None, None))[1]

    def only(self, tensors: Iterable[torch.Tensor]) -> Postponed:
        """The postponed fills of these tensors alone; those of others are forgotten, and their memory is freed."""
        found = Postponed()
        addresses = {_address(tensor) for tensor in tensors}
        found._fills = {address: waiting for address, waiting in self._fills.items() if address in addresses}
        return found

    def do(self, tensor: torch.Tensor) -> None:
        """Fill what this tensor is, or is a view of, if that was postponed."""
        storage, fill = self._fills.pop(_address(tensor), (None, None))
        if storage is not None and fill is not None:
            fill.into(torch.empty(0, dtype=torch.float32).set_(storage).numpy())


def _address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.device.type == "cpu" else 0


@contextmanager
def seeded_fills(seed: int, postponed: Postponed | None = None) -> Iterator[None]:
    """Within the block, every random fill of a tensor comes from `seed` and from how many fills came before it.

    `uniform_` and `rand` are as asked. `normal_`, `randn` and `nn.init.trunc_normal_` give the *uniform* distribution
    of the same mean and standard deviation (for trunc_normal_ of the untruncated normal, cut to its bounds), which
    serves to initialise a network as well and needs no logarithm. Constant fills run as they are. Any other draw
    (`randperm`, `bernoulli_`, ...) comes from torch's generator seeded with `seed`: the same on one release of torch;
    should it differ elsewhere, the network's digest says so. torch's own generator is left as it was.

    Given `postponed`, a fill of a whole float32 tensor is noted there instead, and done when an operation inside the
    block looks at the tensor. What is left afterwards is for the caller to do.
    """
    # trunc_normal_ reaches the dispatcher as a series of operations that depends on the release of torch (an inverse
    # error function, or rejection), hence the patch of the function behind it, for this block only; the lock keeps two
    # threads from restoring each other's.
    with (
        _PATCHING,
        torch.random.fork_rng(devices=[]),
        mock.patch.object(torch.nn.init, "_no_grad_trunc_normal_", _trunc_normal),
        _SeededFills(seed, postponed),
    ):
        torch.default_generator.manual_seed(seed)
        yield


class _SeededFills(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, seed: int, postponed: Postponed | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed, self.postponed = seed, postponed
        self.fills = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        name = func.overloadpacket.__name__
        bounds = _BOUNDS.get(name)
        if bounds is not None and name.endswith("_"):
            self._fill(args[0], *bounds(*args[1:3]))
            return args[0]
        if self.postponed is not None and not func.is_view:
            for leaf in tree_leaves((args, options)):
                if isinstance(leaf, torch.Tensor):
                    self.postponed.do(leaf)
        made = func(*args, **options)
        if bounds is not None:  # rand and randn make their tensor; its values are drawn again
            self._fill(made, *bounds())
        return made

    def _fill(self, tensor: torch.Tensor, low: float, high: float) -> None:
        fill = Fill(low, high, self.seed, self.fills)
        self.fills += 1
        plain = tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous()
        if plain and self.postponed is not None and tensor.nbytes == tensor.untyped_storage().nbytes() > 0:
            self.postponed.add(tensor, fill)
            return
        if self.postponed is not None:
            self.postponed.do(tensor)
        if plain:
            fill.into(tensor.detach().numpy())
            return
        values = np.empty(tensor.shape, np.float32)
        fill.into(values)
        tensor.detach().copy_(torch.from_numpy(values))


def _uniform(low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    return low, high


def _normal(mean: float = 0.0, std: float = 1.0) -> tuple[float, float]:
    return mean - _SPREAD * std, mean + _SPREAD * std


_BOUNDS: dict[str, Callable[..., tuple[float, float]]] = {
    "uniform_": _uniform,
    "normal_": _normal,
    "rand": _uniform,
    "rand_like": _uniform,
    "randn": _normal,
    "randn_like": _normal,
}


def _trunc_normal(  # the signature is that of the function it stands in for
    tensor: torch.Tensor, mean: float, std: float, a: float, b: float, generator: object = None
) -> torch.Tensor:
    low, high = _normal(mean, std)
    with torch.no_grad():
        return tensor.uniform_(max(a, low), min(b, high))
