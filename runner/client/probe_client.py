"""One conversation with a server, waited for: probes of a link, and an image at a time where nothing is asked for again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Self

from lmos_opt.plan import Plan, PlannedNetwork
from measurement.codecs import Codec
from runner.client.exchange import ServerAnswer, checked_answer
from runner.client.remote import Remote, opening
from runner.errors import PeerTooSlow, RunnerError
from runner.parts.part import Crossing
from runner.wire.agreed_codec import codec_for
from runner.wire.protocol import Echo, Infer, Probe, Received, Result, State
from runner.wire.protocol.messages import LARGEST_PROBE_BYTES
from runner.wire.tensors import pack, unpack


@cache
def _noise() -> memoryview:
    """Bytes for probes: random, since a link that compresses would carry zeros in no time."""
    return memoryview(os.urandom(LARGEST_PROBE_BYTES))


class ProbeClient(Remote):
    """A Remote whose caller waits for each answer; `with` it, it is closed."""

    _codec: Codec | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close(politely=error is None)

    def open(self, plan: Plan, network: PlannedNetwork) -> None:
        """Ask the server to build the plan's network; it does so while this side builds its own."""
        request = opening(plan, network)
        self._codec = codec_for(request)
        self.begin_open(request)
        self._until(lambda: self.state not in {State.START, State.GREETED, State.IDLE}, self._timeouts.connect_s)

    def wait_until_ready(self) -> None:
        """Return when the server's tail is built, checked and warm."""
        self._until(lambda: self.state is State.READY, self._timeouts.ready_s)

    def infer(self, number: int, crossing: Crossing) -> ServerAnswer:
        """Send what crosses, receive the outputs; packing and unpacking count."""
        begin = time.perf_counter()
        headers, payload = pack(crossing, self._codec)
        self.ask(Infer(id=number, tensors=headers, scalars=crossing.as_sent()), payload)
        received = self._answer(self._timeouts.result_s)
        assert isinstance(received.message, Result)
        outputs = unpack(received.message.tensors, received.payload)
        return checked_answer(self.name, outputs, time.perf_counter() - begin, received.message, crossing.kept)

    def probe(self, probe_bytes: int, echo_bytes: int, within_s: float | None = None) -> tuple[float, float]:
        """The time (s) of one exchange of so many bytes there and back, and the server's own span in it.

        PeerTooSlow where it takes longer than `within_s` (None: than an image may), RunnerError where the server cannot do that.
        """
        self._until(lambda: self.state in {State.IDLE, State.READY}, self._timeouts.connect_s)
        if "probe" not in self._can:
            raise RunnerError(self.name, "the server does not answer probes")
        payload = [_noise()[:probe_bytes]]
        begin = time.perf_counter()
        self.ask(Probe(id=0, probe_bytes=probe_bytes, echo_bytes=echo_bytes), payload)
        received = self._answer(self._timeouts.result_s if within_s is None else within_s)
        assert isinstance(received.message, Echo)
        return time.perf_counter() - begin, received.message.t_server_s

    def _until(self, done: Callable[[], bool], timeout_s: float) -> None:
        end = self._clock.now() + timeout_s
        while not done():
            if self._clock.now() > end:
                raise PeerTooSlow(self.name, f"the peer sent nothing for {timeout_s:g} s")
            self.step(max(end - self._clock.now(), 0.0))

    def _answer(self, timeout_s: float) -> Received:
        end = self._clock.now() + timeout_s
        while (received := self.step(max(end - self._clock.now(), 0.0))) is None:
            if self._clock.now() > end:
                raise PeerTooSlow(self.name, f"the peer sent nothing for {timeout_s:g} s")
        return received
