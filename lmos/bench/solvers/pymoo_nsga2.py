"""NSGA-II of pymoo in the time that this project's engine took on the same instance: how much of the front it reaches.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 6
(2002). Population 100, pymoo's operators for binary (or integer) variables; what is needed to be fair to it on splits:

- it begins with random prefixes of the topological order, all of them feasible, since random bits rarely are;
- a child is repaired to the edge set without the layers that have an input at the server, and may be there already (to
  look for one that is not takes nearly all the time, as splits are few);
- a whole population is evaluated at once, by numpy;
- whatever it has ever evaluated counts, not the last population alone.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from lmos.bench.arrays import arrays
from lmos.bench.cases import Case, IntegerProgram
from lmos.bench.solvers import ContestAnswer, Contestant, MissingPeer, Terms
from lmos_opt.instance import Instance

_POPULATION = 100


def run(case: Case, terms: Terms) -> ContestAnswer:
    """The non-dominated ones of all solutions evaluated until `terms.engine_s` have passed."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    start = perf_counter()
    problem, operators = _split(case.problem) if isinstance(case.problem, Instance) else _listed(case, case.problem)
    algorithm = NSGA2(pop_size=_POPULATION, **operators)
    algorithm.setup(problem, termination=("n_gen", 10**9), seed=terms.seed)
    found, evaluated = [], 0
    while perf_counter() - start < terms.engine_s or not evaluated:
        children = algorithm.ask()
        if children is None:  # mating gives nothing that is not there already
            break
        algorithm.evaluator.eval(problem, children)
        algorithm.tell(infills=children)
        feasible = children.get("FEAS").reshape(-1)
        found.append(children.get("F")[feasible])
        evaluated += len(children)
    seconds = perf_counter() - start
    costs = np.unique(np.concatenate(found), axis=0)
    first = NonDominatedSorting().do(costs, only_non_dominated_front=True) if len(costs) else []
    signs = np.array([1.0 if sense == "min" else -1.0 for sense in case.senses])
    values = tuple(map(tuple, (signs * costs[first]).tolist()))
    return ContestAnswer(values, note=f"{evaluated} solutions evaluated", seconds=seconds)


def _split(instance: Instance) -> tuple[Any, dict[str, Any]]:
    """The problem, with one bit for each layer, and its operators."""
    from pymoo.core.problem import Problem
    from pymoo.core.repair import Repair
    from pymoo.core.sampling import Sampling
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.mutation.bitflip import BitflipMutation

    n = len(instance.layers)
    place = {name: k for k, name in enumerate(instance.names)}
    inputs = [[place[u] for u in layer.inputs if u not in instance.inputs] for layer in instance.layers]
    readers = {u: [place[v] for v in to] for u, to in instance.consumers.items() if to}
    gain = np.array([layer.t_edge_s - layer.t_server_s - instance.back_s(layer.name) for layer in instance.layers])
    held = np.array([float(layer.weight_bytes + layer.output_bytes) for layer in instance.layers])
    all_at_server = sum(layer.t_server_s + instance.back_s(layer.name) for layer in instance.layers)

    class Split(Problem):  # type: ignore[misc]
        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            edge = x.astype(bool)
            latency = all_at_server + edge @ gain + instance.rtt_s * ~edge.all(axis=1)
            for u, to in readers.items():
                at_edge = True if u in instance.inputs else edge[:, place[u]]
                way = instance.sent_bytes(u) / instance.bandwidth_bytes_per_s + instance.encode_s(u) + instance.decode_s(u)
                latency += way * (at_edge & ~edge[:, to].all(axis=1))
            memory = edge @ held + instance.input_bytes * edge.any(axis=1)
            out["F"] = np.column_stack([latency, -memory])

    class Prefixes(Sampling):  # type: ignore[misc]
        def _do(self, problem: Any, n_samples: int, *args: Any, random_state: Any, **kwargs: Any) -> Any:
            return np.arange(n) < random_state.integers(0, n + 1, n_samples)[:, None]

    class Closed(Repair):  # type: ignore[misc]
        def _do(self, problem: Any, x: Any, **kwargs: Any) -> Any:
            for k, needed in enumerate(inputs):
                if needed:
                    x[:, k] &= x[:, needed].all(axis=1)
            return x

    return Split(n_var=n, n_obj=2, xl=0, xu=1, vtype=bool), {
        "sampling": Prefixes(), "crossover": TwoPointCrossover(), "mutation": BitflipMutation(), "repair": Closed(),
        "eliminate_duplicates": False,
    }  # fmt: skip


def _listed(case: Case, program: IntegerProgram) -> tuple[Any, dict[str, Any]]:
    """The problem over the program's own variables, its rows as constraints, and pymoo's operators for integers."""
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    form = arrays(case)
    matrix, bounds = np.array(program.A).reshape(-1, len(form.upper)), np.array(program.b)
    at_most = np.array([relation != ">=" for relation in program.relations])
    at_least = np.array([relation != "<=" for relation in program.relations])

    class Listed(Problem):  # type: ignore[misc]
        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            excess = x @ matrix.T - bounds
            out["F"] = x @ form.costs.T + form.constants
            out["G"] = np.column_stack([excess[:, at_most], -excess[:, at_least]])

    n_constraints = int(at_most.sum() + at_least.sum())
    problem = Listed(n_var=len(form.upper), n_obj=len(case.senses), n_ieq_constr=n_constraints, xl=0, xu=form.upper, vtype=int)
    return problem, {
        "sampling": IntegerRandomSampling(), "crossover": SBX(vtype=float, repair=RoundingRepair()),
        "mutation": PM(vtype=float, repair=RoundingRepair()),
    }  # fmt: skip


def _load() -> None:
    try:
        from pymoo.config import Config
    except ImportError:
        raise MissingPeer("pymoo_nsga2", "pymoo is not installed: pip install 'lmos[bench]'") from None
    Config.warnings["not_compiled"] = False


CONTESTANT = Contestant("pymoo_nsga2", run, frozenset({"chain", "graph", "program"}), gives="approximation", load=_load)
