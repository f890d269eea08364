"""torch on Apple's GPU. Untested: nobody here has one."""

from __future__ import annotations

from typing import ClassVar

import torch

from lmos_opt.errors import InputError
from measurement.engines.devices import TorchDevice


class TorchMps(TorchDevice):
    """torch on Apple's GPU, with what all devices of torch have."""

    name: ClassVar[str] = "torch:mps"
    where: ClassVar[str] = "mps"

    def check(self) -> None:
        """Raises InputError if torch sees no such GPU."""
        if not torch.backends.mps.is_available():
            raise InputError(self.name, "torch sees no GPU of Apple's here")

    @property
    def device(self) -> str:
        """The device, as torch names it."""
        return "Apple GPU (mps)"

    def wait(self) -> None:
        """Wait until the GPU has done all that it was asked for."""
        torch.mps.synchronize()

    def held_bytes(self) -> int | None:
        """The bytes of the GPU's memory that tensors of this process take."""
        return int(torch.mps.current_allocated_memory())


ENGINE = TorchMps
