"""Documents: frozen records with a versioned schema, checked when they are read, written under another name and renamed.

A document is a pydantic model. pydantic finds everything wrong at once, and this module turns that into one line that names the
file, the path inside it, the value and what was expected.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature, get_annotations
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError

from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.processes.writing import write_atomically

LARGEST_WHOLE = 2**53
"""Counts above this are not exact in a double, which every solver computes in."""
LARGEST_NUMBER = 1e15
"""Times and rates above this are mistakes; the bound keeps every sum finite."""
LEAST_RATE = 1e-6
"""Rates below this (B/s) are mistakes; their inverses stay finite."""
LARGEST_FILE_BYTES = 256 * 2**20
FROM_FILE = "file"
"""The context in which a file's keys are checked: all keys of its schema must be there, also those that follow from others."""


def _whole(value: object) -> object:
    """A float without a fraction is the same number in JSON; anything else is left for the strict check to refuse."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(value: object) -> int | float:
    """One check for whole and real numbers: a union of types would report every member's complaint."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number")
    if not abs(value) <= sys.float_info.max:  # NaN is not either
        raise ValueError("expected a finite number")
    return value if abs(value) <= LARGEST_WHOLE else float(value)  # which is what everything here computes with


def _detail(value: object) -> str | int | float:
    return encodable(value) if isinstance(value, str) else _value(value)


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("expected printable text without blanks around it")
    return value


def encodable(value: str) -> str:
    """The text; ValueError if UTF-8 cannot hold it."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character: JSON can spell it, UTF-8 cannot
        raise ValueError("expected text that UTF-8 can hold") from None
    return value


Count = Annotated[int, Strict(), Field(ge=0, le=LARGEST_WHOLE), BeforeValidator(_whole)]
Number = Annotated[float, Strict(), Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, allow_inf_nan=False)]
Value = Annotated[int | float, PlainValidator(_value)]
Amount = Annotated[float, Strict(), Field(ge=0, le=LARGEST_NUMBER, allow_inf_nan=False)]
Rate = Annotated[float, Strict(), Field(ge=LEAST_RATE, le=LARGEST_NUMBER, allow_inf_nan=False)]
Name = Annotated[str, Strict(), Field(min_length=1, max_length=500), AfterValidator(_printable)]
Text = Annotated[str, Strict(), AfterValidator(encodable)]
Detail = Annotated[str | int | float, PlainValidator(_detail)]
Flag = Annotated[bool, Strict()]


class _Written(str):
    """A type as the source has it, and `help` shows it."""

    def __repr__(self) -> str:
        return str(self)


class _ShownSignature:
    """The keywords of a record in `help`: types as they are written, without the checks that pydantic makes of them."""

    def __get__(self, _: object, record: type[BaseModel]) -> Signature:
        return Signature([_parameter(record, name, field) for name, field in record.__pydantic_fields__.items()])


def _parameter(record: type[BaseModel], name: str, field: FieldInfo) -> Parameter:
    shown = name if field.alias is None or iskeyword(field.alias) else field.alias
    written = next(found for base in record.__mro__ if (found := get_annotations(base).get(name)))
    default = Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    return Parameter(shown, Parameter.KEYWORD_ONLY, annotation=_Written(written), default=default)


class Record(BaseModel):
    """A frozen part of a document; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        cls.__signature__ = _ShownSignature()  # type: ignore[assignment]

    def __dir__(self) -> Iterable[str]:
        """What there is to use: pydantic's own machinery stays out of lists of completions."""
        return sorted(name for name in super().__dir__() if name.startswith("__") or name not in _MACHINERY)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As pydantic's; an interruption stays one."""
        with _interruptible():
            return super().model_dump(**options)

    def model_dump_json(self, **options: Any) -> str:
        """As pydantic's; an interruption stays one."""
        with _interruptible():
            return super().model_dump_json(**options)


@contextmanager
def _interruptible() -> Iterator[None]:
    """pydantic makes an error of its own, a ValueError, of what is raised while it writes, of KeyboardInterrupt too: that would end
    a run without its report, and a front without the points that it has. The words are all that is left of it in JSON."""
    try:
        yield
    except PydanticSerializationError as error:
        if KeyboardInterrupt.__name__ in str(error):
            raise KeyboardInterrupt from error
        raise


_MACHINERY = frozenset(dir(BaseModel)) - frozenset(dir(object))


class Document(Record):
    """A frozen record with a file of its own; subclasses name their `SCHEMA` and declare it as their first field."""

    SCHEMA: ClassVar[str]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read and validate a file; InputError names every bad field with its path."""
        return cls.from_dict(read_json(path), str(path))

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> Self:
        """The document of parsed JSON. InputError, with `source` and the paths of wrong keys, if the JSON is not valid."""
        source = source or cls.__name__
        if not isinstance(data, dict):
            raise InputError(source, f"expected a JSON object with schema {cls.SCHEMA!r}, got {_short(data)}")
        if data.get("schema") != cls.SCHEMA:
            raise InputError(source, [other_schema(data, [cls.SCHEMA])])
        with input_errors(source):
            try:
                return cls.model_validate(data, context=FROM_FILE)
            except UnicodeEncodeError:  # of pydantic, for half a character where it expects one of several words
                raise InputError(source, [Problem(path, f"got {_short(text)}, expected text that UTF-8 can hold")
                                          for path, text in _leaves(data) if isinstance(text, str) and _is_half(text)]) from None

    def to_dict(self) -> dict[str, Any]:
        """The document as plain JSON values, keys in the schema's order."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json(self) -> str:
        """The document as the text of its file."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file under another name, then rename it: nobody ever sees half of it."""
        write_atomically(path, self.to_json().encode())


