"""Random blocks to be placed, and their least load by looking at every chain of down-sets."""

import random
from itertools import combinations_with_replacement, pairwise

import numpy as np

from lmos_opt.placement.blocks import Blocks, Tensor, ones


def random_blocks(seed, most=7):
    rng = random.Random(seed)
    n, places = rng.randint(1, most), rng.choice((2, 3, 4))
    needs = [sum(1 << u for u in range(v) if rng.random() < 0.35) for v in range(n)]
    tensors = []
    for u in range(n):
        readers = sum(1 << v for v in range(n) if needs[v] >> u & 1)
        for _ in range(rng.choice((1, 1, 2)) if readers else 0):  # a block of several layers makes several tensors
            chosen = sum(1 << v for v in ones(readers) if rng.random() < 0.8)
            if chosen:
                tensors.append(Tensor(1 << u, chosen, rng.choice((0.0, 0.5, 1.0, rng.random() * 3))))
    base = [rng.choice((0.0, 0.0, 1.0, rng.random() * 2)) for _ in range(n)]
    times = [[t * (1 if seed % 2 else rng.choice((0.0, 0.5, 1.0, 3.0))) for t in base] for _ in range(places)]
    return Blocks(np.array(times), tuple(needs), tuple(tensors))


def subsets(needs):
    return [s for s in range(1 << len(needs)) if all(needs[v] & ~s == 0 for v in ones(s))]


def load_at(blocks, place, inner, outer):
    """The load of a place whose blocks are those of `outer` beyond `inner`."""
    here = outer & ~inner
    moved = [t.seconds for t in blocks.tensors if t.readers & (here if not t.makers & here else ~here)
             and (t.makers & here or t.readers & here)]
    return sum(blocks.times[place, v] for v in ones(here)) + sum(moved)


def least_by_looking(blocks):
    sets, places = subsets(blocks.needs), len(blocks.times)
    best = float("inf")
    for upto in combinations_with_replacement(sets, places - 1):
        chain = (0, *upto, blocks.everything)
        if all(a & ~b == 0 for a, b in pairwise(chain)):
            best = min(best, max(load_at(blocks, p, chain[p], chain[p + 1]) for p in range(places)))
    return best
