"""The code for devices, on the processor."""

from __future__ import annotations

from measurement.engines.devices import TorchDevice


class Here(TorchDevice):
    """A device that is the processor."""

    name = "torch:here"

    def check(self) -> None:
        """Always there."""

    @property
    def device(self) -> str:
        """The processor."""
        return "cpu"
