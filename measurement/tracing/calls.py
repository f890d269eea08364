"""A call of a network: what it takes as an example, its tensors by name, and the same call again with other tensors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError
from lmos_opt.graph import INPUT
from lmos_opt.profile import DTYPE_BYTES
from lmos_opt.tensors import WHOLE, Argument, InputSpec, TakesInputs, TensorSpec, arguments_of, put_together

_PLAIN_KEY = re.compile(r"[^.\[\s]+")
_DEEPEST = 12
Example = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""What a network is called with: one tensor, positional arguments, or arguments by name. Arguments are tensors, lists, tuples and
dictionaries of them, and constants of Python's."""


class ByParameter(dict[str, Any]):
    """Arguments by the forward's parameters, those that take any number (`*args`, `**options`) among them, as a tuple or dict."""


@dataclass(frozen=True)
class Call:
    """How a network is called: the names of its tensors in order, and its `arguments` by parameter, in which they stand.

    `signature` is the forward's; None for a network that takes one tensor, which is its first argument, whatever that is called.
    """

    names: tuple[str, ...]
    arguments: dict[str, Argument]
    signature: inspect.Signature | None = None

    def put(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional arguments and those by name, with these values in the places of the tensors."""
        named = dict(zip(self.names, values, strict=True))
        filled = {key: put_together(argument, named.__getitem__) for key, argument in self.arguments.items()}
        return (tuple(filled.values()), {}) if self.signature is None else bound(self.signature, filled)

    def example(self, values: Sequence[Tensor]) -> Tensor | ByParameter:
        """The same call with these tensors, as an example."""
        return values[0] if self.signature is None else ByParameter(self.by_parameter(values))

    def by_parameter(self, values: Sequence[Any]) -> dict[str, Any]:
        """Each argument by its parameter, likewise."""
        named = dict(zip(self.names, values, strict=True))
        return {key: put_together(argument, named.__getitem__) for key, argument in self.arguments.items()}

    def tensors(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> list[Tensor]:
        """The tensors in a call like this one, in order. InputError for another one."""
        if self.signature is None:
            values = [*args, *options.values()]
            if len(values) != 1 or not isinstance(values[0], Tensor):
                raise InputError(INPUT, "must be one tensor; the call passes something else, or more than one")
            return values
        found = dict(_bound(self.signature, args, options, INPUT))
        for key, parameter in self.signature.parameters.items():
            if key not in self.arguments and key in found and found[key] is parameter.default:
                del found[key]
            elif key in self.arguments and key not in found and self.arguments[key] == parameter.default:
                found[key] = parameter.default
        tensors: dict[str, Tensor] = {}
        taken = {key: _template(value, f"{INPUT}.{key}", tensors, INPUT) for key, value in found.items()}
        if taken != self.arguments:
            wrong = next(key for key in [*self.arguments, *taken] if self.arguments.get(key) != taken.get(key))
            raise InputError(f"{INPUT}.{wrong}",
                             "is not as in the example, which this split holds for: structure and constants must be the same")
        return [tensors[name] for name in self.names]

    @property
    def for_file(self) -> dict[str, Argument] | None:
        """The arguments, for a file; None if they follow from the names of the tensors."""
        plain = {name.removeprefix(f"{INPUT}."): {"tensor": name} for name in self.names}
        return None if self.arguments == plain else self.arguments


ONE = Call((INPUT,), {INPUT: {"tensor": INPUT}})
"""The call with one tensor."""


def call_of(module: nn.Module, example: Example | ByParameter, name: str) -> tuple[Call, list[Tensor]]:
    """How `example` calls the module, and its tensors. InputError, of `name`, where it cannot, or holds what lmos does not know."""
    if isinstance(example, Tensor):
        _check(example, name, "its input")
        return ONE, [example]
    if not isinstance(example, tuple | Mapping):
        raise InputError(name, f"takes a tensor, a tuple of arguments or a dictionary of them as its example, got "
                               f"{type(example).__name__}")  # fmt: skip
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):
        raise InputError(name, "has a forward without a signature; wrap it in a module that has one") from None
    if isinstance(example, ByParameter):
        found = dict(example)
    else:
        positional, named = (example, {}) if isinstance(example, tuple) else ((), dict(example))
        found = dict(_bound(signature, positional, named, name))
    tensors: dict[str, Tensor] = {}
    arguments = {key: _template(value, f"{INPUT}.{key}", tensors, name) for key, value in found.items()}
    if not tensors:
        raise InputError(name, "takes an example that holds a tensor, got one without any")
    return Call(tuple(tensors), arguments, signature), list(tensors.values())


def bound(signature: inspect.Signature, arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by parameter as positional ones and those by name. InputError for a parameter that there is not."""
    for key in arguments:
        if key not in signature.parameters:
            raise InputError(f"{INPUT}.{key}", "names no parameter of the network's forward")
    ordered = {key: arguments[key] for key in signature.parameters if key in arguments}
    found = inspect.BoundArguments(signature, ordered)
    return found.args, found.kwargs


def call(part: Callable[..., Any], example: Example | ByParameter) -> Any:
    """What a module (a network, or its head) makes of an example."""
    if isinstance(example, Tensor):
        return part(example)
    if isinstance(example, tuple):
        return part(*example)
    if isinstance(example, ByParameter):
        signature = getattr(part, "signature", None) or inspect.signature(getattr(part, "forward", part))
        args, options = bound(signature, example)
        return part(*args, **options)
    return part(**example)


def given_by(record: TakesInputs, tensors: Mapping[str, Tensor]) -> Tensor | ByParameter:
    """A network's inputs by name as it takes them: the tensor where it takes one, else each argument by its parameter."""
    if record.input is not None:
        return tensors[INPUT]
    return ByParameter({key: put_together(value, tensors.__getitem__) for key, value in arguments_of(record).items()})


def input_spec(tensor: Tensor) -> InputSpec:
    """The shape and the dtype of an input, and of whole numbers the range that they have."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    ends = {}
    if dtype in WHOLE and tensor.numel() and not tensor.is_meta:
        whole = tensor.detach().to(torch.int64)
        ends = {"low": int(whole.min()), "high": int(whole.max())}
        ends = {} if max(map(abs, ends.values())) > 2**53 else ends
    return InputSpec.model_validate({"shape": tuple(tensor.shape), "dtype": dtype, **ends})


def random_input(spec: TensorSpec, seed: int) -> Tensor:
    """Normal numbers; whole ones from the range that the network is known to take, or zeros and ones where nobody said one.

    Of several whole numbers the first is the greatest and the last the least of their range: of lengths, the longest is there.
    """
    dtype, generator = getattr(torch, spec.dtype), torch.Generator().manual_seed(seed)
    if spec.dtype not in WHOLE:
        return torch.randn(spec.shape, generator=generator, dtype=torch.complex64 if dtype.is_complex else torch.float32).to(dtype)
    low, high = getattr(spec, "low", None), getattr(spec, "high", None)
    low, high = (0, 1) if low is None or high is None else (low, high)
    found = torch.randint(low, high + 1, spec.shape, generator=generator)
    if found.numel() > 1:
        found.view(-1)[0], found.view(-1)[-1] = high, low
    return found.to(dtype)


def unusual(tensor: Tensor) -> str | None:
    """What kind of tensor this is, if lmos cannot handle the kind; None for a usual one."""
    if tensor.is_nested or tensor.layout is not torch.strided:
        return "a nested one" if tensor.is_nested else f"one of layout {str(tensor.layout).removeprefix('torch.')}"
    dtype = str(tensor.dtype).removeprefix("torch.")
    return None if dtype in DTYPE_BYTES else f"one of dtype {dtype}"


def step(key: object) -> str:
    """A key as it stands in a path: one that is no plain word is written as Python does, so that no two paths look the same."""
    plain = isinstance(key, str) and _PLAIN_KEY.fullmatch(key) and key.isprintable()
    return f".{key}" if plain else f"[{key!r}]"


def _bound(signature: inspect.Signature, args: Sequence[Any], options: Mapping[str, Any], name: str) -> dict[str, Any]:
    try:
        return signature.bind(*args, **options).arguments
    except TypeError as error:
        raise InputError(name, f"cannot be called with the example: {error}") from None


def _template(value: Any, path: str, tensors: dict[str, Tensor], name: str, deep: int = _DEEPEST) -> Argument:
    """A value as the files have it; the tensors in it are added by their paths."""
    if isinstance(value, Tensor):
        _check(value, name, path)
        tensors[path] = value
        return {"tensor": path}
    if value is None or type(value) in {bool, int, str} or (type(value) is float and abs(value) < 1e300):
        return value  # type: ignore[no-any-return]
    if not deep:
        raise InputError(name, f"{path} is nested too deeply")
    if type(value) in {list, tuple}:
        items = [_template(item, f"{path}.{k}", tensors, name, deep - 1) for k, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _template(item, path + step(key), tensors, name, deep - 1) for key, item in value.items()}}
    what = "a dictionary with keys that are no text" if isinstance(value, dict) else f"a value of type {type(value).__name__}"
    raise InputError(name, f"{path} is {what}; expected tensors, lists, tuples, dictionaries by text, or plain constants")


def _check(tensor: Tensor, name: str, path: str) -> None:
    if (wrong := unusual(tensor)) is not None:
        raise InputError(name, f"takes a tensor as {path} whose numbers lie side by side, got {wrong}")
