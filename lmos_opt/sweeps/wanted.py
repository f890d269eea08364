"""The selection rules and baselines that a sweep may use, checked before hours of work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.front import Front, ObjectiveInfo, Point, SolverInfo
from lmos_opt.rules import find_rule
from lmos_opt.rules.baselines import BASELINES
from lmos_opt.rules.selection import RULES, select

_BASELINES = frozenset(name.partition(":")[0] for name in BASELINES)


def checked_rules(rules: Sequence[str]) -> tuple[str, ...]:
    """The rules, each once; InputError for an unknown one, before hours of work.

    Whether an instance has the split of a baseline (`cut:30` of 21 layers) is known only later, and ends as a `reason` in the
    table.
    """
    if not rules:
        raise InputError("rules", "there are none; expected at least one")
    for rule in rules:
        if find_rule(rule) is not None:
            with suppress(InfeasibleError):
                select(_TINY, rule)
        elif rule.partition(":")[0] not in _BASELINES:
            raise InputError("rules", f"{rule!r} is not a rule; there are {', '.join((*RULES, *BASELINES))}")
    return tuple(dict.fromkeys(rules))


_TINY = Front(instance="tiny", objectives=(ObjectiveInfo(name="latency", unit="s", sense="min"),
                                           ObjectiveInfo(name="memory", unit="B", sense="max")),
              points=(Point(values={"latency": 1.0, "memory": 0}, edge_layers=(), n_layers=1),), solves=0, seconds=0.0,
              solver=SolverInfo(name="none", version=""))  # fmt: skip
"""A front to try the words of a rule on."""
