"""The server's half of the work: it builds networks for edges that it does not know, and their tails.

There are no sockets here. Whatever goes wrong becomes a Refusal: a code, and one line for the edge.
"""

from __future__ import annotations

import gc
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from torch import nn

from lmos_opt.profile import Timing
from lmos_opt.units import codec_words
from measurement import engines
from measurement.engines import Engine
from measurement.profiling import profile_traced
from measurement.sources import get
from measurement.timing import timed_profile
from measurement.timing.on_engine import timed_on
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import Example, given_by, random_input
from runner.faults.refusal import Refusal, refusing
from runner.memory import release
from runner.parts.network import Graphs, build, builder_here, example_of, trace_checked, varying_outputs
from runner.parts.split import split_traced
from runner.places.answers import Asker
from runner.places.batching import Batches, sizes_that_pay
from runner.places.onward import Onward
from runner.places.served import OwnPart, ServedPlan, longest_text, own_part, run_once
from runner.places.texts import ServedTexts, Texts
from runner.wire.agreed_codec import codec_for
from runner.wire.protocol import Measure, Open
from runner.wire.protocol.headers import MOST_DIMENSIONS
from runner.wire.protocol.messages import LayerTime

LARGEST_INPUT_BYTES = 2**24
"""The largest input. An edge chooses its size, and a network's activations take a multiple of it (VGG: 21 times)."""
CACHED_NETWORKS = 2
_NAMED_WEIGHTS = re.compile(r"(seeded:[0-9]+|bundled:[A-Za-z0-9_-]+|torchvision:[A-Za-z0-9_]+|hf:safetensors|onnx:initializers)")

Built = TypeVar("Built")
Asked = TypeVar("Asked", Open, Measure)


class _Kept(NamedTuple):
    """A network that was built, as what it was traced (granularity, whole parts, inputs), its graph and its digest."""

    module: nn.Module
    asked: tuple[object, ...]
    traced: TracedNetwork
    digest: str


