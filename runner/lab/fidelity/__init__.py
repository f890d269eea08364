"""What is lost of a network's result by how tensors cross: measured one tensor at a time, and for a whole split.

A loss is a fraction. Where labels say which classes are right, it is the share of inputs that the network whole gets right and that
are wrong then (`labels`); where nobody says, the share of inputs whose class is another one (`classes`); of networks that do not
classify, how far outputs are off, relative to their length as a vector (`outputs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, get_args

from lmos_opt.errors import InputError

Part = Literal["calibration", "held-out", "all"]
"""Which of a set of inputs: the half that losses are measured on, the half that is left to check with, or all."""


def numbers_of(names: Sequence[str], part: Part, seed: int) -> list[int]:
    """Which inputs of a set are of a part, in their order. The seed and the inputs' names alone decide it: half of them, or one
    more, are for calibration, and the others held out. InputError where the part is empty."""
    if part == "all":
        return list(range(len(names)))
    order = sorted(range(len(names)), key=lambda k: hashlib.sha256(f"{seed} {k} {names[k]}".encode()).digest())
    half = -(-len(names) // 2)
    found = sorted(order[:half] if part == "calibration" else order[half:])
    if not found:
        raise InputError("images", f"are {len(names)}, so that none is {part}; expected at least two")
    return found


def parse_part(text: str, what: str) -> Part:
    """A part by its name; InputError about `what` for another word."""
    for part in get_args(Part):
        if part == text:
            found: Part = part
            return found
    raise InputError(what, f"{text!r:.60} is not one of {', '.join(get_args(Part))}")
