"""Exact Pareto-optimal splitting of a neural network between an edge device and a server: the numbers.

The public names are imported when they are first used: `import lmos_opt` alone loads neither Pyomo nor pandas.
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
