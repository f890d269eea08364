"""From blocks to the least largest load, with its proof, or as near as the number of down-sets allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from lmos_opt.placement.blocks import Blocks
from lmos_opt.placement.down_sets import Words, down_sets
from lmos_opt.placement.loads import LeastLoad, Placed

MOST_SETS = 1_000_000
"""Down-sets that are listed: of 400 blocks they take 56 MB, and their sums ten times as much."""
MOST_NEAR = 2_000
"""Down-sets near one order that a first answer is looked for in."""
STEPS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Where limits are put between what is proved and what is known: each search costs about four times the one before."""
CERTAIN = 1e-12
"""Relative to a load: what is nearer to it than that is the same, but for rounding."""


@dataclass(frozen=True)
class Progress:
    """The best answer so far, and what no answer is below (s): the same where the search has come to its end."""

    placed: Placed
    bound_s: float


def shared_out(blocks: Blocks) -> float:
    """What no load is below (s), without a look at any set: all blocks shared out evenly, each where it is fastest."""
    fastest = blocks.times.min(axis=0)
    return float(max(fastest.sum() / len(blocks.times), fastest.max())) * (1 - CERTAIN)


def along_one_order(blocks: Blocks, each_set: Callable[[], None] = lambda: None) -> Placed:
    """The best answer whose sets are the first blocks in their order.

    `each_set` is called again and again, and may raise to end the search.
    """
    found = _near_one_order(blocks, 0, len(blocks.needs) + 1, inf, each_set)
    assert found is not None  # no limit
    return found


def nearer(blocks: Blocks, known: Placed, each_set: Callable[[], None] = lambda: None) -> Iterator[Placed]:
    """Better and better answers whose sets are near to the blocks' order, as long as these are few."""
    width, most = 1, MOST_NEAR + len(blocks.needs)
    while width < len(blocks.needs) and down_sets(blocks.needs, most, width) is not None:
        better = _near_one_order(blocks, width, most, known.load_s * (1 - CERTAIN), each_set)
        if better is not None:
            known = better
            yield known
        width *= 2


def _near_one_order(blocks: Blocks, width: int, most: int, limit_s: float, each_set: Callable[[], None]) -> Placed | None:
    sets = down_sets(blocks.needs, most, width)
    return None if sets is None else LeastLoad(blocks, sets).least(limit_s, each_set)


def least_loads(blocks: Blocks, sets: Words, known: Placed, each_set: Callable[[], None]) -> Iterator[Progress]:
    """What is known after each step; the last one is the answer.

    A search under a limit near to what is proved looks at few pairs of sets. If it finds an answer, it is the best one; if not,
    the limit is proved.
    """
    problem = LeastLoad(blocks, sets)
    bound = min(max(problem.bound_s, shared_out(blocks)), known.load_s) * (1 - CERTAIN)
    yield Progress(known, bound)
    low, room = bound, known.load_s * (1 - CERTAIN) - bound
    for step in STEPS if room > 0 else ():
        limit = low + step * room
        if (found := problem.least(limit, each_set)) is not None:
            known = found
            break
        yield Progress(known, limit)
    yield Progress(known, known.load_s)
