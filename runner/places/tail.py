"""The server's half of the work: which networks it builds for strangers, and their tails.

No sockets here. Everything that goes wrong becomes a Refusal: a code and one line for the peer.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from lmos_opt.errors import LmosError
from measurement.codecs import Codec
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import ByParameter, call
from runner.faults.refusal import Refusal
from runner.parts.network import DigestError, Graphs, build, builder_here, example_input, example_of, trace_checked
from runner.parts.part import Crossing, made_by
from runner.parts.split import split_traced
from runner.places.batching import Batches, sizes_that_pay
from runner.wire.agreed_codec import codec_for
from runner.wire.protocol import ErrorCode, Infer, Open, TensorHeader, offsets
from runner.wire.protocol.messages import LARGEST_PAYLOAD_BYTES, MOST_DIMENSIONS
from runner.wire.tensors import pack, unpack

LARGEST_INPUT_BYTES = 2**24
"""Strangers choose the input's size, and a network's activations are a multiple of it (VGG: 21 times)."""
CACHED_NETWORKS = 2
_NAMED_WEIGHTS = re.compile(r"(seeded:[0-9]+|bundled:[A-Za-z0-9_-]+|torchvision:[A-Za-z0-9_]+|hf:safetensors)")


@contextmanager
def _refusing(code: ErrorCode, what: str) -> Iterator[None]:
    """Whatever is raised inside becomes a Refusal with this code."""
    try:
        yield
    except Refusal:
        raise
    except LmosError as error:
        raise Refusal("digest" if isinstance(error, DigestError) else code, error) from error
    except Exception as error:  # torch raises anything
        lines = str(error).strip().splitlines() or [""]
        raise Refusal(code, f"{what}: {type(error).__name__}: {lines[0]}") from error


class Networks:
    """Builds the networks that peers ask for, and keeps the last few.

    `networks` are the builders beyond torchvision's that may run here, `weights_files` the state dicts that stand in
    for a plan's `file:PATH`: a path that a peer names is never opened. With `digests`, only networks of these are built.
    Up to `batch` images of several peers go through equal tails at once, where that is faster; see `runner.places.batching`.
    `graphs` are of networks of `networks` that were traced before.
    """

    def __init__(self, networks: Sequence[str] = (), weights_files: Sequence[Path] = (),
                 digests: Collection[str] | None = None, batch: int = 1, graphs: Graphs | None = None) -> None:  # fmt: skip
        self._graphs = graphs
        self._batch, self._batches = batch, WeakValueDictionary[object, Batches]()
        self._networks, self._weights_files, self._digests = tuple(networks), tuple(weights_files), digests
        self._cache: OrderedDict[tuple[str, str], nn.Module] = OrderedDict()
        self._building = threading.Lock()  # seeds and tracing change what all threads share
        self._computing = threading.Lock()  # one inference at a time has all threads of torch to itself

    def open(self, request: Open) -> ServedPlan:
        """The tail of a network that was built, checked and run once; Refusal where that cannot be."""
        if self._digests is not None and request.network.digest not in self._digests:
            raise Refusal("digest", f"the digest {request.network.digest[:19]} is of none of the plans that this server runs")
        specs = request.input_tensors.values()
        for spec in specs:
            if len(spec.shape) > MOST_DIMENSIONS or spec.bytes > LARGEST_INPUT_BYTES or math.prod(spec.shape) == 0:
                raise Refusal("refused", f"an input of shape {spec.shape} is not taken here: "
                                         f"up to {LARGEST_INPUT_BYTES} bytes are")  # fmt: skip
        if sum(spec.bytes for spec in specs) > LARGEST_INPUT_BYTES:
            raise Refusal("refused", f"inputs of more than {LARGEST_INPUT_BYTES} bytes together are not taken here")
        with self._building:
            traced = self._traced(request)
            with _refusing("refused", f"the codec {request.codec} cannot be used"):
                codec = codec_for(request)
            with self._computing, _refusing("split", "the network cannot be split there"):
                head, tail = split_traced(traced, request.edge_layers)
                batches = self._shared(request, head, tail, codec)
                return ServedPlan(head, tail, example_of(request), self._computing, codec, batches)

    def _shared(self, request: Open, head: nn.Module, tail: nn.Module, codec: Codec | None) -> Batches | None:
        """What the peers with this tail compute with together, where that pays."""
        spec = request.input
        if self._batch == 1 or codec is not None or spec is None:
            return None
        key = (request.network.digest, spec.shape, spec.dtype, request.granularity, frozenset(request.edge_layers))
        found = self._batches.get(key)
        if found is None:
            sizes = sizes_that_pay(head, tail, example_input(spec), self._batch)
            found = self._batches[key] = Batches(tail, sizes, self._computing)
        return found

    def _traced(self, request: Open) -> TracedNetwork:
        refusal = Refusal("refused", "the plan's weights are a file; start the server with that file too")
        for weights in self._candidates(request.network.weights):
            try:
                return self._checked(request, weights)
            except Refusal as error:
                refusal = error
        raise refusal

    def _checked(self, request: Open, weights: str) -> TracedNetwork:
        """The network with these weights, from the cache or built, in the cache from now on if it is the plan's."""
        builder = request.network.builder
        module = self._cache.get((builder, weights))
        if module is None:
            with _refusing("refused", f"{builder} cannot be built"):
                module = build(builder, weights, self._networks)
        # A cached network may be at work for another peer, and tracing takes it apart for a moment.
        with self._computing, _refusing("refused", f"{builder} cannot be checked"):
            ours = builder_here(builder, self._networks) in self._networks  # what anybody may ask for must not fill a disk
            traced = trace_checked(builder, module, request.network, request, request.granularity, self._graphs if ours else None)
        self._cache[builder, weights] = module
        self._cache.move_to_end((builder, weights))
        while len(self._cache) > CACHED_NETWORKS:
            self._cache.popitem(last=False)
        return traced

    def _candidates(self, weights: str) -> list[str]:
        if weights.startswith("file:"):
            return [f"file:{path}" for path in self._weights_files]
        if not _NAMED_WEIGHTS.fullmatch(weights):
            raise Refusal("refused", f"weights {weights!r} are not taken here")
        return [weights]


