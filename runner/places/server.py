"""The server's side: accepts connections, within limits, and ends every conversation with one clear line."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

import torch

from lmos_opt.errors import InputError
from lmos_opt.processes.signals import handled
from measurement import engines
from measurement.networks import check_builder
from runner.errors import RunnerError
from runner.faults.limits import ORDINARY, Budget, Buffers, Limits, Load, Throttle
from runner.machine import this_machine
from runner.memory import keep_heap, settled, share_one_heap
from runner.places.answers import Responder
from runner.places.conversation import Conversation, Shared
from runner.places.onward import Next, Onwards
from runner.places.options import ServeKeywords, ServeOptions
from runner.places.tail import Networks
from runner.watching.events import NOBODY, Events, Listening, Stopped
from runner.watching.logs import log_event, log_to_standard_error
from runner.wire.connecting import Listener, is_loopback, listen, parse_address
from runner.wire.protocol import Connection, Role
from runner.wire.protocol.turns import MOST_UNANSWERED
from runner.wire.shaping import Shape, as_pacer
from runner.wire.tls import Tls, stream_over
from runner.wire.transport import Channel

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 7070
ORDINARY_SERVICE = ServeOptions()


def serve(host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, options: ServeOptions = ORDINARY_SERVICE,
          **changes: Unpack[ServeKeywords]) -> None:  # fmt: skip
    """Serve until SIGTERM or SIGINT (in the main thread), then answer the questions that came, and end. A keyword replaces the
    field of `options` with the same name.

    RunnerError if the server cannot listen at the address; InputError if the address needs a token and TLS (see ServeOptions), or
    there is no such network as one of `networks`.
    """
    options = replace(options, **changes)
    token, tls = options.token, options.tls
    if not (options.unprotected or is_loopback(host) or (token is not None and tls is not None)):
        raise InputError("--listen", f"{host} can be reached from other machines: give --token-file and --tls-cert, or "
                                     "say --unprotected, which lets anybody there use this server and read what crosses")
    for builder in options.networks:
        check_builder(builder)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    share_one_heap()
    keep_heap()
    events = Events([log_event, *options.observers])
    engine = engines.get(options.engine, options.precision)
    networks = Networks(options.networks, options.weights_files, options.digests, options.batch, options.graphs, engine)
    limits = options.limits
    if options.next is not None:  # what is under way beyond this place waits for its answer here too
        limits = replace(limits, window=min(2 * limits.window, MOST_UNANSWERED))
    server = Server(Listener(listen(host, port)), networks, limits, token=token, tls=tls, events=events,
                    shape=options.shape, onwards=Onwards(options.next, events))  # fmt: skip
    if options.watch is not None:
        options.watch(server.load)
    with handled((signal.SIGTERM, signal.SIGINT), lambda *_: server.stop(), once=True), settled():
        events.tell(Listening(address=server.listener.name, tls=tls is not None, token=token is not None,
                              threads=torch.get_num_threads(), engine=engine.text))  # fmt: skip
        if options.ready is not None:
            options.ready(server.listener.port)
        server.run()
    events.tell(Stopped())


class Server:
    """Accepts peers, and talks with each in threads of its own."""

    def __init__(self, listener: Listener, networks: Networks, limits: Limits = ORDINARY, *, token: str | None = None,
                 tls: Tls | None = None, events: Events = NOBODY, shape: Shape | None = None,
                 onwards: Onwards | None = None) -> None:  # fmt: skip
        onwards = self._onwards = onwards or Onwards()
        self.listener, self._limits, self._tls, self._pacer = listener, limits, tls, as_pacer(shape)
        self._shared = Shared(networks, Responder(), Budget(limits.memory_bytes), limits,
                            this_machine(torch.get_num_threads(), networks.engine.told), token, self._enter,
                            lambda: len(self._peers) == 1, self._take_over, events, onwards)  # fmt: skip
        self._strangers: dict[Conversation, threading.Thread] = {}  # in the order in which they came
        self._peers: dict[Conversation, threading.Thread] = {}
        self._sessions: dict[str, Conversation] = {}
        self._changing = threading.Lock()

    def run(self) -> None:
        """Serve until `stop`. Then answer the questions that have come, take no new ones, and end every conversation."""
        if self._pacer is not None:
            self._pacer.start()
        self._onwards.start()
        throttle = Throttle(self._limits.arrivals_per_s)
        for sock in self.listener:
            throttle.wait()
            self._admit(sock)
        with self._changing:
            peers, strangers = dict(self._peers), list(self._strangers)
        for stranger in strangers:
            stranger.channel.shut_down()
        for peer in peers:
            peer.stop()
        deadline = time.monotonic() + self._limits.drain_s
        for peer, thread in peers.items():
            thread.join(max(deadline - time.monotonic(), 0.0))
            if thread.is_alive():
                peer.tell_unfinished(self._limits.drain_s)

    def stop(self) -> None:
        """End `run`, from any thread or signal handler."""
        self.listener.stop()

    def load(self) -> Load:
        """How busy it is now, from any thread."""
        with self._changing:
            peers, strangers = tuple(self._peers), len(self._strangers)
        return Load(len(peers), strangers, sum(peer.waiting for peer in peers), self._shared.budget.taken)

    def _admit(self, sock: socket.socket) -> None:
        buffers = Buffers(self._shared.budget)
        connection = Connection(Role.SERVER, buffers.take)
        channel = Channel(stream_over(sock, self._tls), connection, pacer=self._pacer)
        conversation = Conversation(channel, connection, buffers, self._shared)
        thread = threading.Thread(target=self._attend, args=(conversation,), name=conversation.channel.name, daemon=True)
        with self._changing:
            if len(self._strangers) >= self._limits.strangers:
                next(iter(self._strangers)).channel.shut_down()
            self._strangers[conversation] = thread
        try:
            thread.start()
        except RuntimeError:  # no thread to be had
            self._leave(conversation)
            conversation.channel.close()

    def _attend(self, conversation: Conversation) -> None:
        try:
            with torch.inference_mode():  # once: to enter it for each question takes longer than some parts
                conversation.run()
        finally:
            self._leave(conversation)

    def _enter(self, conversation: Conversation) -> bool:
        with self._changing:
            if len(self._peers) >= self._limits.connections:
                return False
            self._peers[conversation] = self._strangers.pop(conversation)
            return True

    def _take_over(self, conversation: Conversation, session: str) -> None:
        with self._changing:
            before, self._sessions[session] = self._sessions.get(session), conversation
        if before is not None:
            before.give_way()

    def _leave(self, conversation: Conversation) -> None:
        with self._changing:
            for session in [session for session, owner in self._sessions.items() if owner is conversation]:
                del self._sessions[session]
            self._strangers.pop(conversation, None)
            self._peers.pop(conversation, None)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m runner.places.server [HOST:PORT[>HOST:PORT] [NETWORK ...]]`, for scripts and tests; the port is printed first.

    What stands after `>` is the next place.
    """
    address, *networks = [*(sys.argv[1:] if arguments is None else arguments)] or [f"{DEFAULT_HOST}:{DEFAULT_PORT}"]
    address, _, onward = address.partition(">")

    def ready(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    try:
        with log_to_standard_error():
            serve(*parse_address(address), networks=networks, ready=ready,
                  next=Next(address=parse_address(onward)) if onward else None)
    except RunnerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
