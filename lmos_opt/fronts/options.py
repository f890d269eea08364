"""What a front is asked for beside its objectives: a record for any Pyomo model, one for a split, and their fields as keywords."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from lmos_opt.algorithms import Algorithm
from lmos_opt.formulation import Constraint, Variables
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front
from lmos_opt.objectives import Objective
from lmos_opt.solvers import Solver
from lmos_opt.solvers.settings import Options

Limits = Mapping[str, float] | Mapping[str | Objective, float]


@dataclass(frozen=True)
class SearchOptions:
    """How `trace_front` searches.

    `constrain` names Algorithm 1's constrained objective; it decides how the front is traced and what the rule `lmos` returns,
    not which points there are. `algorithm` and `solver` are names or one's own. After `time_limit_s` (looked at between
    solves) the front has the points found so far; `resume` takes such a front, and only its gaps are searched. `step` says how
    far apart points are to be, a number for each objective, where continuous variables trade objectives off. `solver_options` are
    the solver's, by its own names (`{"threads": 2}`); `log` is a file to which each subproblem is written as it ends, a JSON
    object a line.
    """

    constrain: str | None = None
    algorithm: str | Algorithm | None = None
    solver: str | Solver = "highs"
    time_limit_s: float | None = None
    resume: Front | None = None
    step: Sequence[float] | None = None
    solver_options: Options = field(default_factory=dict)
    log: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class FrontOptions(SearchOptions):
    """Options of `pareto_front`: those of SearchOptions, and which splits are allowed.

    Edge memory counts by `memory_model`; a `proper_split` has a layer at either side. `constraints` are blocks by name or
    functions `(m, instance) -> relation`, `variables` likewise; these add variables to the model, before constraints and
    objectives are built. `limits` says how much of an objective, chosen or not, is admitted, in its unit: `{"energy": 2.0}`.
    """

    memory_model: MemoryModel = "sum"
    proper_split: bool = False
    variables: Sequence[Variables] = ()
    constraints: Sequence[Constraint] = ()
    limits: Limits = field(default_factory=dict)


class SearchKeywords(TypedDict, total=False):
    """The fields of SearchOptions, as keywords."""

    constrain: str | None
    algorithm: str | Algorithm | None
    solver: str | Solver
    time_limit_s: float | None
    resume: Front | None
    step: Sequence[float] | None
    solver_options: Options
    log: str | os.PathLike[str] | None


class FrontKeywords(SearchKeywords, total=False):
    """The fields of FrontOptions, as keywords."""

    memory_model: MemoryModel
    proper_split: bool
    variables: Sequence[Variables]
    constraints: Sequence[Constraint]
    limits: Limits