class TailAnswer(NamedTuple):
    """A tail's outputs as they are sent, the time (s) that it took, and the part of it that undoing the codec took."""

    tensors: tuple[TensorHeader, ...]
    parts: list[memoryview]
    t_server_s: float
    t_decode_s: float


class ServedPlan:
    """One peer's tail: knows exactly which tensors must come, having run both parts once (which also warms it up).

    `waited_s` is how long the last question waited for others' tails.
    """

    def __init__(self, head: nn.Module, tail: nn.Module, example: Tensor | ByParameter, computing: threading.Lock,
                 codec: Codec | None = None, batches: Batches | None = None) -> None:  # fmt: skip
        self._tail, self._computing, self._codec, self._batches = tail, computing, codec, batches
        self.waited_s = 0.0
        with torch.inference_mode():
            crossing = call(head, example)
            self._scalars = json.loads(json.dumps(crossing.scalars))  # as they arrive: tuples become lists
            self._expected, _ = pack(crossing)
            results, _ = pack(made_by(tail, crossing))
        self.request_bytes, self.result_bytes = offsets(self._expected)[1], offsets(results)[1]
        if max(self.request_bytes, self.result_bytes) > LARGEST_PAYLOAD_BYTES:
            raise Refusal("split", f"{max(self.request_bytes, self.result_bytes)} bytes would have to cross; at most "
                                   f"{LARGEST_PAYLOAD_BYTES} can be sent")

    def infer(self, request: Infer, payload: memoryview) -> TailAnswer:
        """The outputs, and the times that they took. Refusal where that failed."""
        self._check(request)
        asked = time.perf_counter()
        if self._batches is not None:
            with _refusing("failed", "the tail failed"), torch.inference_mode():
                outputs, t_server_s = self._batches.infer(Crossing(unpack(request.tensors, payload, None), self._scalars))
                self.waited_s = max(time.perf_counter() - asked - t_server_s, 0.0)
                return TailAnswer(*pack(outputs), t_server_s, 0.0)
        with _refusing("failed", "the tail failed"), self._computing, torch.inference_mode():
            begin = time.perf_counter()
            self.waited_s = begin - asked
            with _refusing("tensors", "the tensors cannot be decoded"):
                crossing = Crossing(unpack(request.tensors, payload, self._codec), self._scalars)
            if self._codec is None:  # nothing was computed yet
                begin = time.perf_counter()
            decoded = time.perf_counter()
            outputs = made_by(self._tail, crossing)
            end = time.perf_counter()
            headers, parts = pack(outputs)
        return TailAnswer(headers, parts, end - begin, decoded - begin if self._codec else 0.0)

    def _check(self, request: Infer) -> None:
        wanted = {tensor.name: (tensor.dtype, tensor.shape) for tensor in self._expected}
        found = {tensor.name: (tensor.dtype, tensor.shape) for tensor in request.tensors}
        if found != wanted:
            name = next(name for name in [*wanted, *found] if wanted.get(name) != found.get(name))
            got, expected = _spec(found.get(name)), _spec(wanted.get(name))
            raise Refusal("tensors", f"tensor {name!r}: got {got}, expected {expected}")
        if request.scalars != self._scalars:  # sizes from a peer could ask for any amount of memory
            raise Refusal("tensors", f"sizes: got {request.scalars}, expected {self._scalars}")


def _spec(spec: tuple[str, tuple[int, ...]] | None) -> str:
    return "none" if spec is None else f"{spec[0]}{list(spec[1])}"
