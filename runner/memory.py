"""The process's resident memory (Linux): now, at its peak, and after everything unused went back to the system."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ctypes

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): "Reset the peak resident set size"
_SAMPLE_S = 0.002
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # of malloc.h
_SMALL_BYTES = 1 << 16
"""Below it, memory costs more to fetch from the system than it is worth to know."""
_USUAL_PAD = 1 << 17
_LARGEST_ON_HEAP = 2**25  # glibc takes no larger threshold
_NEVER = 2**31 - 1
_LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""torch reads it once, when a tensor of 2 MB or more is made."""
_SETTLED: set[object] = set()
"""Who wants the collector to leave alone what existed when they came. As what they froze, it is the process's:
`gc.get_freeze_count` would tell, and takes 0.1 s to count with torch."""


def resident_bytes() -> int:
    """Resident memory now (B)."""
    return _status("VmRSS")


def private_bytes() -> int:
    """Resident memory now (B) without pages of files: programs and libraries, which the system drops and reads again."""
    return _status("VmRSS") - _status("RssFile")


def release() -> None:
    """Collect garbage, and give free heap memory back to the system."""
    gc.collect()
    libc = _libc()
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)


@contextmanager
def settled() -> Iterator[None]:
    """Inside the block, Python's collector leaves alone what exists now.

    With torch and torchvision that is 350,000 objects. To look through them takes 0.2 s, on a small device seconds, and it falls
    into some image's time.
    """
    me = object()
    _SETTLED.add(me)
    gc.freeze()
    try:
        yield
    finally:
        _SETTLED.discard(me)
        if not _SETTLED:
            gc.unfreeze()


def settle() -> None:
    """Let Python's collector leave alone what exists now, for as long as the process lives: no `settled` undoes it."""
    _SETTLED.add(settle)
    gc.freeze()


def share_one_heap() -> None:
    """Let all threads of this process take memory from one heap (glibc), from now on.

    Otherwise each of many short-lived threads leaves what it freed in one of 8 heaps for each core, where others do not find
    it: a server grew by 117 MB in 3,000 connections, and by 14 MB with one heap.
    """
    libc = _libc()
    if hasattr(libc, "mallopt"):
        libc.mallopt(_ARENA_MAX, 1)


def keep_heap() -> None:
    """Keep what is freed for what is allocated next (glibc), from now on.

    Otherwise tensors of some sizes go back to the system when they are let go, and each inference fetches them again a page
    at a time: MobileNetV2 took 12 ms with 2,500 page faults, and 8 ms without. Whether it happened depended on what the
    process had freed before, so that a time measured in one process said little about another.

    torch then aligns tensors of 2 MB and more to large pages, and asks the system for such pages, if it has made none of that size
    yet: what is freed fits what comes next. A prompt of 1,012 tokens that took 92 MB of tensors left a heap of 106 to 125 MB, and
    one of 112 to 208 MB without.
    """
    os.environ.setdefault(_LARGE_PAGES, "1")
    libc = _libc()
    if hasattr(libc, "mallopt"):
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_ON_HEAP)


@contextmanager
def returned_at_once() -> Iterator[None]:
    """Inside the block, memory that is freed goes back to the system at once (glibc), so that what is resident is in use;
    afterwards as `keep_heap`."""
    libc = _libc()
    if not hasattr(libc, "mallopt"):
        yield
        return
    for option, value in ((_MMAP_THRESHOLD, _SMALL_BYTES), (_TRIM_THRESHOLD, 0), (_TOP_PAD, 0)):
        libc.mallopt(option, value)
    try:
        yield
    finally:
        libc.mallopt(_TOP_PAD, _USUAL_PAD)
        keep_heap()


class PeakMemory:
    """`with PeakMemory() as peak:` measures the most resident memory inside the block; `peak.bytes` is read after it, and
    `peak.private_bytes`, which leaves out pages of files.

    Exact, by the kernel's own mark, where the process may reset that mark; else sampled every few milliseconds.
    """

    bytes: int = 0
    private_bytes: int = 0

    def __enter__(self) -> Self:
        self._sampler: _Sampler | None = None
        try:
            _CLEAR_REFS.write_text(_RESET_PEAK)
        except OSError:
            self._sampler = _Sampler()
            self._sampler.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.bytes = _status("VmHWM") if self._sampler is None else self._sampler.finish()
        self.private_bytes = self.bytes - _status("RssFile")


class _Sampler(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done, self._most = threading.Event(), resident_bytes()

    def run(self) -> None:
        while not self._done.wait(_SAMPLE_S):
            self._most = max(self._most, resident_bytes())

    def finish(self) -> int:
        self._done.set()
        self.join()
        return max(self._most, resident_bytes())


def _status(key: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {key}")


def _libc() -> ctypes.CDLL:
    import ctypes  # 20 ms, which a command that needs no torch would notice

    return ctypes.CDLL(None)
