"""A peer's part of a network: what it takes, what it answers, and how it asks the place after it."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from lmos_opt.plan import PlannedNetwork
from lmos_opt.profile import TensorSpec
from lmos_opt.tensors import inputs_of
from measurement.codec_choice import Choice
from measurement.decoders import Chain
from measurement.engines import DEFAULT, Engine
from measurement.tracing.calls import Example, call, random_input
from runner.faults.refusal import Refusal, refusal_of, refusing
from runner.parts.computed import computed_on, remarks, rounding_error
from runner.parts.loading import load_planned
from runner.parts.network import Graphs, builder_here, example_input, outputs_of, varying_outputs
from runner.parts.part import Crossing, Head, Middle, Tail
from runner.parts.split import split_along
from runner.places.answers import Took
from runner.places.batching import Batches, Computed
from runner.places.onward import Onward
from runner.wire.protocol import Infer, Open, Span, TensorHeader, Tensors
from runner.wire.protocol.headers import LARGEST_PAYLOAD_BYTES, the_same
from runner.wire.tensors import pack, unpack_read

LONGEST_TEXT = 2**15
"""The most tokens of a text, if a decoder's configuration does not say how many."""

LONGEST_KEPT_BYTES = 2**16
"""A question's tensors are kept, for the next one in the same memory, up to this many bytes. They keep that memory, and beside a
longer question's other work the time to make them is nothing."""


@dataclass(frozen=True)
class OwnPart:
    """One place's part of a network.

    - `module`: what computes it.
    - `expected`, `scalars`: the tensors and the sizes that must come.
    - `results`: the tensors of the whole answer, those of later places among them.
    - `error`: by how much the engine's rounding changes the outputs, relative to the largest one; None for torch on the processor.
    - `varying`: results whose sizes are not known before.
    - `longest`: the most tokens of a decoder's text; None for other networks.
    """

    module: Middle | Tail
    expected: Tensors
    scalars: Mapping[str, Any]
    results: Tensors
    error: float | None = None
    varying: frozenset[str] = frozenset()
    longest: int | None = None


def run_once(head: Head, tail: Tail, example: Example, engine: Engine, drawn: Example | None = None) -> OwnPart:
    """The tail, computed by the engine, after head and tail ran once on `example`. So it is known what comes from the edge.

    With `drawn`, an input of random numbers, it is also measured what the engine's rounding changes.
    """
    with torch.inference_mode():
        crossing = call(head, example)
        placed = computed_on(engine, tail, tail.incoming.arguments(crossing))
        expected, _ = pack(crossing)
        results, _ = pack(placed.made(crossing))
        error = None
        if drawn is not None:
            with suppress(Exception):  # random numbers may be nothing that its layers compute
                error = rounding_error(placed, tail, call(head, drawn))
    return OwnPart(placed, expected, _as_sent(crossing.scalars), results, error)


def own_part(request: Open, weights: str, networks: Sequence[str], graphs: Graphs | None, engine: Engine) -> OwnPart:
    """This place's part of a plan over several places, with the weights of its own layers alone. It has run once.

    `networks` are builders that may run here, besides torchvision's. `graphs` are their graphs from earlier times; other networks,
    which peers choose, are not kept there. Raises Refusal if the part cannot be built.
    """
    builder = request.network.builder
    planned = PlannedNetwork(**request.network.model_dump(), name=builder, granularity=request.granularity, **inputs_of(request))
    with refusing("refused", f"{builder} cannot be checked"):
        ours = builder_here(builder, networks) in networks
        loaded = load_planned(planned, weights, networks, graphs=graphs if ours else None)
    with refusing("split", "the network cannot be split there"), torch.inference_mode():
        first, part, *_ = split_along(loaded.traced, request.edge_layers, request.later_layers)
        assert isinstance(first, Head)
        assert isinstance(part, Middle | Tail)
        results = {path: spec for path, spec in outputs_of(loaded.traced).items() if path not in first.keeps}
        varying, longest = varying_outputs(loaded.traced), longest_text(loaded.traced.module)
        hollow = loaded.hollow.part(part)
        del loaded, first
        hollow.fill(part)
        zeros = Crossing({name: example_input(spec) for name, spec in part.incoming.tensors.items()})
        placed = computed_on(engine, part, part.incoming.arguments(zeros))
        with suppress(Exception):  # zeros in place of what comes may be anything to a layer
            placed(zeros)
        drawn = Crossing({name: random_input(spec, 0) for name, spec in part.incoming.tensors.items()}, part.incoming.scalars)
        error = None if engine.name == DEFAULT else rounding_error(placed, part, drawn)
    return OwnPart(placed, _headers(part.incoming.tensors), _as_sent(part.incoming.scalars), _headers(results), error, varying,
                   longest)  # fmt: skip


