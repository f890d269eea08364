"""Tensors to another process and back, by every peer in turns: medians, quartiles, and the ratio to a plain socket.

A turn is several exchanges, one right after another, as a run sends its images. The first of a turn comes after the others had the
processor, with its caches cold: its median stands apart. A machine may be slower for some seconds, so the plain socket has a turn
before and after each other peer's, and a peer's times are divided by those of the turns beside its own.

With a rest before each exchange, all come with cold caches, as in a run whose edge computes or waits between two images.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles

from lmos.bench.halves import halves, move
from lmos.bench.pace import Pace
from lmos.bench.runner_peers import ExchangeTime, Opener, Peer, Session
from lmos.bench.solvers import MissingPeer
from lmos_opt.errors import LmosError, first_line
from runner.errors import RunnerError

RAW, GRPC = "raw_socket", "grpc_streaming"
"""The peer that the others' times are divided by, and the one that none of ours may be slower than."""
OURS = ("ours", "ours_vgg11", "ours_run", "ours_run_vgg11")
TENSOR_BYTES = 64 * 224 * 224 * 4
"""The output of VGG's first layer, 12.8 MB: the largest that any cut of the paper's networks sends."""
SIZES = (4096, 65536, 2**20, 4 * 2**20, TENSOR_BYTES, 2**24)
MOST_RATIO, MOST_UNACCOUNTED_S = 1.5, 0.002
"""What this project holds itself to with TENSOR_BYTES: times a plain socket's, and seconds between an image's stages."""
IN_A_ROW = 50
"""Exchanges of a turn, at most."""
LONGEST_REST_S = 1.0
_WARM_UPS = 5


@dataclass(frozen=True)
class Row:
    """One peer with one size: quartiles of the exchanges that follow another (s), the median over the plain socket's, what the
    stages leave (s), and the median of those that begin a turn (s). `rounds` are all exchanges.

    With turns of one exchange, all begin one, and the quartiles are theirs."""

    n_bytes: int
    peer: str
    rounds: int
    q1_s: float
    median_s: float
    q3_s: float
    ratio: float | None
    unaccounted_s: float | None
    first_s: float


def compete(peers: Sequence[Peer], sizes: Sequence[int], rounds: int, seed: int, tell: Callable[[str], None],
            complain: Callable[[str], None], rest_s: float = 0.0, pace: Pace | None = None) -> list[Row]:  # fmt: skip
    """Each peer makes so many exchanges of each size (`rounds`), in turns of IN_A_ROW or fewer, in an order that is drawn again for
    each, with a rest (s) before each exchange. What is not installed or cannot rest is left out, and said. Each side of a peer has
    one half of the processors; their `pace` is looked at before each turn.

    RunnerError where the other side of a peer does not start, or an image does not come back.
    """
    rows: list[Row] = []
    pace = pace or Pace()
    with halves() as sides, ExitStack() as stack:
        openers: dict[Peer, Opener] = {}
        move(sides[1])
        for peer in peers:
            if rest_s and not peer.can_rest:
                complain(f"{peer.name} is left out: it cannot rest between exchanges, because each turn is a process of its own")
                continue
            tell(f"starting {peer.name}")
            try:
                openers[peer] = stack.enter_context(peer.start())
            except MissingPeer as error:
                complain(str(error))
        for n_bytes in sizes:
            rows += _one_size({p: o for p, o in openers.items() if p.can(n_bytes)}, n_bytes, rounds, seed, tell, sides, rest_s,
                              pace)
    return rows


