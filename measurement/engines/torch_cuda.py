"""torch on an NVIDIA GPU: pinned memory, a stream for each part, and a CUDA graph for each shape of arguments.

The processor needs about 5 microseconds to start one kernel, longer than many kernels run. A graph starts all kernels of a part at
once.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_map_only

from lmos_opt.errors import InputError, first_line
from measurement.engines import Loaded
from measurement.engines.devices import OnDevice, TorchDevice, tensors_in

GRAPHS = 4
"""For how many shapes of arguments a part keeps a graph. The graph that was used the longest time ago goes first."""
_WARM_UP = 3


class TorchCuda(TorchDevice):
    """torch on an NVIDIA GPU. `tf32` is torch's `allow_tf32`: factors of products are rounded to 10 bits. float32 does without it.
    """

    name: ClassVar[str] = "torch:cuda"
    where: ClassVar[str] = "cuda"
    precisions: ClassVar[tuple[str, ...]] = ("float32", "tf32", "float16", "bfloat16")

    def check(self) -> None:
        """Raises InputError if torch sees no GPU."""
        if not torch.cuda.is_available():
            raise InputError(self.name, "torch sees no GPU here (torch.cuda.is_available() is false); a driver and a "
                                        "torch that was built for CUDA are needed")  # fmt: skip
        rounded = self.numbers == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = rounded
        torch.backends.cudnn.allow_tf32 = rounded

    @property
    def device(self) -> str:
        """The GPU's name."""
        return torch.cuda.get_device_name()

    def wait(self) -> None:
        """Wait until the GPU has done all that it was asked for."""
        torch.cuda.synchronize()

    def part(self, body: fx.GraphModule) -> Loaded:
        """What computes the part, with its own stream and graphs."""
        return _OnGpu(self, body)

    def held_bytes(self) -> int | None:
        """The bytes of the GPU's memory that tensors of this process take."""
        return torch.cuda.memory_allocated()

    def memory_bytes(self) -> int | None:
        """The GPU's whole memory (B)."""
        return torch.cuda.get_device_properties(0).total_memory

    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """The time (s) of each call, between two events on the GPU. The processor's time is not in it, unless the GPU had to wait
        for the processor."""
        found = []
        for _ in range(repeats):
            self.wait()
            begin, end = _event(), _event()
            begin.record()
            function()
            end.record()
            end.synchronize()
            found.append(begin.elapsed_time(end) / 1e3)
        return found

    @contextmanager
    def captured(self, stream: torch.cuda.Stream | None = None) -> Iterator[torch.cuda.CUDAGraph]:
        """What is asked of the GPU inside the block is not done, but becomes a graph."""
        graph = torch.cuda.CUDAGraph()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The CUDA Graph is empty")  # a part of views alone
            with torch.cuda.graph(graph, stream=stream):
                yield graph


class _Captured(NamedTuple):
    """A graph, where its arguments are read, and what it returns."""

    graph: torch.cuda.CUDAGraph
    given: tuple[Any, ...]
    found: Any


class _OnGpu(OnDevice):
    """Arguments go through pinned memory to where the graph reads them."""

    def __init__(self, engine: TorchCuda, body: fx.GraphModule) -> None:
        super().__init__(engine, body)
        self._gpu = engine
        self._stream = _stream()
        self._graphs: OrderedDict[tuple[Any, ...], _Captured | None] = OrderedDict()
        self._begin, self._end = _event(), _event()

    @torch.inference_mode()
    def __call__(self, *args: Any) -> Any:
        """As the part itself; what it returns is in pinned memory of its own."""
        with torch.cuda.stream(self._stream):
            captured = self._captured(args)
            if captured is None:
                brought = self._brought(args)
                self._begin.record(self._stream)
                found = self.body(*brought)
            else:
                for here, there in zip(tensors_in(args), tensors_in(captured.given), strict=True):
                    there.copy_(_pinned(here), non_blocking=True)
                self._begin.record(self._stream)
                captured.graph.replay()
                found = captured.found
            self._end.record(self._stream)
            fetched = tree_map_only(Tensor, self._fetched, found)
        self._stream.synchronize()
        self.compute_s = self._begin.elapsed_time(self._end) / 1e3
        return fetched

    def _brought(self, args: Sequence[Any]) -> tuple[Any, ...]:
        kept = self._gpu.kept
        found: tuple[Any, ...] = tree_map_only(Tensor, lambda tensor: kept.there(_pinned(tensor)), tuple(args))
        return found

    def _fetched(self, tensor: Tensor) -> Tensor:
        dtype = torch.float32 if self._gpu.dtype is not None and tensor.dtype is self._gpu.dtype else tensor.dtype
        here = torch.empty_like(tensor, dtype=dtype, device="cpu", pin_memory=True, memory_format=self._gpu.kept.back)
        return here.copy_(tensor.to(dtype), non_blocking=True)

    def _captured(self, args: Sequence[Any]) -> _Captured | None:
        """The graph for arguments of these shapes; None where the part cannot be one."""
        key = tuple((tuple(a.shape), a.stride(), a.dtype) if isinstance(a, Tensor) else a for a in args)
        if key in self._graphs:
            self._graphs.move_to_end(key)
            return self._graphs[key]
        given = self._brought(args)
        for _ in range(_WARM_UP):  # libraries choose their kernels now, which a graph must not hold
            self.body(*given)
        self._stream.synchronize()
        try:
            with self._gpu.captured(self._stream) as graph:
                found = self.body(*given)
            self._graphs[key] = _Captured(graph, given, found)
        except Exception as error:  # noqa: BLE001 - a part that reads numbers back while it runs raises anything
            torch.cuda.synchronize()
            self._graphs[key] = None
            self.notes = (f"runs kernel by kernel: it cannot be one CUDA graph ({first_line(error)})",)
        while len(self._graphs) > GRAPHS:
            self._graphs.popitem(last=False)
        return self._graphs[key]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _stream() -> torch.cuda.Stream:
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def _pinned(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_pinned() else tensor.pin_memory()


ENGINE = TorchCuda
