"""Many small pieces of work in several processes: results as they come, and nothing left behind when it ends."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe, get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from time import monotonic
from typing import Any, Generic, TypeVar

from lmos_opt.errors import LmosError
from lmos_opt.processes.signals import handled

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
    """The results of all items, in the order in which they come. One job runs in this process, several in their own processes.

    Raises LmosError if a process ends early and `work.lost` is None. The processes end with this one, however it ends.
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
    """The results of the item at which a process ended early. A new process continues with the other items."""
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
    process = context.Process(target=_send, args=(theirs, pickle.dumps((work.do, items))), daemon=True)
    with handled((signal.SIGINT,), signal.SIG_IGN):  # and so is the process: Ctrl-C reaches all of a terminal, this one ends it
        process.start()
    workers[ours] = _Worker(process, items, monotonic() + _IMPORTS_S)
    theirs.close()


def _send(end: Any, asked: bytes) -> None:
    """Say None, then do one item after another and send what it gives; end in order when terminated, and with the parent.

    A thread does all that: signals come to the main one, and so nothing that is under way, imports included, can hold them up, or
    take the end for an answer. The main one returns, or exits, and multiprocessing does what belongs to it.
    """
    signal.signal(signal.SIGTERM, lambda *_: _leave(0))
    at_an_end, ending = Pipe(duplex=False)
    done: list[bool] = []
    Thread(target=_do_all, args=(end, asked, ending, done), daemon=True).start()
    parent = parent_process()
    assert parent is not None
    wait([at_an_end, parent.sentinel])
    if not done:
        _leave(1)


def _do_all(end: Any, asked: bytes, ending: Any, done: list[bool]) -> None:
    with ending:  # closed however this ends, and that is what the main thread waits for
        do, items = pickle.loads(asked)
        end.send(None)
        for item in items:
            end.send(do(item))
        done.append(True)


def _leave(code: int) -> None:
    """Exit; the interpreter is not taken apart then below a thread that may be inside a solver."""
    atexit.register(os._exit, code)  # the last one is called first, when multiprocessing has given back what is its own
    sys.exit(code)
