"""Random initialisation that gives the same bits on every machine, every CPU and every release of torch.

torch's own fills do not: their vectorised paths differ between CPUs and between releases. Here the numbers come from
PCG64's raw 64-bit output, a stream that numpy promises never to change, and become float32 by three operations that
IEEE 754 fixes to the last bit: a 32-bit integer to float, one multiplication, and one addition where the range is not
centred at zero. A logarithm, as a normal deviate needs, would bring the machine's mathematical library in.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch.utils._python_dispatch import TorchDispatchMode

_WORDS_AT_ONCE = 1 << 16
"""64-bit words drawn at a time: half a megabyte stays in the cache between drawing and scaling."""
_HALF_RANGE = 2.0**-31
"""Takes a signed 32-bit integer to [-1, 1]."""
_SPREAD = math.sqrt(3.0)
"""The uniform distribution on mean -+ sqrt(3) std has that mean and that standard deviation."""

_PATCHING = threading.Lock()


def fill_uniform(values: npt.NDArray[np.float32], low: float, high: float, seed: int, stream: int) -> None:
    """Fill a contiguous float32 array with draws from [low, high], from stream `stream` of `seed`.

    Each 64-bit word gives two values, its lower half first.
    """
    bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,)))
    scale, middle = np.float32((high - low) / 2 * _HALF_RANGE), np.float32((high + low) / 2)
    flat = values.reshape(-1)
    for start in range(0, flat.size, 2 * _WORDS_AT_ONCE):
        part = flat[start : start + 2 * _WORDS_AT_ONCE]
        words = np.asarray(bits.random_raw((part.size + 1) // 2), dtype="<u8")
        np.multiply(words.view("<i4")[: part.size], scale, out=part, casting="unsafe", dtype=np.float32)
        if middle != 0:
            np.add(part, middle, out=part)


@contextmanager
def seeded_fills(seed: int) -> Iterator[None]:
    """Within the block, every random fill of a tensor comes from `seed` and from how many fills came before it.

    `uniform_` and `rand` are as asked. `normal_`, `randn` and `nn.init.trunc_normal_` give the *uniform* distribution
    of the same mean and standard deviation (for trunc_normal_ of the untruncated normal, cut to its bounds), which
    serves to initialise a network as well and needs no logarithm. Constant fills run as they are. Any other draw
    (`randperm`, `bernoulli_`, ...) comes from torch's generator seeded with `seed`: the same on one release of torch;
    should it differ elsewhere, the network's digest says so. torch's own generator is left as it was.
    """
    # trunc_normal_ reaches the dispatcher as a series of operations that depends on the release of torch (an inverse
    # error function, or rejection), hence the patch of the function behind it, for this block only; the lock keeps two
    # threads from restoring each other's.
    with (
        _PATCHING,
        torch.random.fork_rng(devices=[]),
        mock.patch.object(torch.nn.init, "_no_grad_trunc_normal_", _trunc_normal),
        _SeededFills(seed),
    ):
        torch.default_generator.manual_seed(seed)
        yield


class _SeededFills(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = seed
        self.fills = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        bounds = _BOUNDS.get(func.overloadpacket.__name__)
        if bounds is None:
            return func(*args, **options)
        if func.overloadpacket.__name__.endswith("_"):
            self._fill(args[0], *bounds(*args[1:3]))
            return args[0]
        made = func(*args, **options)  # rand and randn make their tensor; its values are drawn again
        self._fill(made, *bounds())
        return made

    def _fill(self, tensor: torch.Tensor, low: float, high: float) -> None:
        stream, self.fills = self.fills, self.fills + 1
        if tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous():
            fill_uniform(tensor.detach().numpy(), low, high, self.seed, stream)
            return
        values = np.empty(tensor.shape, np.float32)
        fill_uniform(values, low, high, self.seed, stream)
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
