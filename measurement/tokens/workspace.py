"""The workspace of a decoder's layers, counted on shapes alone: tensors that are alive only while a layer runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from measurement.decoders import Chain, State
from measurement.decoders.state import held
from measurement.networks.hollow import shapes_alone


def workspaces(chain: Chain, new: int, context: int = 0) -> dict[str, int]:
    """The workspace (B) of each layer while `new` tokens go through it after a text of `context` tokens.

    It is the largest number of bytes alive at one time, without the layer's output and without its state afterwards. In a pass, a
    place makes masks and rotations once for all its blocks, and holds them to the end; here they count for each block.
    Memory that kernels take without torch is not counted.
    """
    found: dict[str, int] = {}
    with shapes_alone(chain), torch.no_grad(), _OneKernel():
        before, now = _ids(context), _ids(new)
        for name, stage in (("embed", chain.embed), *((f"blocks.{k}", block) for k, block in enumerate(chain.blocks)),
                            ("head", chain.head)):  # fmt: skip
            state = State()
            if context:
                with state.call(context):
                    before = stage(before)
            with _Alive(state) as alive, held(state):
                made = stage(now)
            kept = sum(tensor.nbytes for kept in state.tensors.values() for tensor in kept.values())
            found[name] = max(alive.most - made.nbytes - kept, 0)
            now = made
    return found


def _ids(n_tokens: int) -> Tensor:
    return torch.empty(1, n_tokens, dtype=torch.int64, device="meta")


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of a state and of tensors made in the block, while they are alive. `most` is the largest sum."""

    def __init__(self, state: State) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._alive: dict[StorageWeakRef, int] = {}
        self._others: set[StorageWeakRef] = set()
        for kept in state.tensors.values():
            self._note(list(kept.values()))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        del types
        self._others |= {_place(one) for one in _tensors((args, kwargs))} - self._alive.keys()
        made = func(*args, **(kwargs or {}))
        self._note(_tensors(made))
        return made

    def _note(self, tensors: list[Tensor]) -> None:
        for one in tensors:
            if (place := _place(one)) not in self._others:
                self._alive[place] = one.untyped_storage().nbytes()
        self._alive = {place: n_bytes for place, n_bytes in self._alive.items() if not place.expired()}  # type: ignore[no-untyped-call]
        self.most = max(self.most, sum(self._alive.values()))


def _tensors(among: Any) -> list[Tensor]:
    return [one for one in tree_leaves(among) if isinstance(one, Tensor)]


def _place(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


class _OneKernel(TorchFunctionMode):
    """Attention as processors compute it, in one kernel: scores are nowhere whole, as they would be on shapes alone."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        del types
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, _, value = args[:3]
            batch, heads, length, _ = query.shape
            mask = (kwargs or {}).get("attn_mask")
            as_numbers = query.new_empty(mask.shape) if mask is not None and mask.dtype == torch.bool else None
            found = query.new_empty(batch, length, heads, value.shape[-1]).transpose(1, 2)
            del as_numbers  # which the kernel needs, and makes of a mask that says yes or no
            return found
        return func(*args, **(kwargs or {}))