def other_schema(data: Mapping[str, object], schemas: Iterable[str]) -> Problem:
    """What is wrong with a file that has none of the schemas, or another one."""
    expected = " or ".join(map(repr, schemas))
    got = f"got {_short(data['schema'])}, expected" if "schema" in data else "is missing; expected"
    return Problem("schema", f"{got} {expected}")


@contextmanager
def input_errors(source: str) -> Iterator[None]:
    """Turn pydantic's findings inside the block into one InputError about `source`."""
    try:
        yield
    except ValidationError as error:
        raise InputError(source, problems_of(error)) from None


def problems_of(error: ValidationError) -> list[Problem]:
    """Everything that pydantic found wrong, each with its path."""
    errors = error.errors(include_url=False)
    return [problem for e in errors if not _is_echo(e, errors) for problem in _problems(e)]


def _is_echo(error: Any, errors: Sequence[Any]) -> bool:
    """Whether a list is too short only because its items are wrong, which is said already."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(e["loc"][: len(loc)] == loc for e in errors if e is not error)


def _problems(error: Any) -> list[Problem]:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, InvalidError):
        return [Problem(f"{path}.{p.path}".strip("."), p.message) for p in cause.problems]
    return [_problem(path, error)]


_IN_JSON = {"tuple_type": "a list", "list_type": "a list", "dict_type": "an object", "model_type": "an object",
            "dataclass_type": "an object", "mapping_type": "an object"}  # fmt: skip
"""What the types of errors ask for, in the words of a file."""


_KEY = ".[key]"
"""The end of pydantic's path of a key, in place of the key's value."""


def _problem(path: str, error: Any) -> Problem:
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return Problem(path, "is missing")
    if error["type"] == "too_short" and not error["input"]:
        return Problem(path, "is empty")
    if error["type"] == "extra_forbidden":
        return Problem(path, "is not a key of this schema")
    if message.startswith("Input should be "):
        expected = _IN_JSON.get(error["type"], message.removeprefix("Input should be "))
        if path.endswith(_KEY):
            return Problem(path.removesuffix(_KEY), f"is not a key here; expected {expected}")
        return Problem(path, f"got {_short(error['input'])}, expected {expected}")
    if error["type"] == "string_pattern_mismatch":
        return Problem(path, f"got {_short(error['input'])}, which does not match {error['ctx']['pattern']}")
    if error["type"] == "value_error" and not isinstance(error["input"], dict | list | BaseModel):
        return Problem(path, f"got {_short(error['input'])}, {message}")
    return Problem(path, message)


def _short(value: object, limit: int = 60) -> str:
    if isinstance(value, dict | list):
        return {dict: "an object", list: "a list"}[type(value)] + f" of {len(value)}"
    try:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | None) else repr(value)
    except ValueError:  # an int of more digits than Python prints
        text = "a number of thousands of digits"
    return text if len(text) <= limit else text[:limit] + "..."


def read_json(path: str | os.PathLike[str]) -> Any:
    """The value of a JSON file, read strictly: no NaN or Infinity, no key twice, at most LARGEST_FILE_BYTES.

    InputError if the file cannot be read or breaks one of these rules.
    """
    return parse_json(read_file(path), str(path))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, LARGEST_FILE_BYTES at most. InputError if it cannot be read, or has more."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)  # a pipe does not know its size
    except OSError as error:
        raise InputError(str(path), (error.strerror or str(error)).lower()) from None
    if len(data) > LARGEST_FILE_BYTES:
        raise InputError(str(path), f"is larger than {LARGEST_FILE_BYTES} bytes")
    return data


def as_text(data: bytes, source: str) -> str:
    """UTF-8 bytes as text, without a byte order mark; InputError names `source`."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(source, f"is not UTF-8 text (byte {error.start})") from None


def parse_json(data: bytes, source: str) -> Any:
    """Parse bytes as strict JSON; InputError names `source` and the line, or the path of a NaN or Infinity."""
    constants: list[_Constant] = []

    def constant(name: str) -> _Constant:
        constants.append(_Constant(name))
        return constants[-1]

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InputError(source, f"the key {_short(key)} stands twice in one object")
            found[key] = value
        return found

    if not data.strip():
        raise InputError(source, "is empty; expected JSON")
    try:
        parsed = json.loads(as_text(data, source), parse_constant=constant, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(source, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise InputError(source, "is nested too deeply") from None
    except ValueError as error:  # a number of more digits than Python converts
        raise InputError(source, f"is not usable JSON: {str(error).split(';')[0]}") from None
    if constants:
        raise InputError(source, [Problem(path, f"got {name}, expected a finite number") for path, name in _leaves(parsed)
                                  if isinstance(name, _Constant)])  # fmt: skip
    return parsed


class _Constant(str):
    """A NaN or Infinity where a number should stand, until its path is known."""


def _is_half(text: str) -> bool:
    try:
        encodable(text)
    except ValueError:
        return True
    return False


def _leaves(data: Any) -> Iterator[tuple[str, Any]]:
    """The path of every value in parsed JSON that is no object and no list, and the value, in the file's order."""
    stack: list[tuple[str, Any]] = [("", data)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack.extend((f"{path}.{key}", item) for key, item in reversed(value.items()))
        elif isinstance(value, list):
            stack.extend((f"{path}[{k}]", value[k]) for k in reversed(range(len(value))))
        else:
            yield path.removeprefix("."), value


def checked_name(text: str, what: str) -> str:
    """The text; InputError about `what` unless it may be a name in a file."""
    with input_errors(what):
        return TypeAdapter(Name).validate_python(text)
