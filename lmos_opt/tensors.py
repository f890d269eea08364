"""The inputs of a network: its input tensors by name, and how a call of the network is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar

from pydantic import BeforeValidator, Field, JsonValue, model_serializer, model_validator
from pydantic import SerializerFunctionWrapHandler as Serialiser

from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.files import LARGEST_WHOLE, Count, Record
from lmos_opt.graph import INPUT

DTYPE_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
    "complex64": 8, "complex128": 16,
}  # fmt: skip
"""Bytes of one element, by torch's dtype name."""

WHOLE = frozenset({"int64", "int32", "int16", "int8", "uint8", "bool"})
"""The dtypes of whole numbers; `bool` counts as 0 and 1."""

_DEEPEST = 16
_HOLDS = {"tensor": "a name", "tuple": "a list", "dict": "an object"}

Argument = JsonValue
"""One argument: a constant of Python's (a number, text, true, false, null), `{"tensor": NAME}`, a list of arguments,
`{"tuple": [...]}` or `{"dict": {KEY: ...}}`."""


class TensorSpec(Record):
    """Shape and dtype of one tensor (batch dimension included)."""

    shape: tuple[Count, ...]
    dtype: Literal["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
                   "complex64", "complex128"]  # fmt: skip

    @property
    def bytes(self) -> int:
        """Bytes of the tensor's elements."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]


class InputSpec(TensorSpec):
    """One input tensor; for whole numbers, `low` to `high` is the range of the example, which the network is known to take.

    None: not known; 0 is used then.
    """

    low: Whole | None = None
    high: Whole | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_spec(cls, value: object) -> object:
        return value.model_dump() if isinstance(value, TensorSpec) and not isinstance(value, cls) else value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise InvalidError([Problem("low" if self.low is None else "high", "is missing beside the other end of the range")])
        if self.low is not None and self.high is not None and (self.low > self.high or self.dtype not in WHOLE):
            raise InvalidError([Problem("low", f"to high is {self.low} to {self.high}; expected a range of whole numbers")])
        return self

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: Serialiser) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        if self.low is None:
            found.pop("low", None), found.pop("high", None)
        return found


class TakesInputs(Protocol):
    """A record with the inputs of a network: a `NetworkProfile`, a plan's network and a request to a server are such records.

    `input_tensors` are its inputs by name, and always there. In a file, the key `input` stands for an only input of that name; as
    an attribute it is that input, or None. `arguments` says how a call is made, by the forward's parameters; None: each input
    `input.NAME` is the argument NAME, and `input` the only one.
    """

    @property
    def input(self) -> InputSpec | None:
        """The only input, if its name is `input`."""

    @property
    def input_tensors(self) -> dict[str, InputSpec]:
        """Every input by its name."""

    @property
    def arguments(self) -> dict[str, Argument] | None:
        """The arguments by the forward's parameters."""


Settled = TypeVar("Settled", bound=TakesInputs)


def settle_inputs(record: Settled) -> Settled:
    """The record with `input` and `input_tensors` saying the same; InvalidError if they, or `arguments`, contradict each other."""
    if record.input is not None and record.input_tensors and record.input_tensors != {INPUT: record.input}:
        raise InvalidError([Problem("input", "stands beside input_tensors; expected one of the two")])
    tensors = record.input_tensors or ({} if record.input is None else {INPUT: record.input})
    if not tensors:
        raise InvalidError([Problem("input", "is missing")])
    record.__dict__.update(input=tensors.get(INPUT) if len(tensors) == 1 else None, input_tensors=tensors)
    if record.arguments is not None:
        _check_arguments(record.arguments, tensors)
    return record


def brief_inputs(record: TakesInputs, found: dict[str, Any]) -> dict[str, Any]:
    """The keys of the inputs in a record's file: as few as possible."""
    alone = list(record.input_tensors) == [INPUT]
    left_out = {"input_tensors" if alone else "input", *(() if record.arguments is not None else ("arguments",))}
    return {key: value for key, value in found.items() if key not in left_out}


def inputs_of(record: TakesInputs) -> dict[str, Any]:
    """The keywords that give another record the same inputs."""
    return {"input_tensors": record.input_tensors, "arguments": record.arguments}


def only_input(record: TakesInputs) -> InputSpec:
    """The input of a network that takes one tensor. InputError for others."""
    if record.input is None:
        raise InputError("network", f"takes {', '.join(record.input_tensors)}; expected one that takes one tensor")
    return record.input


def arguments_of(record: TakesInputs) -> dict[str, Argument]:
    """How a call of the network is made: each argument by the forward's parameter, or `input` for the only one."""
    if record.arguments is not None:
        return record.arguments
    return {name.removeprefix(f"{INPUT}."): {"tensor": name} for name in record.input_tensors}


def put_together(argument: Argument, tensor: Callable[[str], Any]) -> Any:
    """An argument as a Python object, with `tensor(name)` for each tensor in it."""
    if isinstance(argument, list):
        return [put_together(item, tensor) for item in argument]
    if not isinstance(argument, dict):
        return argument
    ((kind, value),) = argument.items()
    if kind == "tensor":
        return tensor(str(value))
    if isinstance(value, list):
        return tuple(put_together(item, tensor) for item in value)
    assert isinstance(value, dict)
    return {key: put_together(item, tensor) for key, item in value.items()}


def _check_arguments(arguments: Mapping[str, Argument], tensors: Mapping[str, InputSpec]) -> None:
    named: list[str] = []
    problems = [problem for key, value in arguments.items() for problem in _wrong(f"arguments.{key}", value, named, _DEEPEST)]
    if not problems:
        problems = [Problem("arguments", f"names no input {name!r}" if name in tensors else f"name {name!r}, which is no input")
                    for name in sorted({*tensors} ^ {*named})]  # fmt: skip
        problems += [Problem("arguments", f"name {name!r} twice") for name in sorted({n for n in named if named.count(n) > 1})]
    if problems:
        raise InvalidError(problems)


def _wrong(path: str, value: Argument, named: list[str], deep: int) -> Iterator[Problem]:
    """What is wrong with an argument; the tensors that it names are added to `named`."""
    if not deep:
        yield Problem(path, "is nested too deeply")
    elif isinstance(value, list):
        for k, item in enumerate(value):
            yield from _wrong(f"{path}[{k}]", item, named, deep - 1)
    elif isinstance(value, dict):
        kind, inside = next(iter(value.items()), ("", None))
        if len(value) != 1 or kind not in _HOLDS:
            yield Problem(path, f"expected a constant, a list, or an object with one of the keys {', '.join(_HOLDS)}")
        elif kind == "tensor" and isinstance(inside, str):
            named.append(inside)
        elif kind == "tuple" and isinstance(inside, list):
            yield from _wrong(f"{path}.tuple", inside, named, deep)
        elif kind == "dict" and isinstance(inside, dict):
            for key, item in inside.items():
                yield from _wrong(f"{path}.dict.{key}", item, named, deep - 1)
        else:
            yield Problem(f"{path}.{kind}", f"expected {_HOLDS[kind]}")
