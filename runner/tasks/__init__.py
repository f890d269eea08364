"""What a network's outputs are: classes, boxes, masks, embeddings or plain tensors. One file each.

`tasks/NAME.py` holds `TASK`; its file's name registers it. A plan names its network's task (`task`), or it is
recognised by the outputs' paths and shapes. What a task reads of an image's outputs is a `Result`, which stands in the report and
is drawn on its page: small, whatever the outputs are, and of finite numbers. Reports are read without torch, so a task imports it
only where it reads outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from lmos_opt.errors import InputError, InvalidError, Problem, expected, likely
from lmos_opt.files import Name, Record, input_errors
from lmos_opt.imports import modules_of

if TYPE_CHECKING:
    from torch import Tensor

MOST_LETTERS = 200
"""Of a class's name in a result."""
Png = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=200_000)]
"""A PNG image as base64."""
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#8c510a", "#7f3c8d", "#11a579",
           "#3969ac", "#f2b701", "#e73f74", "#80ba5a", "#a5aa99", "#6a3d9a")  # fmt: skip
"""What is drawn of classes, over and over."""


@dataclass(frozen=True)
class Frame:
    """A rectangle to be drawn, by its corner, width and height, in shares of the picture; a caption, and a colour."""

    x: float
    y: float
    width: float
    height: float
    caption: str
    colour: str


@dataclass(frozen=True)
class Entry:
    """A line beside a picture: a name, a value, and the colour in which it is drawn, if it is drawn."""

    what: str
    value: str
    colour: str | None = None


class Result(Record):
    """The base of results. `task` is the name of the task's file. A subclass says how its result is shown."""

    task: Name

    @property
    def in_words(self) -> str:
        """The result in a few words."""
        raise NotImplementedError

    @property
    def entries(self) -> Sequence[Entry]:
        """The lines beside the picture."""
        return ()

    @property
    def frames(self) -> Sequence[Frame]:
        """The frames that are drawn on the picture."""
        return ()

    @property
    def overlay(self) -> str | None:
        """An image of the picture's shape that lies on it, a PNG as base64."""
        return None


@dataclass(frozen=True)
class Context:
    """What a task may use besides the outputs.

    `names` are the names of classes by number (empty: not known), `size` is the height and width of the network's picture (None: it
    takes none). `is_drawn` says whether the page shows this image.
    """

    names: Sequence[str] = ()
    size: tuple[int, int] | None = None
    is_drawn: bool = True

    def name(self, k: int) -> str:
        """The name of class k, or its number."""
        return self.names[k][:MOST_LETTERS] if 0 <= k < len(self.names) else f"class {k}"


class Task:
    """One kind of output. Tasks are asked in the order of `rank` whether outputs are theirs."""

    rank: ClassVar[int] = 0
    result: ClassVar[type[Result]]

    def recognises(self, outputs: Mapping[str, Tensor]) -> bool:
        """Whether paths, shapes and dtypes are those of this task."""
        raise NotImplementedError

    def read(self, outputs: Mapping[str, Tensor], context: Context) -> Result | None:
        """The result of one image; None if the outputs do not belong to this task. Outputs may hold anything."""
        raise NotImplementedError

    def vector(self, outputs: Mapping[str, Tensor]) -> Tensor | None:
        """The vector by which images are compared with each other; None if they are not compared."""
        del outputs
        return None

    def beside(self, result: Any, neighbours: Sequence[tuple[str, float]]) -> Result:
        """The result with the nearest others by the cosine of their vectors, the nearest first."""
        del neighbours
        found: Result = result
        return found


def names() -> list[str]:
    """The names of the tasks."""
    return list(modules_of(*__path__))


def get(name: str) -> Task:
    """The task of this name. InputError, which lists all tasks, if there is none."""
    if name not in names():
        raise InputError("task", f"{name!r:.60} is not one of {', '.join(names())}{likely(name, names())}")
    found: Task = import_module(f"{__name__}.{name}").TASK
    return found


def recognised(outputs: Mapping[str, Tensor]) -> Task:
    """The first task that outputs are of."""
    tasks = sorted(map(get, names()), key=lambda task: task.rank)
    return next(task for task in tasks if task.recognises(outputs))


def parse(value: object) -> Result:
    """The `result` of an image in a report; InvalidError with the paths of what is wrong inside it."""
    if isinstance(value, Result):
        return value
    name = value.get("task") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in names():
        raise InvalidError([Problem("task", f"got {name!r:.60}, {expected(names())}")])
    try:
        with input_errors("result"):
            return get(name).result.model_validate(value)
    except InputError as error:
        raise InvalidError(error.problems) from None


def finite(value: float, most: float = 1e15) -> float:
    """The number, kept within what files hold; 0 for what is none."""
    return min(max(value, -most), most) if value == value else 0.0  # noqa: PLR0124 - NaN is not itself
