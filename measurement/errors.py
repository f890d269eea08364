"""Errors of this package, above those of `lmos_opt.errors`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lmos_opt.errors import InputError, LmosError


class UntraceableError(LmosError):
    """A network that cannot be split into layers faithfully.

    `network` names it, `reasons` says what was tried and why it failed, in order.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, network: str, reasons: Iterable[str]) -> None:
        self.network = network
        self.reasons = tuple(reasons)
        super().__init__(f"{network} cannot be split into layers: " + "; ".join(self.reasons))


class ExampleError(InputError):
    """A network that fails on the example on which it is to be traced."""
