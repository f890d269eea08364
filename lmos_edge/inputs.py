"""A network's inputs as arrays: pictures of a folder, or a file of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmos_edge.plans import Plan, Preprocessing
from lmos_opt.data import data_dir
from lmos_opt.errors import InputError
from lmos_opt.units import counted
from measurement.arrays import NUMPYS, SUFFIXES, open_items
from measurement.pictures import read_picture
from measurement.pictures.folders import Skipped, picture_files, usable
from measurement.pictures.values import values_of

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Inputs:
    """The `n` inputs of a run, by number.

    `name(k)` says where input k comes from, `load(k)` gives its arrays by the names of the network's inputs. `what` describes the
    inputs in words, `how` says how pictures become arrays, `skipped` are the files that are left out.
    """

    what: str
    n: int
    name: Callable[[int], str]
    load: Callable[[int], dict[str, Array]]
    how: Preprocessing | None = None
    skipped: Sequence[Skipped] = field(default=())


def find_inputs(plan: Plan, how: Preprocessing | None, path: Path | None, most: int | None, skip_bad: bool) -> Inputs:
    """The first `most` inputs at a path, or the bundled pictures. Pictures are read once before they are needed, so that a broken
    one is an InputError now. InputError also where there is nothing to read, or the network takes no pictures."""
    if path is not None and path.suffix.lower() in SUFFIXES and not path.is_dir():
        items = open_items(path, plan.inputs, NUMPYS)
        n = items.n if most is None else min(items.n, most)
        return Inputs(f"{counted(n, 'item')} of {path}", n, lambda k: f"{path.name}[{k}]", items.load)
    name = _picture(plan, how)
    if how is None or name is None:
        raise InputError(str(path or "--images"), f"the network takes {_shapes(plan)}, not pictures; give a file of arrays "
                                                  f"({', '.join(sorted(NUMPYS))})")  # fmt: skip
    files, skipped = usable(picture_files(path if path is not None else data_dir() / "pictures"), most, skip_bad)
    if not files:
        raise InputError(str(path), f"has no picture that can be read; the first, {skipped[0].file}: {skipped[0].reason}")
    what = f"{counted(len(files), 'picture')} of {path}" if path is not None else f"{counted(len(files), 'bundled picture')}"
    if skipped:
        what += f", {len(skipped)} skipped"
    dtype = np.dtype(how.dtype)

    def load(k: int) -> dict[str, Array]:
        return {name: values_of(read_picture(files[k]), how).astype(dtype, copy=False)}

    return Inputs(what, len(files), lambda k: files[k].name, load, how, skipped)


def _picture(plan: Plan, how: Preprocessing | None) -> str | None:
    """The only input, where the pre-processing makes it."""
    if how is None or len(plan.inputs) != 1:
        return None
    ((name, spec),) = plan.inputs.items()
    return name if (spec.shape, spec.dtype) == (how.shape, how.dtype) else None


def _shapes(plan: Plan) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, spec.shape))} {spec.dtype}" for name, spec in plan.inputs.items())