class Networks:
    """Builds the networks that edges ask for, and keeps the last few. An edge that comes back does not wait for them.

    - `networks`: builders that may run here, besides torchvision's.
    - `weights_files`: the files that stand for a plan's `file:PATH`. A path that an edge names is never opened.
    - `digests`: if given, only these networks are built.
    - `batch`: up to so many images of several edges are computed together, if that is faster (`runner.places.batching`).
    - `graphs`: graphs of `networks` that were traced before.
    - `engine`: what computes.
    """

    def __init__(self, networks: Sequence[str] = (), weights_files: Sequence[Path] = (),
                 digests: Collection[str] | None = None, batch: int = 1, graphs: Graphs | None = None,
                 engine: Engine | None = None) -> None:  # fmt: skip
        self.engine = engine or engines.get(engines.DEFAULT)
        self._graphs = graphs
        self._batch, self._batches = batch, WeakValueDictionary[str, Batches]()
        self._networks, self._weights_files, self._digests = tuple(networks), tuple(weights_files), digests
        self._parts = WeakValueDictionary[str, OwnPart]()
        self._cache: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._building = threading.Lock()  # seeds and tracing change what all threads share
        self.texts = Texts()
        self._computing = threading.Lock()  # one inference at a time has all threads of torch to itself

    def open(self, request: Open, onward: Onward | None = None, host: str = "") -> ServedPlan:
        """The part that a peer asks for: built, checked and run once. `host` is the peer's address.

        Over two places the whole network is kept, so that another cut of it is ready at once. Over more places, for a decoder, and
        if the engine keeps weights in its own form, only the weights of this place's layers are kept. The places after it are asked
        through `onward`. Raises Refusal if the part cannot be built.
        """
        self._check(request)
        with refusing("refused", f"the codec {codec_words(request.codec, request.codecs)} cannot be used"):
            codec = codec_for(request)
        with self._building:
            is_apart = bool(request.later_layers) or _is_decoder(request) or self.engine.has_own_weights
            part, batches = self._own_part(request) if is_apart else self._tail(request)
            if part.longest is not None and self.engine.name == engines.DEFAULT:
                return ServedTexts(part, self._computing, codec, batches, onward, (self.texts, host, Asker.of(request)))
            return ServedPlan(part, self._computing, codec, batches, onward)

    def measure(self, request: Measure) -> tuple[tuple[LayerTime, ...], Timing]:
        """The times of a network's layers on this machine, and how they were measured. Raises Refusal if it cannot be measured."""
        self._check(request)
        with self._building:
            traced = self._with_weights(request, self._checked)
        with refusing("failed", "the network cannot be timed"), self._computing:
            profile = profile_traced(traced, name=request.network.builder)
            example = _drawn(request)
            timed = (timed_profile(profile, traced.module, example, budget_s=request.budget_s)
                     if self.engine.name == engines.DEFAULT else
                     timed_on(profile, traced.module, example, self.engine, request.budget_s))  # fmt: skip
        layers = tuple(LayerTime(name=one.name, t_s=one.t_local_s or 0.0, low_s=one.t_local_low_s, high_s=one.t_local_high_s,
                                 peak_bytes=one.peak_local_bytes) for one in timed.layers)  # fmt: skip
        return layers, timed.timing or Timing()

    def _check(self, request: Open | Measure) -> None:
        """Refusal for a network that is none of the plans', and for inputs that are too large."""
        if self._digests is not None and request.network.digest not in self._digests:
            raise Refusal("digest", f"the digest {request.network.digest[:19]} is of none of the plans that this server runs")
        specs = request.input_tensors.values()
        for spec in specs:
            if len(spec.shape) > MOST_DIMENSIONS or spec.bytes > LARGEST_INPUT_BYTES or math.prod(spec.shape) == 0:
                raise Refusal("refused", f"an input of shape {spec.shape} is not taken here: "
                                         f"up to {LARGEST_INPUT_BYTES} bytes are")  # fmt: skip
        if sum(spec.bytes for spec in specs) > LARGEST_INPUT_BYTES:
            raise Refusal("refused", f"inputs of more than {LARGEST_INPUT_BYTES} bytes together are not taken here")

    def _tail(self, request: Open) -> tuple[OwnPart, Batches]:
        """The tail where the engine computes it: one for all peers that ask for the same."""
        traced = self._with_weights(request, self._checked)
        with self._computing, refusing("split", "the network cannot be split there"):
            head, tail = split_traced(traced, request.edge_layers)
            key = _part_key(request)
            part = self._parts.get(key)
            if part is None:
                drawn = None if self.engine.name == engines.DEFAULT else _drawn(request)
                part = replace(run_once(head, tail, example_of(request), self.engine, drawn), varying=varying_outputs(traced),
                               longest=longest_text(traced.module))
                self._parts[key] = part
            return part, self._shared(key, part)

    def _own_part(self, request: Open) -> tuple[OwnPart, Batches]:
        """This place's part of several: one that another peer has just now, or a new one."""
        key = _part_key(request)
        found = self._parts.get(key)
        if found is None:
            gc.collect()  # parts that nobody has any more hold each other, and their weights may be most of the memory
            found = self._parts[key] = self._with_weights(request, self._built_part)
            if self.engine.has_own_weights:
                release()  # those that the part was made of
        with self._computing:
            return found, self._shared(key, found)

    def _shared(self, key: str, part: OwnPart) -> Batches:
        """What the peers with this part compute with, together where that pays."""
        found = self._batches.get(key)
        if found is None:
            sizes = sizes_that_pay(part.module, self._batch) if self._batch > 1 else []
            found = self._batches[key] = Batches(part.module, sizes, self._computing)
        return found

    def _built_part(self, request: Open, weights: str) -> OwnPart:
        with self._computing:
            return own_part(request, weights, self._networks, self._graphs, self.engine)

    def _with_weights(self, request: Asked, built: Callable[[Asked, str], Built]) -> Built:
        """What is built of the first weights that are the plan's."""
        refusal = Refusal("refused", "the plan's weights are a file, which this server was not given: lmos serve --weights FILE")
        for weights in self._candidates(request.network.weights):
            try:
                return built(request, weights)
            except Refusal as error:
                refusal = error
        raise refusal

    def _checked(self, request: Open | Measure, weights: str) -> TracedNetwork:
        """The network with these weights, from the cache or built. If it is the plan's, it is in the cache from now on, but where
        the engine has weights of its own: they would be in memory twice."""
        network, builder = request.network, request.network.builder
        asked = (request.granularity, network.opaque, request.input_tensors, request.arguments)
        kept = self._cache.get((builder, weights))
        if kept is not None and (kept.asked, kept.digest) == (asked, network.digest):
            self._cache.move_to_end((builder, weights))
            return kept.traced
        module = kept.module if kept is not None else None
        if module is None:
            with refusing("refused", f"{builder} cannot be built"):
                module = build(builder, weights, self._networks)
        # A cached network may be at work for another peer, and tracing takes it apart for a moment.
        with self._computing, refusing("refused", f"{builder} cannot be checked"):
            ours = builder_here(builder, self._networks) in self._networks  # what anybody may ask for must not fill a disk
            traced = trace_checked(builder, module, network, request, request.granularity, self._graphs if ours else None)
        if self.engine.has_own_weights:
            return traced
        self._cache[builder, weights] = _Kept(module, asked, traced, network.digest)
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


def _is_decoder(request: Open) -> bool:
    return get(request.network.builder)[0].is_decoder


def _part_key(request: Open) -> str:
    """The same for peers that ask for the same part."""
    return request.model_dump_json(exclude={"session", "codec", "codecs"})


def _drawn(request: Open | Measure) -> Example:
    """An input of random numbers, on which an engine that rounds is looked at, and times are taken."""
    return given_by(request, {name: random_input(spec, 0) for name, spec in request.input_tensors.items()})
