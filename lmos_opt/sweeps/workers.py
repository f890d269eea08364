"""Where a sweep's tasks run: in processes of this machine by joblib, or on a Dask cluster."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

from lmos_opt.errors import LmosError, MissingExtraError

T = TypeVar("T")
A = TypeVar("A")
_CONNECT_S = "10s"


class ClusterError(LmosError):
    """A Dask scheduler that does not answer, or has no workers; `address` names it."""

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        super().__init__(f"dask {address}: {reason}")


def answers(work: Callable[[T], A], tasks: Sequence[T], jobs: int | None, dask: str | None) -> Iterator[A]:
    """The answer of a function for each task, when it comes: from `jobs` processes here, or the workers of a Dask scheduler.

    Raises ClusterError if no scheduler or worker answers.
    """
    if dask is None and (jobs == 1 or len(tasks) <= 1):
        yield from map(work, tasks)
        return
    import joblib

    with _backend(jobs, dask):
        try:
            yield from _quietly(joblib.Parallel(return_as="generator_unordered")(joblib.delayed(work)(task) for task in tasks))
        except TimeoutError as error:
            raise ClusterError(dask or "", f"no worker: {str(error).partition('.')[0]}") from None


def _quietly(found: Generator[A]) -> Iterator[A]:
    """The same without joblib's advice about the answers that nobody takes when a sweep is interrupted."""
    def quiet(step: Callable[[], T]) -> T:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"\d+ tasks |.*You could benefit from", UserWarning)
            return step()

    end = object()
    try:
        while (answer := quiet(lambda: next(found, end))) is not end:
            yield cast(A, answer)
    finally:
        quiet(found.close)


def _start() -> None:
    """Make a worker ready. With it Pyomo makes a lock that all processes share and none of them needs here: its semaphore would
    stay behind if the worker is killed, and a line would say so."""
    from pyomo.common import dependencies

    dependencies.capture_output_lock = threading.Lock()


@contextmanager
def _backend(jobs: int | None, dask: str | None) -> Iterator[None]:
    """joblib told where to work."""
    import joblib

    if dask is None:
        with joblib.parallel_config("loky", n_jobs=jobs or joblib.cpu_count(), initializer=_start):
            yield
        return
    try:
        from distributed import Client
        from distributed.comm.addressing import resolve_address
    except ImportError:
        raise MissingExtraError("a Dask cluster", "dask") from None
    try:
        resolve_address(dask if "://" in dask else f"tcp://{dask}")
        client = Client(dask, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(dask, f"no scheduler answers: {str(error) or type(error).__name__}") from None
    with client, joblib.parallel_config("dask", client=client):
        yield