def longest_text(network: nn.Module) -> int | None:
    """The most tokens of a decoder's text; None for other networks."""
    return (network.longest or LONGEST_TEXT) if isinstance(network, Chain) else None


def _headers(specs: Mapping[str, TensorSpec]) -> Tensors:
    """Of tensors whose elements lie in the order of their dimensions."""
    return the_same(tuple(TensorHeader(name=name, dtype=spec.dtype, shape=spec.shape,
                                       strides=tuple(math.prod(spec.shape[k + 1 :]) for k in range(len(spec.shape))))
                          for name, spec in specs.items()))  # fmt: skip


def _as_sent(scalars: Mapping[str, Any]) -> Mapping[str, Any]:
    """As they arrive: tuples become lists."""
    found: Mapping[str, Any] = json.loads(json.dumps(dict(scalars)))
    return found


class TailAnswer(NamedTuple):
    """The answer of a part: its tensors and their bytes, ready to be sent.

    - `took`: the times of the part.
    - `waited_s`: how long (s) the question waited while others were computed.
    - `beyond`: the times of the places after this one.
    - `held`: for a text, the number of its tokens that are kept here; None otherwise.
    """

    tensors: Tensors
    parts: list[memoryview]
    took: Took
    waited_s: float
    beyond: tuple[Span, ...] = ()
    held: int | None = None


