"""One conversation with a server in which the caller waits for each answer. It probes a link, or times a network there."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Self

from lmos_opt.plan import PlannedNetwork
from lmos_opt.profile import NetworkSource
from lmos_opt.tensors import inputs_of
from runner.client.remote import Remote
from runner.errors import PeerTooSlow, RemoteProtocolError, RunnerError
from runner.wire.protocol import Echo, Measure, Measured, Probe, Received, State
from runner.wire.protocol.messages import MEASURE, ONWARD
from runner.wire.protocol.turns import LARGEST_PROBE_BYTES
from runner.wire.stream import Wake


@cache
def _noise() -> memoryview:
    """Bytes for probes: random ones, because a link that compresses would carry zeros in no time."""
    return memoryview(os.urandom(LARGEST_PROBE_BYTES))


class ProbeClient(Remote):
    """A Remote whose caller waits for each answer. The end of a `with` block closes it.

    It measures hop 1. To measure a later `hop`, it asks the place before that hop to send the probes.
    """

    hop = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close(politely=error is None)

    def now(self) -> float:
        """The time (s) on the clock of exchanges. Only differences have a meaning."""
        return self._clock.now()

    def step(self, timeout_s: float, wake: Wake | None = None, *, alone: bool = True) -> Received | None:
        """`Remote.step`, whose failures are all RunnerErrors that name the server."""
        try:
            return super().step(timeout_s, wake, alone=alone)
        except RemoteProtocolError as error:
            raise RunnerError(self.name, str(error)) from None

    def probe(self, probe_bytes: int, echo_bytes: int, within_s: float | None = None) -> tuple[float, float]:
        """Send a message of `probe_bytes` over the hop, and get one of `echo_bytes` back.

        Returns two times (s): of the whole exchange, and of the part of it at the place after the hop. Raises PeerTooSlow if it
        takes longer than `within_s` (None: the limit for an image), and RunnerError if the server answers no probes.
        """
        self._until(lambda: self.state in {State.IDLE, State.READY}, self._timeouts.connect_s)
        if "probe" not in self._can:
            raise RunnerError(self.name, "the server does not answer probes")
        if self.hop > 1 and ONWARD not in self._can:
            raise RunnerError(self.name, f"the server is no middle place (--next): it knows no way to measure hop {self.hop}")
        payload = [_noise()[:probe_bytes]] if self.hop == 1 else []
        begin = self.now()
        self.ask(Probe(id=0, probe_bytes=probe_bytes, echo_bytes=echo_bytes, hop=self.hop), payload)
        received = self._answer(self._timeouts.result_s if within_s is None else within_s)
        assert isinstance(received.message, Echo)
        t_hop_s = received.message.t_hop_s
        if (t_hop_s is None) != (self.hop == 1):
            raise RunnerError(self.name, f"the server answered for another hop than {self.hop}")
        return self.now() - begin if t_hop_s is None else t_hop_s, received.message.t_server_s

    def measured(self, network: PlannedNetwork, budget_s: float) -> Measured:
        """The times of a network's layers on the server's machine, measured for at most `budget_s`.

        Raises PeerError if the server refuses, and RunnerError if it cannot measure or answers something else.
        """
        self._until(lambda: self.state in {State.IDLE, State.READY}, self._timeouts.connect_s)
        if MEASURE not in self._can:
            raise RunnerError(self.name, "the server does not measure networks")
        source = NetworkSource(builder=network.builder, weights=network.weights, digest=network.digest, opaque=network.opaque)
        self.ask(Measure(id=0, budget_s=budget_s, network=source, granularity=network.granularity, **inputs_of(network)), [])
        received = self._answer(self._timeouts.ready_s + 2 * budget_s)
        assert isinstance(received.message, Measured)
        return received.message

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
