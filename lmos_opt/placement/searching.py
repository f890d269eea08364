"""From blocks to the least largest load, with its proof, or as near as the number of down-sets allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import inf

from lmos_opt.placement.blocks import Blocks, ones
from lmos_opt.placement.down_sets import Words, down_sets
from lmos_opt.placement.limited import Limited
from lmos_opt.placement.loads import LeastLoad, Placed

MOST_SETS = 1_000_000
"""Down-sets that are listed: of 400 blocks they take 56 MB, and their sums ten times as much."""
MOST_PARTIAL = 2_000_000
"""Down-sets under a limit that are looked at, the partial ones among them: they take about 100 bytes each, and three times that
while they grow."""
MOST_NEAR = 50_000
"""Down-sets near one order that better answers are looked for in."""
Way = Callable[[Sequence[int]], int]
"""Which of the blocks that may come next does."""
WAYS: tuple[Way, ...] = (lambda ready: -1, lambda ready: 0, lambda ready: ready.index(max(ready)),
                         lambda ready: ready.index(min(ready)))  # fmt: skip
STEPS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Where limits are put between what is proved and what is known: each search costs about four times the one before."""
RISING = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
"""The same where sets are listed again for each limit: a low one costs little beside the next."""
HALVINGS = 3
"""How often a limit with too many sets is put nearer to what is proved."""
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


def along_one_order(blocks: Blocks) -> Placed:
    """The best answer whose sets are the first blocks in their order."""
    sets = down_sets(blocks.needs, len(blocks.needs) + 1, 0)
    assert sets is not None
    found = LeastLoad(blocks, sets).least(inf)
    assert found is not None  # no limit
    return found


def nearer(blocks: Blocks, known: Placed, each_set: Callable[[], None] = lambda: None) -> Iterator[Placed]:
    """Better and better answers whose sets are near to an order of the blocks in which the answer so far is one of the first.

    Within a place the order follows branches one after another, or side by side, or begins with what stands last; once around
    without a better answer is the end. `each_set` is called again and again, and may raise to end the search.
    """
    ways, failed = cycle(WAYS), 0
    while failed < len(WAYS):
        order = _place_by_place(blocks, known, next(ways))
        better = _near(blocks.ordered(order), known.load_s * (1 - CERTAIN), each_set)
        failed += 1
        if better is not None and better.load_s < known.load_s:
            known = Placed(better.load_s, tuple(sum(1 << order[k] for k in ones(before)) for before in better.upto))
            failed = 0
            yield known


def _near(blocks: Blocks, limit_s: float, each_set: Callable[[], None]) -> Placed | None:
    """The best answer within the limit of the sets nearest to the blocks' order; None if there is none."""
    width, sets = 1, None
    while width < 2 * len(blocks.needs) and (wider := down_sets(blocks.needs, MOST_NEAR, width)) is not None:
        width, sets = width + 1 + width // 4, wider
    return None if sets is None else LeastLoad(blocks, sets).least(limit_s, each_set)


def _place_by_place(blocks: Blocks, placed: Placed, way: Way) -> list[int]:
    """A topological order of the blocks in which each place's come together."""
    order: list[int] = []
    done = 0
    for upto in (*placed.upto, blocks.everything):
        here = [*ones(upto & ~done)]
        ready = [k for k in here if not blocks.needs[k] & ~done]
        while ready:
            k = ready.pop(way(ready))
            order.append(k)
            done |= 1 << k
            ready += [v for v in here if blocks.needs[v] >> k & 1 and not blocks.needs[v] & ~done]
    return order


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


def under_limits(blocks: Blocks, known: Placed, each_set: Callable[[], None],
                 most: int) -> Iterator[Progress]:  # fmt: skip
    """What is known after each step, where all down-sets are too many to be listed. The last one is the answer if no load is below
    what is proved.

    Under a limit few sets are left. So limits rise from what is proved until there is an answer within one, which is a least one,
    or more than `most` sets are left; then some limits below that are tried.
    """
    problem, low, high = Limited(blocks), shared_out(blocks), known.load_s * (1 - CERTAIN)
    yield Progress(known, min(low, known.load_s))
    waiting = [low + step * (high - low) for step in reversed(RISING)] if low < high else []
    halved, failed = 0, high
    while waiting and halved <= HALVINGS:
        limit = waiting.pop()
        sets = problem.sets(limit, most, each_set)
        if sets is None:
            halved, failed = halved + 1, limit
            waiting = [(low + failed) / 2]
            continue
        if (found := LeastLoad(blocks, sets).least(limit, each_set)) is not None:
            yield Progress(found, found.load_s)
            return
        low = limit
        yield Progress(known, low)
        if halved:
            halved += 1
            waiting = [(low + failed) / 2]
    if low >= high:
        yield Progress(known, known.load_s)
