"""One instance on which every objective is computed by hand, and the check that its two forms agree there."""

from __future__ import annotations

from lmos_opt import Instance, Objective
from lmos_opt.formulation import build_model
from lmos_opt.fronts.evaluation import Evaluation
from lmos_opt.programs.compiling import compile_model
from lmos_opt.split import Split
from tests.lmos_opt.documents import chain_data

CHAIN = Instance.from_dict(chain_data(rtt_s=0.5, power={"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.0}))
"""Edge 0.25, 0.5, 1 s; server 0.0625, 0.125, 0.25 s; the image 4000 B, outputs 8000, 1000, 40 B at 1e6 B/s; rtt 0.5 s."""


def values(objective: Objective, instance: Instance = CHAIN) -> list[float]:
    """Its value at each cut, from the edge set alone."""
    assert objective.value is not None
    return [objective.value(Split(instance, frozenset(instance.names[:n]))) for n in range(len(instance.names) + 1)]


def check_expression(objective: Objective, instance: Instance = CHAIN) -> None:
    """InputError where the linear expression is not the value at some cut."""
    m = build_model(instance)
    milp, forms, columns = compile_model(m, [objective.expression(m, instance)])
    found = Evaluation(instance, "sum", False, [objective], forms, m, milp, columns)
    for x in found.prefixes():
        found.check(x)
