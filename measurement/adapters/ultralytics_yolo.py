"""ultralytics' networks of layers in a list, YOLO among them: backbone and neck are followed, the last layer stays whole.

The last one, the head, reads boxes off its grids, and keeps the grid of the last picture's size: its own code runs as it is.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from ultralytics.nn.tasks import BaseModel

from measurement.adapters import Adapted


class Layers(nn.Module):
    """Takes a batch of pictures and returns what the network does, in eval mode."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.model, self._save = network.model, frozenset(network.save)
        self.training = network.training

    def forward(self, x: Tensor) -> Any:
        """What the last layer makes of what the layers before it made."""
        made: list[Any] = []
        found: Any = x
        for layer in self.model:
            if layer.f != -1:  # -1 is the layer before
                sources = [layer.f] if isinstance(layer.f, int) else layer.f
                values = [found if k == -1 else made[k] for k in sources]
                found = values[0] if isinstance(layer.f, int) else values
            found = layer(found)
            made.append(found if layer.i in self._save else None)
        return found


def adapter(module: nn.Module) -> Adapted | None:
    """The network so that its layers can be seen; None for one that runs them in another way."""
    if not isinstance(module, BaseModel) or type(module).predict is not BaseModel.predict:
        return None
    return Layers(module), frozenset({f"model.{len(module.model) - 1}"})


ADAPTER = adapter
