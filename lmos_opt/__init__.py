"""Exact Pareto-optimal splitting of a neural network between an edge device and a server: the numbers.

- Problems: `Instance`, `NetworkProfile` and `Device`. `lmos_opt.sources.load_source("vgg19")` is the profile of a bundled network.
- Fronts: `pareto_front(instance)`, `trace_front(model, objectives)` for any Pyomo MILP, `iter_front` for points as they are found.
  They give a `Front` of `Point`s. An `Objective` is one of your own.
- Choices: `front.select(rule)`, `make_plan` and `Plan`; `bandwidth_policy` and `memory_policy`, which give a `Policy`.
- Errors: `LmosError` and its subclasses `InputError`, `InfeasibleError`, `SolverError`, `MissingExtraError`.

docs/reference/python.md lists all public names. They are imported when they are first used: `import lmos_opt` alone loads neither
Pyomo nor pandas.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lmos_opt.moved import Moved, when_used

if TYPE_CHECKING:
    from lmos_opt.api import iter_front, pareto_front, trace_front
    from lmos_opt.device import Device
    from lmos_opt.errors import InfeasibleError, InputError, LmosError, MissingExtraError, SolverError
    from lmos_opt.front import Front, Point
    from lmos_opt.instance import Instance
    from lmos_opt.objectives import Objective
    from lmos_opt.plan import Plan, make_plan
    from lmos_opt.policies.policy import Policy
    from lmos_opt.policies.policy_maps import bandwidth_policy, memory_policy
    from lmos_opt.profile import NetworkProfile

__version__ = "0.1.0"

_HOME = {
    "Device": "device",
    "Front": "front",
    "InfeasibleError": "errors",
    "InputError": "errors",
    "Instance": "instance",
    "LmosError": "errors",
    "MissingExtraError": "errors",
    "NetworkProfile": "profile",
    "Objective": "objectives",
    "Plan": "plan",
    "Point": "front",
    "Policy": "policies.policy",
    "SolverError": "errors",
    "bandwidth_policy": "policies.policy_maps",
    "iter_front": "api",
    "make_plan": "plan",
    "memory_policy": "policies.policy_maps",
    "pareto_front": "api",
    "trace_front": "api",
}

_MOVED = {
    "lmos_opt": "coding=codec_sizes intervals=stages",
    "lmos_opt.algorithms": "belief branching refinement",
    "lmos_opt.fronts": "agreement combining enumeration evaluation fronts.tracing=growing tracing=growing",
    "lmos_opt.policies": "lines policy policy_maps",
    "lmos_opt.programs": "compiling milp presolve",
    "lmos_opt.rules": "baselines min_cut selection",
    "lmos_opt.solvers": "exports",
}
"""Old and new names of modules that have moved. The old names work until the next minor version."""

__all__ = [
    "Device",
    "Front",
    "InfeasibleError",
    "InputError",
    "Instance",
    "LmosError",
    "MissingExtraError",
    "NetworkProfile",
    "Objective",
    "Plan",
    "Point",
    "Policy",
    "SolverError",
    "__version__",
    "bandwidth_policy",
    "iter_front",
    "make_plan",
    "memory_policy",
    "pareto_front",
    "trace_front",
]

sys.meta_path.insert(0, Moved(__name__, _MOVED))
__getattr__ = when_used(__name__, _HOME)
