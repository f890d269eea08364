"""The server's side: a thread for each connection, each conversation ended by one clear line."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import lmos_opt
from runner.errors import ConnectionLost, LocalProtocolError, PeerTooSlow, RemoteProtocolError, RunnerError
from runner.machine import Machine, this_machine
from runner.protocol import Bye, Closed, Connection, Error, ErrorCode, Hello, Infer, Open, Ready, Result, Role
from runner.tail import Networks, Refusal, Tail
from runner.transport import LINGER_S, Channel, Listener, listen, parse_address

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 7070
SOFTWARE = f"lmos {lmos_opt.__version__}"
_log = logging.getLogger("lmos.server")


@dataclass(frozen=True)
class Limits:
    """What peers may take: connections at once, seconds to say what they want, seconds of silence afterwards."""

    connections: int = 16
    greeting_s: float = 10.0
    idle_s: float = 300.0


def serve(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    networks: Sequence[str] = (),
    weights_files: Sequence[Path] = (),
    threads: int | None = None,
    limits: Limits = Limits(),
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT (in the main thread), then end after the computation at hand.

    `networks` are the `package.module:callable` that may be built here beside torchvision's, `weights_files` the state
    dicts for plans with weights from a file. `ready` is called with the port, which port 0 leaves to the system.
    RunnerError where the address cannot be had.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    server = Server(Listener(listen(host, port)), Networks(networks, weights_files), limits)
    with _until_signal(server.stop):
        _log.info("listening on %s, %d threads of torch", server.listener.name, torch.get_num_threads())
        if ready is not None:
            ready(server.listener.port)
        server.run()
    _log.info("stopped")


@contextlib.contextmanager
def _until_signal(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `stop` inside the block; a second one ends the process as it would without it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: object) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        stop()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Server:
    """Accepts peers and talks with each in its own thread."""

    def __init__(self, listener: Listener, networks: Networks, limits: Limits) -> None:
        self.listener, self._networks, self._limits = listener, networks, limits
        self._machine: Machine = this_machine(torch.get_num_threads())
        self._peers: dict[Channel, threading.Thread] = {}
        self._changing = threading.Lock()

    def run(self) -> None:
        """Serve until `stop`; then end every conversation, after the computation it is at."""
        for sock in self.listener:
            channel = Channel(sock, Connection(Role.SERVER))
            with self._changing:
                full = len(self._peers) >= self._limits.connections
                if not full:
                    thread = threading.Thread(target=self._attend, args=(channel,), name=channel.name)
                    self._peers[channel] = thread
                    thread.start()
            if full:
                self._say_why(channel, "busy", f"{self._limits.connections} peers are being served; try again later")
                channel.close(linger_s=0.1)  # short: nobody else is accepted meanwhile
        with self._changing:
            left = dict(self._peers)
        for channel in left:
            channel.shut_down()
        for thread in left.values():
            thread.join()

    def stop(self) -> None:
        """End `run`, from any thread or signal handler."""
        self.listener.stop()

    def _attend(self, channel: Channel) -> None:
        try:
            self._converse(channel)
        except Refusal as refusal:
            self._say_why(channel, refusal.code, refusal)
        except RemoteProtocolError as error:
            self._say_why(channel, "protocol", error)
        except PeerTooSlow as error:
            self._say_why(channel, "idle", error.message)
        except ConnectionLost as error:
            _log.info("%s", error)
        finally:
            channel.close(linger_s=LINGER_S)
            with self._changing:
                del self._peers[channel]

    def _converse(self, channel: Channel) -> None:
        """One conversation, to its end."""
        connection, limits = channel.connection, self._limits
        tail: Tail | None = None
        while True:
            event = channel.receive(limits.greeting_s if tail is None else limits.idle_s)
            if isinstance(event, Closed):
                _log.log(logging.DEBUG if tail is None else logging.INFO, "%s: gone", channel.name)
                return
            message = event.message
            if isinstance(message, Hello):
                _log.info("%s: %s", channel.name, message.software)
                channel.send(Hello(software=SOFTWARE))
            elif isinstance(message, Open):
                tail = self._networks.open(message)
                connection.payload_limit = tail.request_bytes
                _log.info("%s: %s, %s, %d layers at the edge", channel.name, message.network.builder,
                          message.network.weights, len(message.edge_layers))  # fmt: skip
                channel.send(Ready(result_bytes=tail.result_bytes, machine=self._machine))
            elif isinstance(message, Infer) and tail is not None:
                headers, parts, t_server_s = tail.infer(message, event.payload)
                channel.send(Result(id=message.id, tensors=headers, t_server_s=t_server_s), parts)
            elif isinstance(message, Bye):
                _log.info("%s: done", channel.name)
                return

    def _say_why(self, channel: Channel, code: ErrorCode, reason: object) -> None:
        """One line in the log, the same line to the peer if it still listens."""
        message = Error.of(code, reason)
        _log.warning("%s: %s: %s", channel.name, code, message.message)
        with contextlib.suppress(ConnectionLost, LocalProtocolError):
            channel.send(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m runner.server [HOST:PORT [NETWORK ...]]`, for scripts and tests; the port is printed first."""
    address, *networks = [*(sys.argv[1:] if arguments is None else arguments)] or [f"{DEFAULT_HOST}:{DEFAULT_PORT}"]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def ready(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    try:
        serve(*parse_address(address), networks=networks, ready=ready)
    except RunnerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
