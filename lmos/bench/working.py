"""Many small pieces of work in several processes: results as they come, and nothing left behind when it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, util
from multiprocessing.connection import wait
from threading import Thread
from time import monotonic
from typing import Any, Generic, TypeVar

from lmos_opt.errors import LmosError

T = TypeVar("T")
R = TypeVar("R")
_IMPORTS_S = 10.0
"""What a process has before its patience begins, at most: it imports first, and says when it has."""
_LEAVE_S = 5.0
"""What a process has to end in order."""


@dataclass(frozen=True)
class Work(Generic[T, R]):
    """What is done with each item: `do` gives its results, and can be pickled.

    Where `lost` is given, an item that takes over `patience_s`, or ends its process, has the results `lost(item, why)`;
    without it such an end is an error, and there is no hurry.
    """

    do: Callable[[T], Sequence[R]]
    lost: Callable[[T, str], Sequence[R]] | None = None
    patience_s: float = 60.0


@dataclass
class _Worker:
    process: Any
    left: list[Any]
    since: float


def results(work: Work[T, R], items: Sequence[T], jobs: int) -> Iterator[R]:
    """The results of all items, in the order in which they are had; with one job in this process, where nothing is lost.

    Raises LmosError where a process ends early and `work.lost` is None. The processes end with this one, however it ends.
    """
    if jobs == 1 or len(items) == 1:
        for item in items:
            yield from work.do(item)
        return
    workers: dict[Any, _Worker] = {}
    for k in range(min(jobs, len(items))):
        _start(workers, work, list(items[k::jobs]))
    try:
        while workers:
            ready: list[Any] = wait(list(workers), None if work.lost is None else 1.0)
            for end in ready:
                worker = workers[end]
                try:
                    found = end.recv()
                except EOFError:
                    yield from _ended(workers, end, work)
                    continue
                worker.since = monotonic()
                if found is None:  # it has imported what it needs
                    continue
                worker.left.pop(0)
                yield from found
            for end, worker in list(workers.items()):
                if work.lost is not None and worker.left and monotonic() - worker.since > work.patience_s:
                    worker.process.kill()
                    yield from _ended(workers, end, work, f"no answer in {work.patience_s:g} s")
    finally:
        for worker in workers.values():
            _stop(worker.process)


def _stop(process: Any) -> None:
    """End a process in order, or at least end it."""
    process.terminate()
    process.join(_LEAVE_S)
    process.kill()
    process.join()


def _ended(workers: dict[Any, _Worker], end: Any, work: Work[T, R], why: str | None = None) -> Iterator[R]:
    """The results of what a process was at when it ended; another one goes on with the rest."""
    worker = workers.pop(end)
    worker.process.join()
    if not worker.left and not worker.process.exitcode:
        return
    why = why or f"a process ended with {worker.process.exitcode}"
    if work.lost is None or not worker.left:
        raise LmosError(why)
    if worker.left[1:]:
        _start(workers, work, worker.left[1:])
    yield from work.lost(worker.left[0], why)


def _start(workers: dict[Any, _Worker], work: Work[T, R], items: list[T]) -> None:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, work.do, items), daemon=True)
    with _uninterrupted():  # and so the process is: Ctrl-C reaches all of a terminal, this one ends the others
        process.start()
    workers[ours] = _Worker(process, items, monotonic() + _IMPORTS_S)
    theirs.close()


def _send(end: Any, do: Callable[[T], Sequence[R]], items: Sequence[T]) -> None:
    """Say None, then do one item after another and send what it gives; ends in order when it is terminated, and with its parent."""
    signal.signal(signal.SIGTERM, _leave)
    Thread(target=_end_with_parent, daemon=True).start()
    end.send(None)
    for item in items:
        end.send(do(item))


def _leave(*_: object) -> None:
    """End this process as multiprocessing does, semaphores given back; what it is at may take a SystemExit for an answer."""
    util._exit_function()  # type: ignore[attr-defined]
    os._exit(0)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Without SIGINT meanwhile; child processes inherit that and keep it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
