"""The paper's baselines (section 5.4): edge only, server only, least latency, random; those of others; a cut by number."""

from __future__ import annotations

import random
from collections.abc import Callable

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.split import Split
from lmos_opt.units import counted

BASELINES = ("ECO", "SCO", "RS:SEED", "DADS", "Neurosurgeon", "cut:N")
"""Of more than two places `cut:N1,N2`: how many layers run up to each place but the last."""

MEANINGS = {
    "ECO": "everything at the edge",
    "SCO": "everything at the server",
    "RS": "drawn at random",
    "cut": "the number of layers that was asked for",
    "DADS": "the least latency by a minimum cut, whatever the memory limit",
    "Neurosurgeon": "the least latency of a chain, whatever the memory limit",
}
"""What each chooses in a few words, for pages."""


def eco(instance: Instance) -> tuple[str, ...]:
    """Edge computation only: x1 = L."""
    return instance.names


def sco(instance: Instance) -> tuple[str, ...]:
    """Server computation only: x1 = 0."""
    return instance.names[:0]


def random_splits(instance: Instance, seed: int) -> list[tuple[str, ...]]:
    """RS: for each hop the first layers in topological order, as many as a number drawn evenly from 0..L says."""
    drawn = random.Random(seed)
    return [instance.names[:n] for n in sorted(drawn.randint(0, len(instance.layers)) for _ in instance.hops)]


def cut(instance: Instance, n: int) -> tuple[str, ...]:
    """The first n layers in topological order; InputError unless 0 <= n <= L."""
    if not 0 <= n <= len(instance.layers):
        raise InputError("cut", f"{n} is not between 0 and the {counted(len(instance.layers), 'layer')} of {instance.name}")
    return instance.names[:n]


def dads(instance: Instance) -> tuple[str, ...]:
    """DADS (Hu et al., INFOCOM 2019): the least latency of any graph, by a minimum cut that knows no memory limit."""
    from lmos_opt.rules.min_cut import min_cut

    return min_cut(instance).edge_layers


def neurosurgeon(instance: Instance) -> tuple[str, ...]:
    """Neurosurgeon (Kang et al., ASPLOS 2017): the least latency of a chain, all its L+1 cuts tried in order.

    It knows no memory limit. InputError for a graph that is no chain: a point between two layers is not a cut there.
    """
    instance.check_two("Neurosurgeon's cuts are defined")
    if not instance.is_chain:
        before = [set(instance.inputs), *({name} for name in instance.names)]
        branch = next(layer.name for k, layer in enumerate(instance.layers) if set(layer.inputs) != before[k])
        raise InputError("Neurosurgeon", f"cuts chains only, and {instance.name} branches at layer {branch!r}; DADS cuts graphs")
    cuts = [Split(instance, frozenset(cut(instance, n))) for n in range(len(instance.layers) + 1)]
    return min(cuts, key=lambda split: split.times.latency_s).edge_layers


def baseline(instance: Instance, rule: str) -> Split | None:
    """The split of a baseline's rule, one of BASELINES; None for any other rule."""
    name, _, argument = rule.partition(":")
    hops = len(instance.hops)
    if name in _PLAIN and not argument:
        return Split.of(instance, (frozenset(_PLAIN[name](instance)),) * hops)
    if name not in ("RS", "cut"):
        return None
    try:
        numbers = [int(part) for part in (argument or "0" if name == "RS" else argument).split(",")]
    except ValueError:
        raise InputError("rule", f"{rule!r}: {argument!r} is not {'a whole number' if hops == 1 else 'whole numbers'}") from None
    if name == "RS":
        return Split.of(instance, [frozenset(before) for before in random_splits(instance, numbers[0])])
    if len(numbers) != hops:
        raise InputError("rule", f"{rule!r}: expected {counted(hops, 'number')} for {hops + 1} places, as in "
                                 f"cut:{','.join(map(str, range(1, hops + 1)))}")
    if sorted(numbers) != numbers:
        raise InputError("rule", f"{rule!r}: the numbers fall; each counts the layers up to a place, those before it included")
    return Split.of(instance, [frozenset(cut(instance, number)) for number in numbers])


_PLAIN: dict[str, Callable[[Instance], tuple[str, ...]]] = {
    "ECO": eco, "SCO": sco, "DADS": dads, "Neurosurgeon": neurosurgeon,
}  # fmt: skip
