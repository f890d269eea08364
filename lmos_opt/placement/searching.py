"""Searches for the least largest load: a known answer and a proved lower bound come nearer to each other until they meet.

They may stay apart if there are too many down-sets. docs/placement.md describes the steps.
"""

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
"""The most down-sets that are listed. With 400 blocks they take 56 MB, and the sums of their times ten times as much."""
MOST_PARTIAL = 2_000_000
"""The most down-sets, partial ones included, that are kept under a limit. Each takes about 100 bytes, and three times that while
it is extended."""
MOST_NEAR = 50_000
"""The most down-sets near one order of the blocks among which a better answer is looked for."""
Way = Callable[[Sequence[int]], int]
"""From the list of blocks that may come next to the index, in this list, of the block that does."""
WAYS: tuple[Way, ...] = (lambda ready: -1, lambda ready: 0, lambda ready: ready.index(max(ready)),
                         lambda ready: ready.index(min(ready)))  # fmt: skip
STEPS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Limits to try, as shares of the way from the proved bound to the best known load. Each search takes about four times the time of
the one before."""
RISING = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
"""The same if the sets are listed again for each limit. A low limit takes little time compared with the next."""
HALVINGS = 3
"""How many limits are tried after one that admits too many sets. Each lies halfway between the bound and the least such limit."""
CERTAIN = 1e-12
"""Two loads are equal if they differ by less than this share: the difference is rounding."""


@dataclass(frozen=True)
class Progress:
    """The best answer so far, and a proved lower bound (s) of every load. The answer is a best one if its load is the bound."""

    placed: Placed
    bound_s: float


def shared_out(blocks: Blocks) -> float:
    """A lower bound (s) of the largest load that needs no sets: all blocks shared out evenly, each at its fastest place."""
    fastest = blocks.times.min(axis=0)
    return float(max(fastest.sum() / len(blocks.times), fastest.max())) * (1 - CERTAIN)


def along_one_order(blocks: Blocks) -> Placed:
    """The best of the answers in which each place runs consecutive blocks of the order."""
    sets = down_sets(blocks.needs, len(blocks.needs) + 1, 0)
    assert sets is not None
    found = LeastLoad(blocks, sets).least(inf)
    assert found is not None  # no limit
    return found


def nearer(blocks: Blocks, known: Placed, each_set: Callable[[], None] = lambda: None) -> Iterator[Placed]:
    """Better and better answers, each found among the down-sets near an order of the blocks. None of them is proved to be best.

    The order lists the blocks place by place, as the answer so far has them. Within a place there are four orders (`WAYS`): the
    blocks of one branch after those of another, branches in turns, the last blocks first, the first blocks first. The search ends
    when none of them gives a better answer. `each_set` is called for every set at which a place may begin, and may raise to end
    the search.
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
    """The best answer within the limit (s) among up to MOST_NEAR down-sets near the blocks' order; None if there is none."""
    width, sets = 1, None
    while width < 2 * len(blocks.needs) and (wider := down_sets(blocks.needs, MOST_NEAR, width)) is not None:
        width, sets = width + 1 + width // 4, wider
    return None if sets is None else LeastLoad(blocks, sets).least(limit_s, each_set)


def _place_by_place(blocks: Blocks, placed: Placed, way: Way) -> list[int]:
    """A topological order in which the blocks of each place are consecutive. `way` chooses among the blocks that may come next."""
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
    """The progress after each step, among all down-sets `sets`. The last answer is a best one.

    A search under a limit near the proved bound looks at few pairs of sets. If it finds an answer, this answer is a best one. If
    not, the limit is the new bound. `each_set` may raise to end the search.
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
    """The progress after each step, if there are too many down-sets to list them all.

    The last answer is a best one if its load is the bound. Under a low limit few sets are left. So limits rise from the proved
    bound until one of them has an answer, which is then a best one, or more than `most` sets are left. In the second case some
    lower limits are tried (HALVINGS). `each_set` may raise to end the search.
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
