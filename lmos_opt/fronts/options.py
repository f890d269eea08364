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

    `constrain` names Algorithm 1's constrained objective. It decides how the front is found and what the rule `lmos` returns, but
    not which points there are. `algorithm` and `solver` are names, or objects of your own. After `time_limit_s` (s, checked between
    solves) the front has the points found so far. `resume` takes such a front, and searches only its gaps. `step` is the distance
    between points, a number for each objective, if continuous variables trade objectives off. `solver_options` are the solver's, by
    its own names (`{"threads": 2}`). `log` is a file to which each subproblem is written when it ends, one JSON object on each
    line.
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

    `memory_model` says how edge memory counts. A `proper_split` has a layer on both sides. `constraints` are names of blocks or
    functions `(m, instance) -> relation`. `variables` are names or functions, too; they add variables to the model, before
    constraints and objectives are built. `limits` has the largest amount allowed of an objective, in its unit: `{"energy": 2.0}`.
    This objective need not be one of those of the front.
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
