"""`Grid`: what a sweep varies, each value combined with every other, and what it looks for; read from a TOML file."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.files import Amount, Count, Flag, Name, Rate, Record, as_text, input_errors, problems_of, read_file
from lmos_opt.formulation.memory import MemoryModel, checked_model
from lmos_opt.instance import Instance
from lmos_opt.paths import parse_path
from lmos_opt.sources import Options, instance_of, load_source
from lmos_opt.units import parse_rate, parse_size, parse_time

Varied = Literal["edge", "server", "link", "back", "path", "memory_model", "bandwidth", "rtt", "memory"]
NUMBERS = {"bandwidth": parse_rate, "rtt": parse_time, "memory": parse_size}
"""What is exchanged in an instance that is built once, and how it is read; all others make another instance."""
_ADMITTED: dict[str, TypeAdapter[Any]] = {"bandwidth": TypeAdapter(Rate), "rtt": TypeAdapter(Amount), "memory": TypeAdapter(Count)}
"""Which of these numbers an instance may have."""
MOST_CASES = 1_000_000


def _scalar(value: object) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("expected a text or a number")
    return value


Scalar = Annotated[str | int | float, BeforeValidator(_scalar)]


class Steps(Record):
    """`count` values from one to another, both included, with equal distances, or (`log`) with equal factors between neighbours."""

    from_: Scalar = Field(alias="from")
    to: Scalar
    count: Annotated[Count, Field(ge=1, le=MOST_CASES)]
    spacing: Literal["linear", "log"] = "linear"


def _given(value: object) -> Steps | tuple[str | int | float, ...] | str | int | float:
    """An option's values, of which only one kind is complained of: a union of types would report every kind's complaint."""
    if isinstance(value, dict):
        try:
            return Steps.model_validate(value)
        except ValidationError as error:
            raise InvalidError(problems_of(error)) from None
    if isinstance(value, Steps) or not isinstance(value, list | tuple):
        return value if isinstance(value, Steps) else _scalar(value)
    return tuple(map(_scalar, value))


Given = Annotated[Steps | tuple[Scalar, ...] | Scalar, BeforeValidator(_given)]


@dataclass(frozen=True)
class Case:
    """One front of a sweep: its number, the sweep's instance that it belongs to, and the numbers that replace those of the instance
    (rates in B/s, times in s, sizes in B; None: the instance's own)."""

    number: int
    instance: int
    memory_model: MemoryModel
    bandwidth: float | None
    rtt: float | None
    memory: int | None

    def of(self, instance: Instance) -> Instance:
        """The instance with the numbers of the case."""
        found = {"bandwidth_bytes_per_s": self.bandwidth, "rtt_s": self.rtt, "memory_limit_bytes": self.memory}
        changes = {key: value for key, value in found.items() if value is not None}
        if not changes:
            return instance
        if len(instance.places) > 2:
            return instance.with_place(1, **changes)
        return instance.replace(**changes)


class Grid(Record):
    """What `lmos sweep` reads: `sources` as `lmos front` takes them, `objectives`, `rules` whose choices are wanted (none: whole
    fronts), and `over`: an option's name and its values: one, a list, or `{from = "1Mbps", to = "100Mbps", count = 100}`.

    `chunk` fronts are one task, and one part of the result.
    """

    sources: Annotated[tuple[Name, ...], Field(min_length=1)]
    objectives: Annotated[tuple[Name, ...], Field(min_length=1)] = ("latency", "memory")
    rules: tuple[Name, ...] = ()
    proper_split: Flag = False
    solver: Name = "highs"
    chunk: Annotated[Count, Field(ge=1)] = 100
    over: dict[Varied, Given] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [Problem(f"over.{name}", "is said by path; leave it out") for name in self.over
                    if "path" in self.over and name not in ("path", "memory", "memory_model")]  # fmt: skip
        for name, given in self.over.items():
            if isinstance(given, Steps) and name not in NUMBERS:
                problems.append(Problem(f"over.{name}", f"has no values between others; steps are for {', '.join(NUMBERS)}"))
            elif given == ():
                problems.append(Problem(f"over.{name}", "has no values; expected one at least"))
        if problems:
            raise InvalidError(problems)
        return self

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read and check a TOML file. InputError names each wrong key with its path."""
        text = as_text(read_file(path), str(path))
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # TOML that is none, a number of thousands of digits
            raise InputError(str(path), f"is no TOML that can be read: {str(error).split(';')[0]}") from None
        with input_errors(str(path)):
            return cls.model_validate(data)

    @property
    def columns(self) -> list[str]:
        """The options that decide an instance, in the order of the file."""
        return [name for name in self.over if name not in NUMBERS and name != "memory_model"]

    def instances(self) -> list[tuple[dict[str, str], Instance]]:
        """The instances that differ by more than numbers, each with its source and options; InputError as from `lmos front`."""
        found = []
        for source in self.sources:
            read = load_source(source)
            for values in product(*(self._values(name) for name in self.columns)):
                chosen = {name: str(value) for name, value in zip(self.columns, values, strict=True)}
                if "path" in chosen:
                    parse_path(chosen["path"], "over.path")
                instance = instance_of(read, Options(**chosen))
                self._check_numbers(source, instance)
                found.append(({"source": source, **chosen}, instance))
        return found

    def of(self, instances: Sequence[Instance]) -> list[tuple[dict[str, str], Instance]]:
        """The cases' instances, if instances replace the sources; InputError if the file has options that would make other
        instances of them."""
        if not instances:
            raise InputError("instances", "there are none; expected at least one")
        if self.columns:
            raise InputError(f"over.{self.columns[0]}", "makes other instances than those given; expected numbers and memory_model")
        for instance in instances:
            self._check_numbers(instance.name, instance)
        return [({"source": instance.name}, instance) for instance in instances]

    def _check_numbers(self, source: str, instance: Instance) -> None:
        if len(instance.places) > 2 and not {"bandwidth", "rtt"}.isdisjoint(self.over):
            raise InputError(source, f"has {len(instance.places)} places; bandwidth and rtt are of two")

    def cases(self, n_instances: int) -> Iterator[Case]:
        """All cases: instances, memory models, bandwidths, fixed costs of an exchange and memory limits; the last one changes
        first.

        InputError if there are more than MOST_CASES.
        """
        counts = [given.count if isinstance(given, Steps) else len(given) if isinstance(given, tuple) else 1
                  for name, given in self.over.items() if name in NUMBERS or name == "memory_model"]  # fmt: skip
        if (n := n_instances * math.prod(counts)) > MOST_CASES:
            raise InputError("over", f"makes {n} fronts; expected {MOST_CASES} at most")
        models: Sequence[Any] = self._values("memory_model") if "memory_model" in self.over else ("sum",)
        numbers = [self._values(name) if name in self.over else (None,) for name in NUMBERS]
        axes = [range(n_instances), [checked_model(str(model)) for model in models], *numbers]
        for number, (instance, model, bandwidth, rtt, memory) in enumerate(product(*axes)):
            yield Case(number, instance, model, bandwidth, rtt, memory)

    def _values(self, name: str) -> Sequence[Any]:
        given = self.over[name]  # type: ignore[index]
        if isinstance(given, Steps):
            return _steps(name, given)
        values = given if isinstance(given, tuple) else (given,)
        return [_number(name, value) for value in values] if name in NUMBERS else values


def _number(name: str, value: str | float) -> float | int:
    """A value as a number in the option's own unit. InputError if an instance may not have it."""
    found: float | int = NUMBERS[name](value, f"over.{name}")
    with input_errors(f"over.{name}"):
        _ADMITTED[name].validate_python(found)
    return found


def _steps(name: str, steps: Steps) -> list[float] | list[int]:
    """The values of steps, as numbers in the option's own unit."""
    low, high = (_number(name, value) for value in (steps.from_, steps.to))
    if steps.spacing == "log" and not (low > 0 and high > 0):
        raise InputError(f"over.{name}", "is spaced by a factor; expected ends above 0")
    shares = [k / max(1, steps.count - 1) for k in range(steps.count)]
    if steps.spacing == "log":
        found = [low * (high / low) ** share for share in shares]
    else:
        found = [low + (high - low) * share for share in shares]
    found = [low, *found[1:-1], *([high] if steps.count > 1 else [])]
    return [round(value) for value in found] if name == "memory" else found


