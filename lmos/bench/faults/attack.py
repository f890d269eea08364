"""Hostile connections, from a process of their own: `python -m lmos.bench.faults.attack HOST:PORT PLAN CONCURRENT RATE`.

Each line on standard input is a number of connections to make and the first one's number, which seeds what it does; each line
on standard output says what came of them, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from lmos.bench.faults.fuzz import Stage
from lmos.bench.faults.mutations import tampered
from lmos_opt.plan import Plan, check_runnable
from runner.client.remote import opening
from runner.wire.connecting import parse_address
from runner.wire.protocol import Infer, Message, Ping, Probe, Role
from runner.wire.protocol.frames import FrameType, encode_prefix

HANG_S = 30.0
"""A peer that has said all and waits for the end is kept no longer than this by a healthy server."""
_LINGER_S = 1.0
_RESET = struct.pack("ii", 1, 0)
_CLIENT_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(155)


class _Attacker:
    def __init__(self, address: tuple[str, int], plan: Plan) -> None:
        self._address = address
        stage = Stage()
        self._frames, self._every = stage.frames(Role.EDGE), stage.frames(Role.EDGE) + stage.frames(Role.SERVER)
        self._hello = self._frames[0]
        asked = opening(plan, check_runnable(plan, "plan"), "f" * 32)
        self._open = _frame(asked)
        self._stolen = _frame(asked.model_copy(update={"network": asked.network.model_copy(update={"builder": "os:getcwd"})}))
        self._unknown = _frame(asked.model_copy(update={"network": asked.network.model_copy(update={
            "builder": "torchvision:vgg19", "weights": "seeded:0", "digest": "sha256:" + "0" * 64})}))  # fmt: skip

    async def attack(self, number: int) -> str:
        """One connection; what came of it: `closed` by the server, `left` by us, `refused` before it began, or `hung`."""
        rng = random.Random(number)
        deed = rng.choices(DEEDS, [weight for _, weight in _DEEDS])[0]
        try:
            reader, writer = await asyncio.open_connection(*self._address)
        except OSError:
            return "refused"
        try:
            return await deed(self, rng, reader, writer)
        except (ConnectionError, BrokenPipeError):
            return "closed"
        finally:
            writer.transport.abort()

    async def knock(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Connect, and close at once."""
        return "left"

    async def reset(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Begin a greeting, and reset the connection in the middle of it."""
        writer.write(self._hello[: rng.randrange(len(self._hello) + 1)])
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return "left"

    async def linger(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Send half a greeting, a byte at a time, and stay."""
        for byte in self._hello[:10]:
            writer.write(bytes([byte]))
            await asyncio.sleep(_LINGER_S / 10)
        return "left"

    async def noise(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Send random bytes, or those of another protocol."""
        others = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", _CLIENT_HELLO, b"LMOS\x01" + bytes(27))
        return await self._say(rng.choice((*others, rng.randbytes(rng.randrange(1, 5000)))), reader, writer)

    async def tamper(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Send a conversation that was tampered with."""
        kept = rng.randrange(3)
        return await self._say(b"".join(self._frames[:kept]) + tampered(rng, self._frames[kept:], self._every), reader, writer)

    async def boast(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Send lengths that ask for all memory."""
        kind, length = rng.choice(list(FrameType)), rng.choice((10**6, 2**30, 2**40, 2**64 - 1))
        header = b"x" * rng.choice((2, 2**10, 2**20))
        return await self._say(self._hello + encode_prefix(kind, header, length) + header + rng.randbytes(10_000), reader, writer)

    async def demand(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Ask for code to be run, or for a network that this server does not have."""
        return await self._say(self._hello + rng.choice((self._stolen, self._unknown)), reader, writer)

    async def flood(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Ask more questions than may wait, and read no answer."""
        probe = _frame(Probe(id=1, probe_bytes=0, echo_bytes=2**22))
        return await self._say(self._hello + b"".join(rng.choice((_frame(Ping(id=k)), probe)) for k in range(20)), reader, writer)

    async def misuse(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Open the right network as an edge does, and send tensors that are not the cut's."""
        infer = _frame(Infer(id=1, tensors=(), scalars={"size": 2**40}))
        return await self._say(self._hello + self._open + infer, reader, writer)

    async def _say(self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Send everything, shut the sending side, and read to the end."""
        try:
            async with asyncio.timeout(HANG_S):
                writer.write(data)
                with contextlib.suppress(OSError):  # the server need not hear us out
                    writer.write_eof()
                while await reader.read(2**16):
                    pass
        except TimeoutError:
            return "hung"
        return "closed"


Deed = Callable[[_Attacker, random.Random, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[str]]
_DEEDS: tuple[tuple[Deed, int], ...] = (
    (_Attacker.knock, 10), (_Attacker.reset, 10), (_Attacker.linger, 5), (_Attacker.noise, 20), (_Attacker.tamper, 30),
    (_Attacker.boast, 12), (_Attacker.demand, 10), (_Attacker.flood, 2), (_Attacker.misuse, 1),
)  # fmt: skip
"""What is done, and how often in a hundred. Who knows the network and may use it has the server compute: no defence but a token."""
DEEDS = tuple(deed for deed, _ in _DEEDS)


@dataclass
class Attacked:
    """How some connections ended."""

    connections: int
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


async def attack(attacker: _Attacker, first: int, count: int, concurrent: int, rate_per_s: float) -> Attacked:
    """Make so many connections, at most so many at once and no more in a second than `rate_per_s`."""
    found, places, begin = Attacked(count), asyncio.Semaphore(concurrent), time.monotonic()

    async def one(number: int) -> None:
        try:
            found.ends[await attacker.attack(number)] += 1
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        for k in range(count):
            await places.acquire()
            await asyncio.sleep(max(begin + k / rate_per_s - time.monotonic(), 0.0))
            group.create_task(one(first + k))
    found.seconds = time.monotonic() - begin
    return found


def _frame(message: Message) -> bytes:
    header = message.model_dump_json().encode()
    return encode_prefix(message.TYPE, header, message.payload_bytes) + header


def main() -> None:
    """Attack as told, until standard input ends."""
    address, plan, concurrent, rate = sys.argv[1:]
    attacker = _Attacker(parse_address(address), Plan.load(Path(plan)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        count, first = map(int, line.split())
        found = asyncio.run(attack(attacker, first, count, int(concurrent), float(rate)))
        sys.stdout.write(json.dumps({"connections": found.connections, "ends": found.ends, "seconds": found.seconds}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
