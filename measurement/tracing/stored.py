"""Where a module's numbers lie: parameters and buffers, what quantized modules pack away, tensors that are made of others."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

TABLES = ("_parameters", "_buffers")
"""Where a module keeps its parameters and its buffers."""
_COMPONENTS = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def packed(module: nn.Module) -> Iterator[tuple[str, torch.ScriptObject]]:
    """The objects in which quantized modules keep their weights, by path. An object with two paths comes twice."""
    for path, part in module.named_modules(remove_duplicate=False):
        for key, value in vars(part).items():
            if isinstance(value, torch.ScriptObject):
                yield (f"{path}.{key}" if path else key), value


def holders(value: object) -> list[Tensor | torch.ScriptObject]:
    """The tensors and packed objects that hold the numbers of a value, each once. Layers share weights if they share one."""
    if isinstance(value, Tensor | torch.ScriptObject):
        return [value]
    if not isinstance(value, nn.Module):
        return []
    found: list[Tensor | torch.ScriptObject] = [*value.parameters(), *value.buffers(), *(one for _, one in packed(value))]
    return list({id(one): one for one in found}.values())


def plain(holder: Tensor | torch.ScriptObject) -> list[Tensor]:
    """The dense tensors of which a holder consists: itself if it is dense, the integers and scales of a quantized tensor."""
    if isinstance(holder, torch.ScriptObject):
        leaves = [leaf for leaf in tree_leaves(_state(holder)) if isinstance(leaf, Tensor | torch.ScriptObject)]
        return [_as_packed(part) for leaf in leaves for part in plain(leaf)]
    if hasattr(holder, "__tensor_flatten__"):
        names, _ = holder.__tensor_flatten__()
        return [part for name in names for part in plain(getattr(holder, name))]
    if holder.layout in _COMPONENTS:
        return [getattr(holder, name)() for name in _COMPONENTS[holder.layout]]
    return [holder.int_repr(), *_scale(holder)] if holder.is_quantized else [holder]


def stored_bytes(holder: Tensor | torch.ScriptObject) -> int:
    """Bytes of a holder's numbers; those that lie in one place (an expanded tensor) count once."""
    return sum(_bytes(tensor) for tensor in plain(holder))


def place(holder: Tensor | torch.ScriptObject) -> object:
    """Equal for two holders whose numbers are the same memory, such as two parameters made of one tensor."""
    if isinstance(holder, torch.ScriptObject):
        return id(holder)
    if holder.layout is not torch.strided or hasattr(holder, "__tensor_flatten__"):
        return id(holder)
    return (holder.untyped_storage()._cdata, holder.storage_offset(), tuple(holder.shape), holder.stride(), holder.dtype)


def _bytes(tensor: Tensor) -> int:
    if tensor.layout is not torch.strided:
        return tensor.numel() * tensor.element_size()
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def _state(packed: torch.ScriptObject) -> object:
    has_method = getattr(packed, "_has_method", None)
    return packed.__getstate__() if has_method is not None and has_method("__getstate__") else None


def _as_packed(tensor: Tensor) -> Tensor:
    """A matrix that was packed in half precision is unpacked in single precision; the way back loses nothing."""
    return tensor.half() if tensor.dtype is torch.float32 and tensor.dim() == 2 else tensor


def _scale(tensor: Tensor) -> tuple[Tensor, Tensor]:
    if tensor.qscheme() in {torch.per_tensor_affine, torch.per_tensor_symmetric}:
        return torch.tensor(tensor.q_scale(), dtype=torch.float64), torch.tensor(tensor.q_zero_point())
    return tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
