"""A bad link: a proxy that delays, damages, drops and swallows what goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 2**16
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, and drop the bytes that wait


@dataclass(frozen=True)
class Trouble:
    """The faults of a link, in both directions. By default there are none.

    One byte in `flip_every` is changed. Every `drop_every_s` (s) all connections are reset. All bytes arrive `delay_s` (s) later.
    Every `swallow_every_s` (s) all present connections go silent: they stay open, but no byte passes any more.
    """

    flip_every: float | None = None
    drop_every_s: float | None = None
    delay_s: float = 0.0
    swallow_every_s: float | None = None


@dataclass(eq=False)
class _Pair:
    """Two sockets that were one connection."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    is_dark: bool = False

    def reset(self) -> None:
        for writer in self.writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """A proxy with faults: inside the block it listens at `address` in its own thread, and passes bytes to a server."""

    def __init__(self, target: tuple[str, int], trouble: Trouble, seed: int = 0) -> None:
        self.trouble, self._target, self._random = trouble, target, random.Random(seed)
        self.address = ("127.0.0.1", 0)
        self.flipped = self.dropped = self.swallowed = self.connections = 0
        self._pairs: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.address = server.sockets[0].getsockname()[:2]
        chores = [asyncio.create_task(self._every(period, deed)) for period, deed in
                  ((self.trouble.drop_every_s, self._drop), (self.trouble.swallow_every_s, self._swallow)) if period]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for chore in chores:
            chore.cancel()
        for pair in self._pairs:
            pair.reset()

    async def _every(self, period_s: float, deed: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(period_s)
            deed()

    def _drop(self) -> None:
        for pair in self._pairs:
            pair.reset()
            self.dropped += 1

    def _swallow(self) -> None:
        for pair in self._pairs:
            self.swallowed += not pair.is_dark
            pair.is_dark = True

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        pair = _Pair((writer, far_writer))
        self._pairs.add(pair)
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the proxy ends; asyncio would complain of a handler that did not
                await asyncio.gather(self._pass(reader, far_writer, pair), self._pass(far_reader, writer, pair))
        finally:
            self._pairs.discard(pair)
            pair.reset()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: _Pair) -> None:
        """One direction, to its end."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(self._send(waiting, writer, pair))
        to_flip = self._gap()
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                changed = bytearray(data)
                while to_flip < len(changed):
                    changed[to_flip] ^= self._random.randrange(1, 256)
                    self.flipped += 1
                    to_flip += 1 + self._gap()
                to_flip -= len(changed)
                waiting.put_nowait((self._loop.time() + self.trouble.delay_s, bytes(changed)))
        waiting.put_nowait((self._loop.time() + self.trouble.delay_s, b""))
        await sender

    async def _send(self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await waiting.get()
                if (left := due - self._loop.time()) > 0:
                    await asyncio.sleep(left)
                if pair.is_dark:
                    continue
                if not data:
                    writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

    def _gap(self) -> int:
        """How many bytes pass until the next one is changed."""
        every = self.trouble.flip_every
        return 2**62 if every is None else int(self._random.expovariate(1 / every))
