"""A picture of a split's latency: a part for each place and each hop, in the data's order, and the ways back of results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from lmos_opt.instance import Instance
from lmos_opt.plots import style
from lmos_opt.split import Split
from lmos_opt.stages import StageTimes
from lmos_opt.units import format_rate


@dataclass(frozen=True)
class Part:
    """A part's name and colour, and its time (s) in a split's stage times."""

    name: str
    colour: str
    of: Callable[[StageTimes], float]

    @property
    def hatch(self) -> str:
        """A second mark beside the colour."""
        return style.HATCHES.get(self.colour, "")


def parts_of(instance: Instance) -> list[Part]:
    """The parts of every split of an instance. Two places are edge and server, and between them the link, way back included."""
    places, hops = instance.places, instance.hops
    colours = style.place_colours(len(places))
    if len(places) == 2:
        return [Part("edge", colours[0], lambda t: t.t_edge_s), Part("link", style.LINK, lambda t: t.t_tx_s),
                Part("server", colours[1], lambda t: t.t_server_s)]  # fmt: skip
    found = []
    for p, place in enumerate(places):
        found.append(Part(place.name, colours[p], partial(_at_place, p)))
        if p < len(hops):
            found.append(Part(f"hop {p + 1}", style.hop_colours(len(hops))[p], partial(_over_hop, p)))
    if any(hop.back_bytes_per_s is not None for hop in hops):
        found.append(Part("way back", style.GREY, lambda t: sum(hop.t_back_s for hop in t.hops)))
    return found


def _at_place(p: int, times: StageTimes) -> float:
    return times.t_place_s[p]


def _over_hop(h: int, times: StageTimes) -> float:
    return times.hops[h].t_bytes_s + times.hops[h].rtt_s


def fastest_cuts(instance: Instance) -> list[Split]:
    """For each number of layers at the first place, 0 to L, the fastest cut of the topological order; of two places the only one.

    Memory limits are not looked at. Exact over all such cuts by dynamic programming: O(K L^2).
    """
    ends = range(len(instance.layers) + 1)
    before = [frozenset(instance.names[:n]) for n in ends]
    hops = [Split.of(instance, [one] * len(instance.hops)).times.hops for one in before]
    until = [[0.0, *accumulate(layer.t_s[p] for layer in instance.layers)] for p in range(len(instance.places))]
    rest = [until[-1][-1] - until[-1][n] for n in ends]  # from the last place on, by the layers before it
    cuts: list[list[int]] = []
    for p in reversed(range(1, len(instance.places) - 1)):
        after = [hops[m][p].t_s + rest[m] + until[p][m] for m in ends]  # less until[p][n]
        least = [len(after) - 1] * len(after)
        for m in reversed(ends[:-1]):
            least[m] = m if after[m] <= after[least[m + 1]] else least[m + 1]
        cuts.insert(0, least)
        rest = [after[least[n]] - until[p][n] for n in ends]
    found = []
    for n in ends:
        upto = [n]
        for least in cuts:
            upto.append(least[upto[-1]])
        found.append(Split.of(instance, [before[m] for m in upto]))
    return found


def way(instance: Instance) -> str:
    """The rates that a title names, and of more than two places these."""
    if len(instance.places) == 2:
        return f"at {format_rate(instance.bandwidth_bytes_per_s)}"
    first, *later = instance.places
    return f"along {first.name}" + "".join(f" > {format_rate(hop.bandwidth_bytes_per_s)} > {place.name}"
                                           for hop, place in zip(instance.hops, later, strict=True))  # fmt: skip
