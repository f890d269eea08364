"""The paper's baselines (section 5.4: edge only, server only, least latency, random), those of other papers, and fixed cuts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.rules import even, pairs
from lmos_opt.split import Split
from lmos_opt.units import counted, one_to

BASELINES = ("ECO", "SCO", "at:P", "RS:SEED", "DADS", "Neurosurgeon", "pair", "even:layers", "even:time", "cut:N")
"""Over more than two places `cut:N1,N2` has the number of layers up to each place except the last; DADS, Neurosurgeon and pair may
name two places, `DADS:1,2`."""

MEANINGS = {
    "ECO": "everything at the edge",
    "SCO": "everything at the server",
    "at": "everything at one place",
    "RS": "drawn at random",
    "cut": "the number of layers that was asked for",
    "DADS": "the least latency by a minimum cut between two places, whatever the memory limits",
    "Neurosurgeon": "the least latency of a chain between two places, whatever the memory limits",
    "pair": "the least latency of two places within their memory limits",
    "even": "an even share for each place, as an expert would cut by hand",
}
"""The choice of each in a few words, for pages."""


def eco(instance: Instance) -> tuple[str, ...]:
    """Edge computation only: x1 = L."""
    return instance.names


def sco(instance: Instance) -> tuple[str, ...]:
    """Server computation only: x1 = 0."""
    return instance.names[:0]


def all_at(instance: Instance, p: int) -> Split:
    """The split with all layers at place p (from 1). InputError if there is no such place."""
    last = len(instance.places)
    if not 1 <= p <= last:
        raise InputError("rule", f"at:{p}: {instance.name} has {last} places; expected {one_to(last)}")
    return Split.of(instance, [frozenset(instance.names if h >= p else ()) for h in range(1, len(instance.places))])


def random_splits(instance: Instance, seed: int) -> list[tuple[str, ...]]:
    """RS: for each hop the first layers in topological order; their number is drawn from 0..L with equal probability."""
    drawn = random.Random(seed)
    return [instance.names[:n] for n in sorted(drawn.randint(0, len(instance.layers)) for _ in instance.hops)]


def cut(instance: Instance, n: int) -> tuple[str, ...]:
    """The first n layers in topological order; InputError unless 0 <= n <= L."""
    if not 0 <= n <= len(instance.layers):
        raise InputError("cut", f"{n} is not between 0 and the {counted(len(instance.layers), 'layer')} of {instance.name}")
    return instance.names[:n]


def every(instance: Instance) -> tuple[str, ...]:
    """The rules of all baselines for an instance, each place and each two places once, RS with one seed."""
    k = len(instance.places)
    two = [f":{p},{q}" for p in range(1, k) for q in range(p + 1, k + 1)]
    others = ("DADS", "Neurosurgeon", "pair") if instance.is_chain else ("DADS", "pair")
    ends = ("ECO", "SCO") if k == 2 else tuple(f"at:{p}" for p in range(1, k + 1))
    return (*ends, *(name + which for name in others for which in (two if k > 2 else [""])), "even:layers", "even:time", "RS:0")


def baseline(instance: Instance, rule: str, memory_model: MemoryModel = "sum") -> Split | None:
    """The split of a baseline's rule, one of BASELINES; None for any other rule.

    Only `pair` uses memory limits and chooses codecs; the others send each tensor in the instance's first codec. InputError for a
    wrong number, InfeasibleError if `pair` has no split.
    """
    name, colon, argument = rule.partition(":")
    if name in _PLAIN and not argument:
        found = Split.of(instance, [frozenset(_PLAIN[name](instance))] * len(instance.hops))
    elif name in pairs.CHOOSE:
        found = pairs.CHOOSE[name](instance, pairs.named(instance, argument, rule) if colon else None, memory_model)
    elif name == "even":
        found = Split.of(instance, _prefixes(instance, even.get(argument, rule)(instance)))
    elif name == "RS":
        found = Split.of(instance, [frozenset(before) for before in random_splits(instance, _whole(argument or "0", rule)[0])])
    elif name == "at":
        found = all_at(instance, _whole(argument, rule)[0])
    elif name == "cut":
        found = Split.of(instance, _prefixes(instance, _cut_numbers(instance, argument, rule)))
    else:
        return None
    return replace(found, memory_model=memory_model)


def check_admitted(split: Split, rule: str, proper_split: bool = False) -> None:
    """InfeasibleError if a rule's split exceeds a memory limit, divides layers that must stay together, or is no proper split."""
    instance, p = split.instance, split.exceeds
    what = f"{instance.name}, {rule}"
    if p is not None:
        place = instance.places[p - 1]
        where = "" if p == 1 else f" at {place.name}"
        raise InfeasibleError(what, (f"memory limit {place.memory_limit_bytes} B{where} (the split needs {split.memory_at(p)} B)",))
    if not split.is_ordered:
        divided = {v for group in instance.groups for before in split.upto if group & before and group - before for v in group}
        names = ", ".join(name for name in instance.names if name in divided)
        raise InfeasibleError(what, (f"layers that have to stay together ({names})",))
    if proper_split and not split.is_proper:
        raise InfeasibleError(what, ("proper split (1 <= x1 <= L-1)",))


def _prefixes(instance: Instance, numbers: Sequence[int]) -> list[frozenset[str]]:
    return [frozenset(cut(instance, number)) for number in numbers]


def _whole(argument: str, rule: str, most: int = 1) -> list[int]:
    """The whole numbers of an argument, `most` at most."""
    try:
        found = [int(part) for part in argument.split(",")]
    except ValueError:
        found = []
    if not found or (most == 1 and len(found) > 1):
        raise InputError("rule", f"{rule!r}: {argument!r} is not {'a whole number' if most == 1 else 'whole numbers'}")
    return found


def _cut_numbers(instance: Instance, argument: str, rule: str) -> list[int]:
    hops = len(instance.hops)
    numbers = _whole(argument, rule, max(hops, argument.count(",") + 1))
    if len(numbers) != hops:
        raise InputError("rule", f"{rule!r}: expected {counted(hops, 'number')} for {hops + 1} places, as in "
                                 f"cut:{','.join(map(str, range(1, hops + 1)))}")
    if sorted(numbers) != numbers:
        raise InputError("rule", f"{rule!r}: the numbers fall; each counts the layers up to a place, those before it included")
    return numbers


_PLAIN: dict[str, Callable[[Instance], tuple[str, ...]]] = {"ECO": eco, "SCO": sco}
