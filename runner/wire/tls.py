"""TLS 1.3 over a socket that never blocks, safe for one thread that reads beside one that writes.

Python's own SSLSocket lets OpenSSL read and write one connection from two threads at once, which OpenSSL does not
allow; here bytes go through memory under a lock, and only whole records touch the socket.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos_opt.errors import InputError
from runner.wire.stream import SocketStream, Wake

_PIECE_BYTES = 2**18


@dataclass(frozen=True)
class Tls:
    """TLS for one side. `host` is the name that the server's certificate must have (None on the server's side)."""

    context: ssl.SSLContext
    host: str | None = None

    def for_host(self, host: str) -> Tls:
        """The same for a server of that name."""
        return Tls(self.context, host)


def server_tls(certificate: Path, key: Path, client_authority: Path | None = None, *,
               names: Sequence[str] = ("certificate", "key", "client_authority")) -> Tls:  # fmt: skip
    """TLS for a server. With `client_authority`, only edges with a certificate of that authority may connect.

    InputError for files that cannot be used; it calls them by their `names`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load_chain(context, certificate, key, names[:2])
    if client_authority is not None:
        _load_authority(context, client_authority, names[2])
        context.verify_mode = ssl.CERT_REQUIRED
    return Tls(context)


def edge_tls(authority: Path, certificate: Path | None = None, key: Path | None = None, *,
             names: Sequence[str] = ("authority", "certificate", "key")) -> Tls:  # fmt: skip
    """TLS for an edge, which trusts only servers with a certificate of `authority`.

    InputError for files that cannot be used; it calls them by their `names`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load_authority(context, authority, names[0])
    if certificate is not None:
        _load_chain(context, certificate, key, names[1:])
    return Tls(context)


def _load_authority(context: ssl.SSLContext, file: Path, name: str) -> None:
    expected = "the certificate of an authority"
    _read(file, name, expected)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError:
        raise _holds_none(file, name, expected) from None


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path | None, names: Sequence[str]) -> None:
    """OpenSSL says of either file that it is wrong in the same words; so each is looked at alone."""
    _read(certificate, names[0], "a certificate")
    secret, secret_name = (certificate, names[0]) if key is None else (key, names[1])
    text = _read(secret, secret_name, _KEY)
    try:  # a password would be asked for at the terminal; nobody may sit there
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
        except ssl.SSLError:
            raise _holds_none(certificate, names[0], "a certificate") from None
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InputError(f"{secret_name}: {secret}", f"is not the key of the certificate {certificate}") from None
        if b"ENCRYPTED" in text:
            raise InputError(f"{secret_name}: {secret}", f"is locked with a password; expected {_KEY} without one") from None
        if error.reason is None:
            raise _holds_none(secret, secret_name, _KEY) from None
        raise InputError(f"{names[0]}: {certificate}", f"cannot be used: {error.reason.lower().replace('_', ' ')}") from None


_KEY = "a private key"


def _read(file: Path, name: str, expected: str) -> bytes:
    """A file's bytes; InputError if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise InputError(f"{name}: {file}", f"{reason}; expected {expected} in PEM") from None


def _holds_none(file: Path, name: str, expected: str) -> InputError:
    return InputError(f"{name}: {file}", f"holds nothing that can be read as {expected} in PEM")


_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST"})
_ALERT = bytes([21, 3, 1, 0, 2, 2, 70])
"""A record that says `protocol_version`: OpenSSL says nothing to peers that speak no TLS, and ours know this beginning."""


class TlsStream(SocketStream):
    """A connected socket, its bytes through TLS."""

    def __init__(self, sock: socket.socket, tls: Tls) -> None:
        super().__init__(sock)
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.context.wrap_bio(self._arrived, self._leaving, server_side=tls.host is None,
                                         server_hostname=tls.host)  # fmt: skip
        self._lock = threading.Lock()
        self._unsent = memoryview(b"")
        self._raw = memoryview(bytearray(_PIECE_BYTES))
        self._is_open = False
        self.recv_into, self.sendmsg = self._read_into, self._write

    @property
    def _wants_write(self) -> bool:
        """Whether bytes wait for the socket to take them."""
        return bool(self._unsent or self._leaving.pending)

    def wait(self, timeout_s: float, *, reading: bool, writing: bool, wake: Wake | None = None, awake_s: float = 0.0) -> bool:
        """As a Stream's; a handshake says itself what it waits for."""
        if not self._is_open:
            reading, writing = not self._wants_write, self._wants_write
        return super().wait(timeout_s, reading=reading, writing=writing, wake=wake, awake_s=awake_s)

    def _shake_hands(self) -> None:
        """Go on with the handshake; BlockingIOError until it is done, ssl.SSLError where it fails."""
        while not self._is_open:
            try:
                with self._lock:
                    self._tls.do_handshake()
                self._is_open = True
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError as error:
                if error.reason in _NO_TLS and not self._wants_write:
                    self._unsent = memoryview(_ALERT)
                self._flush()  # the alert tells the peer why
                raise
        self._flush()

    def _read_into(self, space: memoryview) -> int:
        """As a socket's: 0 at the end of the stream."""
        if not self._is_open:
            self._shake_hands()
        while True:
            try:
                with self._lock:
                    return self._tls.read(len(space), space)  # type: ignore[return-value]
            except ssl.SSLWantReadError:
                self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0

    def _write(self, parts: Sequence[memoryview]) -> int:
        """As a socket's: how many bytes were taken; all of them will leave before any later ones."""
        if not self._is_open:
            self._shake_hands()
        self._flush()
        part = next(part for part in parts if part.nbytes)[:_PIECE_BYTES]
        with self._lock:
            taken = self._tls.write(part)
        with contextlib.suppress(BlockingIOError):  # taken all the same
            self._flush()
        return taken

    def _flush(self) -> None:
        """Send what is encrypted. Called by the thread that writes (during the handshake there is only one)."""
        while True:
            if not self._unsent:
                with self._lock:
                    self._unsent = memoryview(self._leaving.read())
                if not self._unsent:
                    return
            self._unsent = self._unsent[self._socket.send(self._unsent) :]

    def _fill(self) -> None:
        """Take what has arrived; BlockingIOError where nothing has."""
        n_bytes = self._socket.recv_into(self._raw)
        with self._lock:
            if n_bytes:
                self._arrived.write(self._raw[:n_bytes])
            else:
                self._arrived.write_eof()


def stream_over(sock: socket.socket, tls: Tls | None = None) -> SocketStream:
    """The stream over a connected socket, encrypted where there is `tls`."""
    return SocketStream(sock) if tls is None else TlsStream(sock, tls)
