"""What a package's `__init__` does beyond naming: public names are imported when they are first used, and modules that stand
elsewhere now are found by their old names for one minor version, with a DeprecationWarning.

Each package keeps its own table, beside its public names. An old name gives the very same module as the new one, so that
objects of both are of the same classes, and pickles of before are read.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any, cast


def when_used(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`: its public names are imported from the modules of `home` when they are first used."""

    def find(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    return find


class Moved(MetaPathFinder, InspectLoader):
    """Finds modules of a package by their old names; for `sys.meta_path`, before all others.

    `folders` maps where they stand now to their names, several with spaces between them;
    `old=new` is one that has another name there.
    """

    def __init__(self, package: str, folders: Mapping[str, str]) -> None:
        pairs = [(folder, *name.partition("=")[::2]) for folder, names in folders.items() for name in names.split()]
        self._now = {f"{package}.{old}": f"{folder}.{new or old}" for folder, old, new in pairs}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None if that is the name of no module that has moved, and of none inside such a one."""
        for old in (fullname, fullname.rpartition(".")[0], fullname.rpartition(".")[0].rpartition(".")[0]):
            if old in self._now:
                now = self._now[old] + fullname.removeprefix(old)
                return None if find_spec(now) is None else ModuleSpec(fullname, self, origin=now)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module under its new name, with a DeprecationWarning."""
        now = str(spec.origin)
        _warn(spec.name, now)
        module = import_module(now)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it has run, under its new name, which it keeps."""
        module.__spec__ = cast(ModuleSpec, module.__spec__).loader_state

    def get_code(self, fullname: str) -> CodeType | None:
        """For `python -m` and an old name."""
        now = str(cast(ModuleSpec, self.find_spec(fullname, None)).origin)
        _warn(fullname, now)
        spec = find_spec(f"{now}.__main__") if getattr(find_spec(now), "submodule_search_locations", None) else find_spec(now)
        loader = cast(InspectLoader, cast(ModuleSpec, spec).loader)
        return loader.get_code(cast(ModuleSpec, spec).name)

    def get_source(self, fullname: str) -> None:
        """There is none under an old name."""


def _warn(old: str, now: str) -> None:
    warnings.warn(f"{old} is {now} now; the old name goes with the next minor version", DeprecationWarning, stacklevel=3)
