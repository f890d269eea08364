"""The selection rules and baselines that a sweep may use, checked before hours of work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from lmos_opt.errors import InfeasibleError, InputError, likely
from lmos_opt.front import Front, ObjectiveInfo, Point, SolverInfo
from lmos_opt.instance import Instance
from lmos_opt.rules import find_rule
from lmos_opt.rules.baselines import BASELINES, baseline
from lmos_opt.rules.selection import RULES, select

_BASELINES = frozenset(name.partition(":")[0] for name in BASELINES)


def checked_rules(rules: Sequence[str], instances: Iterable[Instance], objectives: Sequence[str] = ("latency", "memory")
                  ) -> tuple[str, ...]:  # fmt: skip
    """The rules, each once; InputError for one that is unknown, needs another objective, or is of none of the instances, before
    hours of work.

    If only some instances lack the split of a baseline (`cut:30` of 21 layers), that ends as a `reason` in the table.
    """
    if not rules:
        raise InputError("rules", "there are none; expected at least one")
    found = list(instances)
    for rule in rules:
        if find_rule(rule) is not None:
            with suppress(InfeasibleError):
                select(_tiny(objectives), rule)
        elif rule.partition(":")[0] not in _BASELINES:
            known = (*RULES, *BASELINES)
            raise InputError("rules", f"{rule!r} is not a rule; there are {', '.join(known)}{likely(rule, known)}")
        else:
            _check_baseline(rule, found)
    return tuple(dict.fromkeys(rules))


def _check_baseline(rule: str, instances: Sequence[Instance]) -> None:
    """The error of the first instance, if all have one."""
    first: InputError | None = None
    for instance in instances:
        try:
            baseline(instance, rule)
        except InfeasibleError:
            return
        except InputError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _tiny(objectives: Sequence[str]) -> Front:
    """A front of one point over these objectives, to try the words of a rule on."""
    return Front(instance="tiny", objectives=tuple(ObjectiveInfo(name=name, unit="", sense="min") for name in objectives),
                 points=(Point(values=dict.fromkeys(objectives, 1.0), edge_layers=(), n_layers=1),), solves=0, seconds=0.0,
                 solver=SolverInfo(name="none", version=""))  # fmt: skip
