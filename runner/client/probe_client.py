"""One conversation with a server whose caller waits for each answer: probes of a link."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Self

from runner.client.remote import Remote
from runner.errors import PeerTooSlow, RunnerError
from runner.wire.protocol import Echo, Probe, Received, State
from runner.wire.protocol.messages import LARGEST_PROBE_BYTES


@cache
def _noise() -> memoryview:
    """Bytes for probes: random ones, because a link that compresses would carry zeros in no time."""
    return memoryview(os.urandom(LARGEST_PROBE_BYTES))


class ProbeClient(Remote):
    """A Remote whose caller waits for each answer; the end of a `with` block closes it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close(politely=error is None)

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
