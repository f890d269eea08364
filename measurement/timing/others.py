"""What other programs take of this machine while something is measured."""

from __future__ import annotations

import os
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # of proc(5)'s columns: idle, and waiting for input or output
_COUNTED = 8  # the columns after it are parts of the first two


class Others:
    """Counts from when it is made (Linux; elsewhere nothing is known)."""

    def __init__(self, stat: Path = _STAT, children: bool = False) -> None:
        """With `children`, processes that this one starts and waits for are none of the others."""
        self._stat, self._children = stat, children
        self._began = self._now()

    def share(self) -> float | None:
        """What of all processors' time went to others than this process, 0 to 1; None where nobody knows."""
        if self._began is None or (now := self._now()) is None:
            return None
        all_s, busy_s, own_s = (after - before for before, after in zip(self._began, now, strict=True))
        return min(max((busy_s - own_s) / all_s, 0.0), 1.0) if all_s > 0 else None

    def _now(self) -> tuple[float, float, float] | None:
        """The time of all processors, what of it was work, and this process's own (s)."""
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
