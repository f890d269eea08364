"""Code by its name, `package.module:name`: a user's own, from the current directory or the installed packages, and ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, invalidate_caches
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line, text_of


def late(name: str) -> Any:
    """The object that `package.module:name` of this project names, imported now.

    A class calls its pictures and rules in this way: they import the class, and it knows only their names.
    """
    module_name, _, attribute = name.partition(":")
    return getattr(import_module(module_name), attribute)


def load_object(text: str) -> Any:
    """The object that `package.module:name` names. Raises InputError if there is none, or if its module cannot be imported."""
    module_name, _, path = text.partition(":")
    with current_directory_importable():
        return find_object(text, module_name, path)


def find_object(text: str, module_name: str, path: str) -> Any:
    """The module's attribute at a dotted path; `text` names it in an InputError."""
    target = _import(text, module_name)
    for part in path.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            raise InputError(text, f"module {module_name!r} has no attribute {path!r}") from None
        except THEIR_ERRORS as error:  # a module may have a __getattr__
            raise InputError(text, f"module {module_name!r} fails where it is asked for {path!r}: {first_line(error)}") from error
    return target


@contextmanager
def current_directory_importable() -> Iterator[None]:
    """Make modules of the current directory importable: a console script, unlike `python -m`, does not look there."""
    here = str(Path.cwd())
    if here in sys.path or "" in sys.path:
        yield
        return
    sys.path.insert(0, here)
    invalidate_caches()
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def _import(text: str, module_name: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            reason = f"there is no module {error.name!r} in the current directory or among the installed ones"
            without = text.replace(".py:", ":", 1)
            raise InputError(text, reason + (f"; did you mean {without!r}?" if without != text else "")) from None
        raise InputError(text, f"{module_name!r} cannot be imported: {text_of(error)}") from error
    except THEIR_ERRORS as error:  # the user's code may raise anything
        raise InputError(text, f"{module_name!r} cannot be imported: {first_line(error)}") from error


@cache
def modules_of(*paths: str) -> tuple[str, ...]:
    """The names of the modules in a package's folders, sorted; looked up once in a process."""
    return tuple(sorted(module.name for module in iter_modules(paths)))
