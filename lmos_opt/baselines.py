"""The paper's baselines (section 5.4): edge only, server only, least latency, random; and a cut by number."""

from __future__ import annotations

import random

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.split import Split

BASELINES = ("ECO", "SCO", "RS:SEED", "cut:N")


def eco(instance: Instance) -> tuple[str, ...]:
    """Edge computation only: x1 = L."""
    return instance.names


def sco(instance: Instance) -> tuple[str, ...]:
    """Server computation only: x1 = 0."""
    return instance.names[:0]


def random_split(instance: Instance, seed: int) -> tuple[str, ...]:
    """RS: the first x1 layers in topological order, x1 drawn evenly from 0..L."""
    return instance.names[: random.Random(seed).randint(0, len(instance.layers))]


def cut(instance: Instance, n: int) -> tuple[str, ...]:
    """The first n layers in topological order; InputError unless 0 <= n <= L."""
    if not 0 <= n <= len(instance.layers):
        raise InputError("cut", f"{n} is not between 0 and the {len(instance.layers)} layers of {instance.name}")
    return instance.names[:n]


def baseline(instance: Instance, rule: str) -> Split | None:
    """The split of a baseline's rule (`ECO`, `SCO`, `RS:SEED`, `cut:N`); None for any other rule."""
    name, _, argument = rule.partition(":")
    if name in ("ECO", "SCO") and not argument:
        return Split(instance, frozenset(eco(instance) if name == "ECO" else sco(instance)))
    if name not in ("RS", "cut"):
        return None
    try:
        number = int(argument or 0) if name == "RS" else int(argument)
    except ValueError:
        raise InputError("rule", f"{rule!r}: {argument!r} is not a whole number") from None
    return Split(instance, frozenset(random_split(instance, number) if name == "RS" else cut(instance, number)))
