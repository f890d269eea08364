"""What the runner's tests ask a server for, one thing after another."""

from __future__ import annotations

import time

from lmos_opt.plan import Plan, PlannedNetwork
from measurement.codecs import Codec
from runner.client.exchange import ServerAnswer, checked_answer
from runner.client.probe_client import ProbeClient
from runner.client.remote import opening
from runner.errors import ConnectionLost
from runner.parts.part import Crossing
from runner.wire.agreed_codec import codec_for
from runner.wire.protocol import Closed, Infer, Received, Result, State
from runner.wire.tensors import pack, unpack
from runner.wire.transport import Channel


class AskingClient(ProbeClient):
    """Asks for one image at a time, and never twice."""

    _codec: Codec | None = None

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
        """Send what crosses, receive the outputs."""
        begin = time.perf_counter()
        headers, payload = pack(crossing, self._codec)
        self.ask(Infer(id=number, tensors=headers, scalars=crossing.as_sent()), payload)
        received = self._answer(self._timeouts.result_s)
        assert isinstance(received.message, Result)
        outputs = unpack(received.message.tensors, received.payload)
        return checked_answer(self.name, outputs, time.perf_counter() - begin, received.message, crossing.kept)


def expect(channel: Channel, timeout_s: float) -> Received:
    """The next message; ConnectionLost where the stream has ended."""
    event = channel.receive(timeout_s)
    if isinstance(event, Closed):
        raise ConnectionLost(channel.name, "the peer closed the connection without an answer")
    return event
