"""The share of this machine's processors that other programs use during a measurement."""

from __future__ import annotations

import os
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # of proc(5)'s columns: idle, and waiting for input or output
_COUNTED = 8  # the columns after it are parts of the first two


class Others:
    """Counts from its creation on. It needs Linux; on other systems the share is not known."""

    def __init__(self, stat: Path = _STAT, children: bool = False) -> None:
        """With `children`, processes that this one starts and waits for count as this process."""
        self._stat, self._children = stat, children
        self._began = self._now()

    def share(self) -> float | None:
        """The share of all processors' time that other processes used, 0 to 1; None if it is not known."""
        if self._began is None or (now := self._now()) is None:
            return None
        all_s, busy_s, own_s = (after - before for before, after in zip(self._began, now, strict=True))
        return min(max((busy_s - own_s) / all_s, 0.0), 1.0) if all_s > 0 else None

    def _now(self) -> tuple[float, float, float] | None:
        """The time of all processors, the part in which they worked, and the time of this process (s)."""
        try:
            first = self._stat.read_text().split("\n", 1)[0].split()
            columns = [int(text) for text in first[1 : 1 + _COUNTED]]
        except (OSError, ValueError):
            return None
        if first[:1] != ["cpu"] or len(columns) <= max(_IDLE):
            return None
        tick_s, own = 1 / os.sysconf("SC_CLK_TCK"), os.times()
        own_s = own.user + own.system + (own.children_user + own.children_system if self._children else 0.0)
        return sum(columns) * tick_s, (sum(columns) - sum(columns[k] for k in _IDLE)) * tick_s, own_s
