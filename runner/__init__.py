"""Plans to results.

The public names are imported when they are first used: `import runner` alone loads neither torch nor sockets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.parts.split import Crossing, split_module

_HOME = {
    "Crossing": "parts.split",
    "split_module": "parts.split",
}

__all__ = ["Crossing", "split_module"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
