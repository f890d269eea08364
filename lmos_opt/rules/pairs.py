"""The choices of others between two places of a path: DADS, Neurosurgeon, and the best split of two within their limits.

All other places stay empty and relay. If no places are named, DADS and Neurosurgeon cut between the first place and the last, the
phone and the cloud of their papers, and `pair` takes the best two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.imports import late
from lmos_opt.instance import Instance
from lmos_opt.rules.min_cut import Pair, min_cut, split_between
from lmos_opt.split import Split
from lmos_opt.units import whole_of


def named(instance: Instance, argument: str, rule: str) -> Pair:
    """The two places of `P,Q`; InputError for anything else."""
    numbers = [whole_of(part) for part in argument.split(",")]
    if len(numbers) == 2:
        p, q = numbers
        if p is not None and q is not None and 1 <= p < q <= len(instance.places):
            return p, q
    raise InputError("rule", f"{rule!r}: expected two places of 1 to {len(instance.places)}, the earlier one first, as in "
                             f"{rule.partition(':')[0]}:1,{len(instance.places)}")


def dads(instance: Instance, pair: Pair | None = None, memory_model: MemoryModel = "sum") -> Split:
    """DADS (Hu et al., INFOCOM 2019): the least latency of any graph, by a minimum cut without memory limits."""
    return min_cut(instance, pair, memory_model)


def neurosurgeon(instance: Instance, pair: Pair | None = None, memory_model: MemoryModel = "sum") -> Split:
    """Neurosurgeon (Kang et al., ASPLOS 2017): the least latency of a chain, all its L+1 cuts tried in order.

    It does not use memory limits. InputError for a graph that is no chain: a point between two layers is not a cut there.
    """
    if not instance.is_chain:
        before = [set(instance.inputs), *({name} for name in instance.names)]
        branch = next(layer.name for k, layer in enumerate(instance.layers) if set(layer.inputs) != before[k])
        raise InputError("Neurosurgeon", f"cuts chains only, and {instance.name} branches at layer {branch!r}; DADS cuts graphs")
    pair = (1, len(instance.places)) if pair is None else pair
    cuts = [split_between(instance, pair, frozenset(instance.names[:n]), memory_model) for n in range(len(instance.layers) + 1)]
    return min(cuts, key=lambda split: split.times.latency_s)


def best_pair(instance: Instance, pair: Pair | None = None, memory_model: MemoryModel = "sum") -> Split:
    """The least latency of two places within all memory limits: of the two named, or of the best two.

    InfeasibleError if the limits admit none.
    """
    found = [split for one in ([pair] if pair is not None else _pairs(instance)) for split in _within(instance, one, memory_model)]
    if not found:
        which = "any two places" if pair is None else f"places {pair[0]} and {pair[1]}"
        raise InfeasibleError(instance.name, (f"the memory limits, with all layers at {which}",))
    return min(found, key=lambda split: split.times.latency_s)


def _pairs(instance: Instance) -> Iterator[Pair]:
    yield from combinations(range(1, len(instance.places) + 1), 2)


def _within(instance: Instance, pair: Pair, memory_model: MemoryModel) -> list[Split]:
    """The fastest split of two places, if the limits admit any; the integer program is asked where the minimum cut breaks one, and
    where codecs are to be chosen, too."""
    if not instance.has_open_codecs and (found := dads(instance, pair, memory_model)).exceeds is None:
        return [found]
    p, q = pair

    def there(m: Any, instance: Instance) -> list[Any]:
        fixed = [(h, v) for h in range(1, len(instance.places)) for v in instance.names]
        return [m.upto[h, v] == (0 if h < p else m.upto[p, v] if h < q else 1) for h, v in fixed if not p == h < q]

    pareto_front = late("lmos_opt.api:pareto_front")
    try:
        front = pareto_front(instance, ["latency"], memory_model=memory_model, constraints=[there])
    except InfeasibleError:
        return []
    return [Split.at(instance, point.places, memory_model, point.codecs) for point in front.points]


CHOOSE: dict[str, Callable[[Instance, Pair | None, MemoryModel], Split]] = {
    "DADS": dads, "Neurosurgeon": neurosurgeon, "pair": best_pair,
}  # fmt: skip
