"""One module a command of `lmos`; each is imported when its command is called.

What such an import makes lives as long as the process: with torch 350,000 objects, which Python's collector would look through
again and again while they are made, during the command, and at its end. That is a third of what a short command takes.
"""

from __future__ import annotations

import gc
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """The command's module, imported, and left alone by the collector until somebody calls `gc.unfreeze`."""
    if name.startswith("__") or find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(f"{__name__}.{name}")
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
