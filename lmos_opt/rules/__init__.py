"""How a split is chosen: selection rules, one file for each; baselines; the least latency as a minimum cut.

`rules/NAME.py` holds `RULE`; the file's name registers it. docs/reference/rules.md defines the rules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from lmos_opt.errors import InputError, likely

if TYPE_CHECKING:
    from lmos_opt.front import Front
    from lmos_opt.rules.moving import MovingFront, Polynomial

_SHARED = frozenset({"baselines", "even", "min_cut", "moving", "pairs", "selection", "values"})
"""Modules beside the rules that hold none."""


@dataclass(frozen=True)
class Rule:
    """A selection rule: which point of a front it chooses, where the choice changes with the bandwidth, and what it means.

    `argument` names the text after the colon (`SECONDS` of `budget:SECONDS`), empty for a rule without one; the functions get this
    text. `choose(front, argument)` gives the index of the chosen point in the front, the first of equal ones. It raises InputError
    for a wrong argument and InfeasibleError if no point is admitted. `meaning(argument)` describes the choice in a few words, for
    pages.

    `changes(moving, argument)` gives the breakpoints: polynomials, one of which changes its sign before the rule, on the same
    front, chooses another point than `moving.chosen`. None: no policy over bandwidth is made of this rule. `least_latency` says
    that the rule chooses by latency alone, so that a run may change its cut to save latency. `takes_latency` says that it needs a
    latency, which a front may have under another name (`lmos_opt.rules.values.latency_name`). Lists order rules by `rank`, then by
    name.
    """

    name: str
    choose: Callable[[Front, str], int]
    meaning: Callable[[str], str]
    changes: Callable[[MovingFront, str], list[Polynomial]] | None = None
    argument: str = ""
    least_latency: bool = False
    takes_latency: bool = False
    rank: int = 100

    @property
    def written(self) -> str:
        """How a user writes it: `knee`, `budget:SECONDS`."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


def names() -> list[str]:
    """The shipped rules, alphabetically."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in _SHARED)


def shipped() -> list[Rule]:
    """The shipped rules in the order of lists."""
    return sorted(map(_named, names()), key=lambda rule: (rule.rank, rule.name))


def find_rule(rule: str) -> Rule | None:
    """The rule that a text such as `budget:2s` names. Its argument is not checked. None if the text names no rule."""
    name = rule.partition(":")[0]
    is_known = name not in _SHARED and f"{__name__}.{name}" in sys.modules  # a policy asks thousands of times
    return _named(name) if is_known or name in names() else None


def get(rule: str) -> tuple[Rule, str]:
    """The rule that a text names, and its argument as text; InputError for an unknown rule, and if an argument is missing or not
    expected."""
    found, argument = find_rule(rule), rule.partition(":")[2]
    if found is None:
        known = [one.written for one in shipped()]
        raise InputError("rule", f"{rule!r} is not a selection rule; there are {', '.join(known)}{likely(rule, known)}")
    if bool(argument) != bool(found.argument):
        raise InputError("rule", f"{rule!r} {'lacks its' if found.argument else 'takes no'} argument; expected {found.written}")
    return found, argument


def _named(name: str) -> Rule:
    found: Rule = import_module(f"{__name__}.{name}").RULE
    return found
