"""Networks whose own forward hides their structure, written again so that the structure can be seen: one file for each kind.

An adapter looks at a module and gives, for one of its kind, a module of the same parts that takes the same and returns the same,
and the names of those of its parts that stay whole.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias

from torch import nn

from lmos_opt.imports import modules_of

Adapted: TypeAlias = tuple[nn.Module, frozenset[str]]
"""The module that is traced, and its parts that stay whole."""
Adapter: TypeAlias = Callable[[nn.Module], Adapted | None]


def adapted(module: nn.Module) -> Adapted | None:
    """The first adapter's version of the module, of the adapters that know this kind; None if no adapter does."""
    kinds = {kind.__module__.partition(".")[0] for kind in type(module).__mro__}
    for name in modules_of(*__path__):
        if name.partition("_")[0] in kinds:  # an adapter's name begins with the package whose networks it knows
            adapter: Adapter = import_module(f"{__name__}.{name}").ADAPTER
            found = adapter(module)
            if found is not None:
                return found
    return None
