"""Why a front has one point only, in words, and which objectives would show a trade-off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lmos_opt import objectives
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Point
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.split import Split

LESS = 1e-9
"""A value counts as better only if it is better by at least this, relative to its size."""


def why_one_point(point: Point, chosen: Sequence[Objective], instance: Instance, memory_model: MemoryModel, *, proper_split: bool,
                  is_free: bool, is_held: bool) -> str:  # fmt: skip
    """The explanation for a user why a front has one point only. `is_free`: nothing of the user's own restricts the splits;
    `is_held`: constraints of the user's own do.

    The named objectives are better at some other allowed split, which is worse in one of the chosen objectives.
    """
    split = Split.at(instance, point.named_places, memory_model, point.codecs)
    names = [objective.name for objective in chosen]
    used = [p for p, layers in enumerate(split.places) if layers]
    if len(used) == 1:
        place = ("the edge", "the server")[used[0]] if len(split.places) == 2 else instance.places[used[0]].name
        why = f"everything at {place} is best in {_joined(names, 'and')}"
        if "latency" in names and not is_held and all(other.memory_limit_bytes is None for other in instance.places):
            why += f": {place} is the fastest place, so nothing is given up by using it"
    else:
        why = f"one split is best in {_joined(names, 'and')}"
    if is_held:
        why += " of all that the constraints admit"
    others = _would_differ(split, chosen, instance, memory_model, proper_split) if is_free else []
    return why + (f"; {_joined(others, 'or')} as a further objective would show a trade-off" if others else "")


def _would_differ(split: Split, chosen: Sequence[Objective], instance: Instance, memory_model: MemoryModel,
                  proper_split: bool) -> list[str]:  # fmt: skip
    """The shipped objectives in which some simple split is better than this one."""
    known = [o for o in chosen if o.value is not None]
    asks_for = {"load": None, "energy": instance.power, "fidelity_loss": instance.codecs and instance.coding is None,
                **dict.fromkeys(objectives.OF_TOKENS, instance.tokens is not None and not instance.takes_coding)}
    shipped = [objectives.get(name) for name in objectives.names() if asks_for.get(name, True)]
    open_ones = [o for o in shipped if o.name not in {one.name for one in chosen}]
    found: list[str] = []
    for other in _simple(instance, memory_model):
        if other.exceeds is None and (other.is_proper or not proper_split) and any(_is_better(o, split, other) for o in known):
            found += [o.name for o in open_ones if o.name not in found and _is_better(o, other, split)]
    return [o.name for o in open_ones if o.name in found]


def _simple(instance: Instance, memory_model: MemoryModel) -> Iterator[Split]:
    """Everything at one place, and cuts after the first layer and before the last, at each hop."""
    names, hops = instance.names, len(instance.hops)
    for n in sorted({0, 1, len(names) - 1, len(names)}):
        for h in range(hops):
            before = frozenset(names[:n])
            yield Split.of(instance, [frozenset()] * h + [before] * (hops - h), memory_model)


def _is_better(objective: Objective, one: Split, other: Split) -> bool:
    """Whether the objective is better at one split than at the other."""
    assert objective.value is not None  # only such are asked
    a, b = objective.value(one), objective.value(other)
    a, b = (a, b) if objective.sense == "min" else (-a, -b)
    return a < b - LESS * abs(b)


def _joined(names: Sequence[str], word: str) -> str:
    return " ".join([", ".join(names[:-1]), word, names[-1]]) if len(names) > 1 else names[0]