def _one_size(openers: dict[Peer, Opener], n_bytes: int, rounds: int, seed: int, tell: Callable[[str], None],
              sides: tuple[set[int], set[int]], rest_s: float, pace: Pace) -> list[Row]:  # fmt: skip
    drawn = random.Random(f"{seed} {n_bytes}")
    found: dict[str, list[list[ExchangeTime]]] = {peer.name: [] for peer in openers}
    beside: dict[str, list[list[ExchangeTime]]] = {peer.name: [] for peer in openers}
    with ExitStack() as stack:
        tell(f"{n_bytes} bytes")
        asking, answering = sides
        move(answering)
        sessions: list[tuple[str, Session]] = [(p.name, stack.enter_context(o(n_bytes))) for p, o in openers.items()]
        move(asking)
        for name, exchange in sessions:
            _turn(name, exchange, _WARM_UPS, 0.0)
        for begin in range(0, rounds, IN_A_ROW):
            tell(f"{n_bytes} bytes, {begin} of {rounds} exchanges")
            drawn.shuffle(sessions)
            n = min(IN_A_ROW, rounds - begin)
            turns = []
            for name, exchange in _with_raw_between(sessions):
                pace.note([answering, asking])
                turns.append((name, _turn(name, exchange, n, rest_s)))
            for k, (name, turn) in enumerate(turns):
                found[name].append(turn)
                beside[name] += [other for who, other in turns[max(k - 1, 0) : k + 2] if who == RAW]
    return [_row(n_bytes, name, turns, beside[name]) for name, turns in found.items()]


def _turn(name: str, exchange: Session, n: int, rest_s: float) -> list[ExchangeTime]:
    found = []
    try:
        for in_a_row in [1] * n if rest_s else [n]:
            time.sleep(rest_s)
            found += exchange(in_a_row)
    except LmosError:
        raise
    except Exception as error:  # each library has classes of its own
        raise RunnerError(name, f"an exchange failed: {first_line(error)}") from error
    return found


def _with_raw_between(sessions: Sequence[tuple[str, Session]]) -> list[tuple[str, Session]]:
    """The sessions in their order, the plain socket's before and after each other one's, if it is among them."""
    others = [one for one in sessions if one[0] != RAW]
    raw = [one for one in sessions if one[0] == RAW]
    return raw + [one for other in others for one in (other, *raw)]


def _following(turns: Sequence[Sequence[ExchangeTime]]) -> list[float]:
    """The times of those that follow another; of all, where none does."""
    return [one.seconds for turn in turns for one in turn[1:]] or [turn[0].seconds for turn in turns]


def _row(n_bytes: int, name: str, turns: Sequence[Sequence[ExchangeTime]], beside: Sequence[Sequence[ExchangeTime]]) -> Row:
    """`beside` are the plain socket's turns beside these."""
    seconds = _following(turns)
    raw_s = median(_following(beside)) if beside else None
    q1, middle, q3 = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    left = [one.unaccounted_s for turn in turns for one in turn if one.unaccounted_s is not None]
    return Row(n_bytes, name, sum(map(len, turns)), q1, middle, q3, middle / raw_s if raw_s else None, max(left) if left else None,
               median(turn[0].seconds for turn in turns))


def broken(rows: Sequence[Row]) -> list[str]:
    """What this project promises and did not keep, in words: with TENSOR_BYTES, and of gRPC at any size."""
    found = []
    grpc_s = {row.n_bytes: row.median_s for row in rows if row.peer == GRPC}
    for row in rows:
        if row.peer not in OURS:
            continue
        if row.median_s > grpc_s.get(row.n_bytes, math.inf):
            found.append(f"{row.peer} takes {row.median_s / grpc_s[row.n_bytes]:.2f} times gRPC's time with {row.n_bytes} bytes; "
                         "no longer than gRPC is promised")
        if row.n_bytes != TENSOR_BYTES:
            continue
        if row.ratio is not None and row.ratio > MOST_RATIO:
            found.append(f"{row.peer} takes {row.ratio:.2f} times a plain socket's time; at most {MOST_RATIO:g} is promised")
        if row.unaccounted_s is not None and row.unaccounted_s > MOST_UNACCOUNTED_S:
            found.append(f"{row.peer}: {1e3 * row.unaccounted_s:.2f} ms of an image are in no stage; "
                         f"at most {1e3 * MOST_UNACCOUNTED_S:g} are promised")
    return found
