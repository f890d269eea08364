"""What a user passes for a network's inputs, as it goes through: arrays as tensors, checked, and copies of the user's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmos_opt.errors import InputError
from lmos_opt.graph import INPUT
from lmos_opt.profile import TensorSpec
from lmos_opt.tensors import TakesInputs
from measurement.tracing.calls import ByParameter, Call, unusual


def arguments_of(item: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """An item of `map` as a call's arguments: a tuple or a list holds them by position, a dict by name; all else is the one."""
    if isinstance(item, Mapping):
        return (), item
    return (item if isinstance(item, tuple | list) else (item,)), {}


def as_inputs(network: TakesInputs, call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | ByParameter:
    """What the network is called with, in copies that nobody else writes to while they are under way.

    InputError names the input where a tensor is missing, or of another shape or dtype than the plan's.
    """
    taken, named = tuple(map(_as_tensors, args)), {name: _as_tensors(value) for name, value in kwargs.items()}
    if call.signature is None:
        _check_one(network.input_tensors[INPUT], args, [*taken, *named.values()], kwargs)
    tensors = call.tensors(taken, named)
    for name, tensor in zip(call.names, tensors, strict=True):
        _check(name, tensor, network.input_tensors[name])
    return call.example(tensors)


def _as_tensors(value: Any) -> Any:
    """A copy of a tensor, an array as a tensor, and both inside of lists, tuples and dicts."""
    if isinstance(value, Tensor):
        copy = value.detach().clone()
        return copy.cpu() if copy.device.type not in {"cpu", "meta"} else copy
    if type(value) in {list, tuple}:
        return type(value)(_as_tensors(item) for item in value)
    if isinstance(value, dict):
        return {key: _as_tensors(item) for key, item in value.items()}
    if not hasattr(value, "__array__"):
        return value
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError):
        raise InputError(INPUT, "is an array that no tensor holds") from None


def _check_one(spec: TensorSpec, args: Sequence[Any], values: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    wanted = f"the network takes one tensor, {_in_words(spec.shape, spec.dtype)}"
    if len(values) != 1:
        named = f", and {', '.join(map(repr, kwargs))}" if kwargs else ""
        raise InputError(INPUT, f"{wanted}; got {len(args)} by position{named}")
    if not isinstance(values[0], Tensor):
        raise InputError(INPUT, f"is of type {type(values[0]).__name__}; {wanted}")


def _check(name: str, tensor: Tensor, spec: TensorSpec) -> None:
    wanted = _in_words(spec.shape, spec.dtype)
    if tensor.is_meta or unusual(tensor) is not None:
        raise InputError(name, f"is {unusual(tensor) or 'a tensor without elements'}; the plan is for {wanted}")
    found = _in_words(tensor.shape, str(tensor.dtype).removeprefix("torch."))
    if found != wanted:
        raise InputError(name, f"is {found}; the plan is for {wanted}")


def _in_words(shape: Sequence[int], dtype: str) -> str:
    return f"{'x'.join(map(str, shape)) or 'one number of'} {dtype}"
