"""Linear layers with weights of eight bits: a step of its own for each row, and no zero point."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FEW = 8
"""Up to so many rows torch's kernel for packed weights reads each weight once; of more, a product over unpacked ones takes less."""
_MOST = 127


class PackedLinear(nn.Module):
    """What a linear layer computes, with `weight` (out, in) in int8 and `steps` (out) in the layer's own type."""

    weight: Tensor
    steps: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        largest = weight.abs().amax(1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
        steps = largest / _MOST
        self.register_buffer("weight", (weight / steps).round_().clamp_(-_MOST, _MOST).to(torch.int8))
        self.register_buffer("steps", steps[:, 0].clone())
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= _FEW:
            found = torch._weight_int8pack_mm(rows, self.weight, self.steps)
        else:
            found = rows @ self.weight.to(x.dtype).t() * self.steps
        found = found.reshape(*x.shape[:-1], found.shape[-1])
        return found if self.bias is None else found + self.bias

    def extra_repr(self) -> str:
        """Its two widths."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}"


@torch.no_grad()
def pack(module: nn.Module) -> None:
    """Put packed linear layers in the place of all linear ones inside a module; each one's own weights are let go of at once."""
    for name, part in [*module.named_children()]:
        weight = part._parameters.get("weight")
        if isinstance(part, nn.Linear) and weight is not None:
            setattr(module, name, PackedLinear(weight.detach(), None if part.bias is None else part.bias.detach()))
        elif type(part).__name__ == "Conv1D" and weight is not None:  # of transformers' GPT-2: (in, out)
            setattr(module, name, PackedLinear(weight.detach().t().contiguous(), part._parameters["bias"]))
        else:
            pack(part)
