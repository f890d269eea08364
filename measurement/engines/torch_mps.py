"""torch on Apple's GPU. Untested: nobody here has one."""

from __future__ import annotations

from typing import ClassVar

import torch

from lmos_opt.errors import InputError
from measurement.engines.devices import TorchDevice


class TorchMps(TorchDevice):
    """As torch does it on any device."""

    name: ClassVar[str] = "torch:mps"
    where: ClassVar[str] = "mps"

    def check(self) -> None:
        """InputError where torch sees no such GPU."""
        if not torch.backends.mps.is_available():
            raise InputError(self.name, "torch sees no GPU of Apple's here")

    @property
    def device(self) -> str:
        """As torch calls it."""
        return "Apple GPU (mps)"

    def wait(self) -> None:
        """Until it is idle."""
        torch.mps.synchronize()

    def held_bytes(self) -> int | None:
        """What tensors take there."""
        return int(torch.mps.current_allocated_memory())


ENGINE = TorchMps
