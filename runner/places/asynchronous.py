"""A connected split for asyncio: the loop never waits, and a task that is cancelled leaves nothing under way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from lmos_opt.errors import InputError
from runner.client.pipeline import Ended, Underway
from runner.places.arguments import arguments_of
from runner.places.connected import ConnectedSplit
from runner.watching.report import RunReport

T = TypeVar("T")


class AsyncSplit:
    """A split network for asyncio: in an `async with` block, `await split(tensor)` returns the network's output.

    At most `depth` inputs are under way at once.

    One thread computes heads, in the order of the tasks; other threads wait for answers. `connect_async` makes such objects.
    """

    def __init__(self, split: ConnectedSplit, depth: int) -> None:
        if depth < 1:
            raise InputError("depth", f"{depth} inputs under way at once cannot be; expected at least 1")
        self._split, self._depth = split, depth
        self._places = asyncio.Semaphore(depth)

    async def __aenter__(self) -> Self:
        self._computing = ThreadPoolExecutor(1, "computing")
        self._waiting = ThreadPoolExecutor(self._depth, "waiting")
        try:
            await self._computed(self._split.open)
        except BaseException:
            await self._end(politely=False)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self._end(politely=kind is None or issubclass(kind, Exception))

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The network's output for these arguments. Raises the errors of `ConnectedSplit`. If the task is cancelled, its input is
        given up."""
        async with self._places:
            begun = await self._computed(partial(self._split.begin, *args, **kwargs), _drop)
            if isinstance(begun, Underway):
                finishing = asyncio.get_running_loop().run_in_executor(self._waiting, self._split.pipeline.finish, begun)
                try:
                    begun = await asyncio.shield(finishing)
                except asyncio.CancelledError:
                    _drop(begun)
                    await asyncio.wait([finishing])  # at once: nobody waits for the server any more
                    finishing.exception()
                    raise
            return self._split.output(begun)

    async def map(self, items: Iterable[Any] | AsyncIterable[Any], depth: int | None = None) -> AsyncIterator[Any]:
        """The network's outputs for many inputs, in their order, with up to `depth` of them under way.

        `items` is an iterable or an asynchronous iterable, with items as in `ConnectedSplit.map`. When the iterator is closed,
        inputs under way are given up.
        """
        under_way: deque[asyncio.Task[Any]] = deque()
        try:
            async for item in _each(items):
                args, kwargs = arguments_of(item)
                under_way.append(asyncio.create_task(self(*args, **kwargs)))
                if len(under_way) >= (depth or self._depth):
                    yield await under_way.popleft()
            while under_way:
                yield await under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def report(self) -> RunReport:
        """The report so far: see `ConnectedSplit.report`."""
        return self._split.report()

    async def _end(self, politely: bool) -> None:
        def end() -> None:
            self._split.close(politely)
            self._waiting.shutdown()

        try:
            await self._computed(end)
        finally:
            self._computing.shutdown()

    async def _computed(self, work: Callable[[], T], undo: Callable[[T], None] = lambda done: None) -> T:
        """The result of `work` in the computing thread. A task cancelled meanwhile waits for its end, then undoes it."""
        job = self._computing.submit(work)
        future = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not job.cancel():
                await asyncio.wait([future])
                if future.exception() is None:
                    undo(future.result())
            raise


def _drop(begun: Underway | Ended) -> None:
    if isinstance(begun, Underway):
        begun.drop("cancelled")


async def _each(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
