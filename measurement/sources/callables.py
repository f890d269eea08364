"""`package.module:callable`: code of the user's own, which returns a network when it is called without arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ClassVar

from torch import nn

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line
from lmos_opt.imports import current_directory_importable, find_object
from measurement.sources import Example, Source, numbers

USUAL_SHAPE = (1, 3, 224, 224)


class Callables(Source):
    """Networks of callables of the user's own, also of modules in the current directory."""

    runs_code: ClassVar[bool] = True
    pattern: ClassVar[str] = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"

    def check(self, name: str) -> None:
        """Imports the module. InputError if that fails, or it has no such callable."""
        with current_directory_importable():
            _found(name)

    def build(self, name: str) -> nn.Module:
        """The module that the callable returns. InputError if there is no such callable, or it fails or returns something else."""
        with current_directory_importable():
            target = _found(name)
            try:
                made = target()
            except THEIR_ERRORS as error:  # the user's code may raise anything
                raise InputError(name, f"failed with {first_line(error)}") from error
        if not isinstance(made, nn.Module):
            raise InputError(name, f"returned {_a(made)}, expected a torch.nn.Module")
        return made

    def example(self, name: str, module: nn.Module) -> Example:
        """A picture of the usual size, because nothing says what such a network takes."""
        del name, module
        return numbers(*USUAL_SHAPE)


def _found(name: str) -> Callable[[], object]:
    """The callable, which takes no arguments; InputError otherwise."""
    module_name, _, path = name.partition(":")
    target = find_object(name, module_name, path)
    if not callable(target):
        raise InputError(name, f"{path!r} is {_a(target)}, not a callable")
    try:
        inspect.signature(target).bind()
    except TypeError as error:
        raise InputError(name, f"must be callable without arguments: {error}") from None
    except ValueError:  # no signature is known, as of some C functions: let the call tell
        pass
    found: Callable[[], object] = target
    return found


def _a(value: object) -> str:
    return f"a value of type {type(value).__name__}"


SOURCE = Callables()
