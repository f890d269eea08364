"""Connections made and taken: addresses, listening, connecting, each with a deadline. Sockets never block."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from lmos_opt.errors import InputError
from lmos_opt.units import whole_of
from runner.errors import ConnectionLost, RunnerError, Unreachable


def parse_address(text: str, default_port: int = 7070, what: str = "address") -> tuple[str, int]:
    """Host and port from `host:port`, `host`, `[::1]:port`; InputError otherwise, which calls it `what`.

    >>> parse_address("127.0.0.1:7070")
    ('127.0.0.1', 7070)
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    number = whole_of(port)
    if not (_is_ipv6(host) if is_bracketed else _may_be_host(host)) or number is None or number > 65535:
        raise InputError(what, f"{text!r:.80} is not HOST:PORT, such as 127.0.0.1:7070 or [::1]:7070, with a port from "
                                    "0 to 65535")  # fmt: skip
    return host, number


def _may_be_host(host: str) -> bool:
    """Whether a text may name a host: no part of it between two dots is empty or longer than 63 letters, nothing in it is a sign of
    other notations, and it is no number alone, which is a port."""
    try:
        return bool(host.encode("idna")) and not set(host) & set("[]:/") and not host.isdecimal()
    except UnicodeError:
        return False


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def format_address(address: Sequence[object]) -> str:
    """`host:port` of a socket's address."""
    host = str(address[0])
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone, by its address or as `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _addresses(host: str, port: int, flags: int = 0) -> list[Any]:
    """The addresses of a host. OSError if it has none, also where it could be no name."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError:  # empty or longer than 63 letters between two dots
        raise OSError(socket.EAI_NONAME, "not the name of a host") from None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; RunnerError where the address cannot be had."""
    where = format_address((host, port))
    try:
        found = _addresses(host, port, socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=64)
    except OSError as error:  # create_server adds the address to the system's words
        raise RunnerError(where, f"cannot listen there: {reason_of(error).partition(' (while')[0]}") from None


class Dialer:
    """A connection on its way: `step` until there is a socket. Each address of the host is tried in turn."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.name, self._timeout_s = format_address(address), timeout_s
        self._end = time.monotonic() + timeout_s
        self._socket: socket.socket | None = None
        try:
            self._left = _addresses(*address)
        except OSError as error:
            raise self._nobody(reason_of(error)) from None

    def step(self, timeout_s: float) -> socket.socket | None:
        """The connected socket, or None if it takes longer; ConnectionLost with a hint where nobody answers."""
        while True:
            if self._socket is None:
                self._begin()
            assert self._socket is not None
            left = min(timeout_s, self._end - time.monotonic())
            poll = select.poll()
            poll.register(self._socket, select.POLLOUT)
            if not poll.poll(1000 * max(left, 0.0)):
                if time.monotonic() < self._end:
                    return None
                self.close()
                raise self._nobody(f"no answer within {self._timeout_s:g} s")
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not error:
                found, self._socket = self._socket, None
                return found
            self.close()
            if not self._left:
                raise self._nobody(reason_of(OSError(error, os.strerror(error))))

    def close(self) -> None:
        """Give up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self) -> None:
        family, kind, protocol, _, address = self._left.pop(0)
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        try:
            self._socket.connect(address)
        except BlockingIOError:
            pass  # under way
        except OSError as error:
            self.close()
            if not self._left:
                raise self._nobody(reason_of(error)) from None
            self._begin()

    def _nobody(self, reason: str) -> ConnectionLost:
        return Unreachable(self.name, f"{reason}; is 'lmos serve' running there?")


def connect(address: tuple[str, int], timeout_s: float) -> socket.socket:
    """A connected socket; ConnectionLost with a hint where nobody answers."""
    dialer = Dialer(address, timeout_s)
    while (sock := dialer.step(timeout_s)) is None:
        pass
    return sock


def reason_of(error: OSError) -> str:
    """The system's word for it, in lower case."""
    return (error.strerror or str(error)).lower()


KEEPALIVE = {socket.TCP_KEEPIDLE: 20, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 4}
"""Seconds, seconds and probes: a peer whose machine or network has gone, without a word, is noticed after 40 s of silence."""


class Listener:
    """Accepts connections until it is stopped, from any thread or signal handler."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._wake, self._woken = socket.socketpair()
        self.name, self.port = format_address(sock.getsockname()), int(sock.getsockname()[1])

    def __iter__(self) -> Iterator[socket.socket]:
        with self._socket, self._woken, selectors.DefaultSelector() as selector:
            self._socket.setblocking(False)  # a connection may be gone again before it is accepted
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    return
                try:
                    accepted, _ = self._socket.accept()
                    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                    for option, value in KEEPALIVE.items():
                        accepted.setsockopt(socket.IPPROTO_TCP, option, value)
                except OSError:  # gone again, or no file descriptor left: others will end
                    time.sleep(0.01)
                    continue
                accepted.setblocking(True)
                yield accepted

    def stop(self) -> None:
        """End the iteration."""
        with contextlib.suppress(OSError):
            self._wake.send(b".")