class ServedPlan:
    """A peer's part, and the place after it that it asks through `onward` (None: this is the last place)."""

    @property
    def error(self) -> float | None:
        """By how much the engine's rounding changes the outputs; None if the engine is torch on the processor."""
        return self._part.error

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the engine has to say about the part."""
        return remarks(self._part.module, self._part.error)

    def __init__(self, part: OwnPart, computing: threading.Lock, codec: Choice | None = None, batches: Batches | None = None,
                 onward: Onward | None = None) -> None:  # fmt: skip
        self._part, self._codec, self._batches = part, codec, batches or Batches(part.module, (), computing)
        self.onward = onward
        self._inference = torch.inference_mode()  # to make it takes longer than to enter it; one question at a time is begun
        self._checked: Tensors | None = None
        self._last: tuple[memoryview, Tensors, Crossing] | None = None
        self._names = [one.name for one in part.results]  # in the network's order, which the padding between tensors depends on
        if onward is not None:
            assert isinstance(part.module, Middle)
            onward.expect({tensor.name: tensor for tensor in part.results if tensor.name not in part.module.keeps}, part.varying)
        self.request_bytes, self.result_bytes = part.expected.payload_bytes, part.results.payload_bytes
        if max(self.request_bytes, self.result_bytes) > LARGEST_PAYLOAD_BYTES:
            raise Refusal("split", f"{max(self.request_bytes, self.result_bytes)} bytes would have to cross; at most "
                                   f"{LARGEST_PAYLOAD_BYTES} can be sent")
        if part.varying:
            self.result_bytes = LARGEST_PAYLOAD_BYTES

    @property
    def is_at_work(self) -> bool:
        """Whether a part is being computed now, for this peer or for another one."""
        return self._batches.is_at_work

    def begin(self, request: Infer, payload: memoryview) -> Callable[[], TailAnswer]:
        """Compute the part, and send what goes on to the next place. The function that is returned waits for the whole answer.

        Both raise Refusal if the part or a later place fails.
        """
        if request.text is not None:
            raise Refusal("refused", "texts are kept of decoders alone, and by torch on the processor")
        self._check(request)
        try:
            if torch.is_inference_mode_enabled():
                return self._begun(request, payload)
            with self._inference:
                return self._begun(request, payload)
        except Refusal:
            raise
        except Exception as error:
            raise refusal_of(error, "failed", "the part failed") from error

    def _begun(self, request: Infer, payload: memoryview) -> Callable[[], TailAnswer]:
        came, t_decode_s = self._decoded(request, payload)
        found = self._batches.infer(came)
        return self._answering(request, came, found, Took(t_decode_s + found.t_s, t_decode_s))

    def _answering(self, request: Infer, came: Crossing, found: Computed, took: Took) -> Callable[[], TailAnswer]:
        """What the part made is packed, or sent on to the next place, which has the answer."""
        if self.onward is not None:
            return self._relay(self.onward, request, came, found, took)
        held = None if request.text is None else request.text.length
        answer = TailAnswer(*pack(found.made), took, found.waited_s, held=held)
        return lambda: answer

    def _relay(self, onward: Onward, request: Infer, came: Crossing, found: Computed, took: Took) -> Callable[[], TailAnswer]:
        assert isinstance(self._part.module, Middle)
        exchange = onward.ask(request.id, self._part.module.onward(found.made, came), request.text,
                              as_they_are=request.as_they_are)  # fmt: skip
        encoded_too = took._replace(t_server_s=took.t_server_s + exchange.t_encode_s, t_encode_s=exchange.t_encode_s)

        def answer() -> TailAnswer:
            later = onward.answer(exchange)
            with refusing("failed", "the part failed"), torch.inference_mode():
                headers, parts = pack({name: later.outputs[name] for name in self._names if name in later.outputs})
            span = Span(t_tx_s=max(later.t_tx_s, 0.0), t_server_s=later.t_server_s, t_queue_s=later.t_queue_s,
                        t_decode_s=later.t_decode_s, t_encode_s=later.t_encode_s,
                        sent_bytes=exchange.sent_bytes)  # fmt: skip
            return TailAnswer(headers, parts, encoded_too, found.waited_s + exchange.t_queue_s, (span, *later.beyond), later.held)

        return answer

    def _decoded(self, request: Infer, payload: memoryview) -> tuple[Crossing, float]:
        """What came, those tensors decoded that are read here, and what that took (s): nothing where there is no codec."""
        if (last := self._last) is not None and last[0] is payload and last[1] is request.tensors:
            return _with_tensors_of_its_own(last[2]), 0.0
        begin, read = time.perf_counter(), self._part.module.incoming.read
        try:
            tensors, encoded = unpack_read(request.tensors, payload, self._codec, read)
        except Exception as error:
            raise refusal_of(error, "tensors", "the tensors cannot be decoded") from error
        came = Crossing(tensors, self._part.scalars, encoded=encoded)
        if self._codec is not None:
            return came, time.perf_counter() - begin
        if payload.nbytes > LONGEST_KEPT_BYTES:
            return came, 0.0
        self._last = payload, request.tensors, came  # as a rule the next ones come into the same memory
        return _with_tensors_of_its_own(came), 0.0

    def _check(self, request: Infer) -> None:
        if request.tensors is not self._checked:
            self._check_tensors(request)
            self._checked = request.tensors  # as a rule they are the very same next time
        if request.scalars != self._part.scalars:  # sizes from a peer could ask for any amount of memory
            raise Refusal("tensors", f"sizes: got {request.scalars}, expected {self._part.scalars}; parts that an older release "
                                     "exported must be exported again (lmos export)")

    def _check_tensors(self, request: Infer) -> None:
        wanted = {tensor.name: (tensor.dtype, tensor.shape) for tensor in self._part.expected}
        found = {tensor.name: (tensor.dtype, tensor.shape) for tensor in request.tensors}
        if found != wanted:
            name = next(name for name in [*wanted, *found] if wanted.get(name) != found.get(name))
            got, expected = _spec(found.get(name)), _spec(wanted.get(name))
            raise Refusal("tensors", f"tensor {name!r}: got {got}, expected {expected}")


def _with_tensors_of_its_own(came: Crossing) -> Crossing:
    """The same numbers in other objects: a layer may give its input another shape or other memory, or know it again."""
    return Crossing({name: tensor[...] for name, tensor in came.items()}, came.scalars, encoded=came.encoded)


def _spec(spec: tuple[str, tuple[int, ...]] | None) -> str:
    return "none" if spec is None else f"{spec[0]}{list(spec[1])}"
