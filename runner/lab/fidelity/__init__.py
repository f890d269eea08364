"""Losses: how much of a network's result the codecs of crossing tensors change, for one tensor at a time and for a whole split.

A loss is a fraction. There are three criteria:

- `labels`, if the right classes are known: the share of inputs whose class is right without codecs, and wrong with them.
- `classes`, if they are not known: the share of inputs whose class differs.
- `outputs`, for networks that do not classify: the length of the difference of outputs, divided by the length of the outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, get_args

from lmos_opt.errors import InputError

Part = Literal["calibration", "held-out", "all"]
"""A part of a set of inputs: the half on which losses are measured, the half that is left for checks, or all of them."""


def numbers_of(names: Sequence[str], part: Part, seed: int) -> list[int]:
    """The indices of the inputs that belong to a part, in ascending order. InputError if there are none.

    They depend on the seed and the names of the inputs only. Half of the inputs (of an odd number, one more) are for calibration,
    and the others are held out.
    """
    if part == "all":
        return list(range(len(names)))
    order = sorted(range(len(names)), key=lambda k: hashlib.sha256(f"{seed} {k} {names[k]}".encode()).digest())
    half = -(-len(names) // 2)
    found = sorted(order[:half] if part == "calibration" else order[half:])
    if not found:
        raise InputError("images", f"are {len(names)}, so that none is {part}; expected at least two")
    return found


def parse_part(text: str, what: str) -> Part:
    """The part of this name. InputError, which names `what`, for any other word."""
    for part in get_args(Part):
        if part == text:
            found: Part = part
            return found
    raise InputError(what, f"{text!r:.60} is not one of {', '.join(get_args(Part))}")
