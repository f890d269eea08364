"""Why an instance has no front: the constraints that leave no split."""

from __future__ import annotations

from collections.abc import Sequence

from lmos_opt import solvers
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.errors import InputError
from lmos_opt.formulation import Constraint, build_model, describe
from lmos_opt.fronts.evaluation import Evaluation
from lmos_opt.fronts.options import FrontOptions
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.programs.compiling import compile_model
from lmos_opt.units import format_size


def in_the_way(instance: Instance, options: FrontOptions) -> list[str]:
    """Each constraint of an infeasible instance without which it is feasible, in words; all of them if there is no such one.

    The constraints are the places' memory limits, proper split, and what the options add. Each is left out in turn, and the rest is
    solved without objectives. Raises SubproblemError if the solver gives no answer.
    """

    def feasible(limits: tuple[int | None, ...], proper: bool, kept: Sequence[Constraint]) -> bool:
        places = [{**place.model_dump(), "memory_limit_bytes": limit} for place, limit in zip(instance.places, limits, strict=True)]
        relaxed = instance.replace(places=places)
        try:
            model = build_model(relaxed, memory_model=options.memory_model, proper_split=proper, variables=options.variables,
                                constraints=kept, exact_memory=bool(kept or options.variables))  # fmt: skip
        except InputError:  # what is kept uses a variable of what is left out
            return False
        milp, forms, columns = compile_model(model, [model.offload[1]])
        nothing = Objective("offload", "", "min", lambda m, inst: m.offload[1])
        evaluate = Evaluation(relaxed, options.memory_model, proper, [nothing], forms, model, milp, columns)
        problem = FrontProblem(milp, forms, solvers.get(options.solver), evaluate.costs, deciders=evaluate.deciders,
                               decisive=evaluate.decisive)
        return problem.best(0, {}) is not None

    limits = tuple(place.memory_limit_bytes for place in instance.places)
    proper_split, constraints = options.proper_split, options.constraints
    relaxations: list[tuple[str, tuple[tuple[int | None, ...], bool, Sequence[Constraint]]]] = []
    for k, limit in enumerate(limits):
        if limit is not None:
            where = "" if len(limits) == 2 and k == 0 else f" at {instance.places[k].name}"
            relaxations.append((f"memory limit {limit} B{where} ({format_size(limit)}, model {options.memory_model})",
                                ((*limits[:k], None, *limits[k + 1:]), proper_split, constraints)))
    if proper_split:
        relaxations.append(("proper split (1 <= x1 <= L-1)", (limits, False, constraints)))
    relaxations += [(describe(c), (limits, proper_split, [d for d in constraints if d is not c])) for c in constraints]
    culprits = [name for name, kept in relaxations if feasible(*kept)]
    return culprits or [*(name for name, _ in relaxations), *(describe(v, "variables") for v in options.variables)]
