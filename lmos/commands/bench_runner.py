"""`lmos bench runner`: tensors to another process and back, beside what others do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lmos.lists import names_of, parts_of
from lmos.output import activity, err, out, print_json, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.units import format_size, format_time, parse_size, parse_time

if TYPE_CHECKING:
    from lmos.bench.exchanging import Row


class Slow(LmosError):
    """An exchange takes longer than this project holds itself to."""


def run(sizes: str | None, peers: str | None, rounds: int, seed: int, rest: str, as_json: bool) -> None:
    """Measure and print; Slow where a promise is not kept, InputError for a size or a peer that is none."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of the runner", "torch")
    import torch

    from lmos.bench import exchanging, runner_peers
    from lmos.bench.pace import Pace
    from runner.machine import this_machine

    asked = exchanging.SIZES if sizes is None else tuple(map(_size, parts_of(sizes, "--sizes")))
    wanted = [runner_peers.get(name) for name in (runner_peers.names() if peers is None else names_of(peers, "--peers"))]
    rest_s = parse_time(rest, "--rest")
    if rest_s > exchanging.LONGEST_REST_S:
        raise InputError("--rest", f"{rest!r:.60} is longer than {exchanging.LONGEST_REST_S:g} s")
    pace = Pace()
    with activity("starting") as tell:
        rows = exchanging.compete(wanted, asked, rounds, seed, tell, _complain, rest_s, pace)
    broken = [] if rest_s else exchanging.broken(rows)  # nothing is promised of what comes after a rest
    if as_json:
        machine = this_machine(torch.get_num_threads()).model_dump(mode="json")
        found = {"schema": "lmos.bench-runner/1", "machine": machine, "seed": seed, "rest_s": rest_s, "pace": pace.summary(),
                 "rows": list(map(asdict, rows)), "broken": broken}  # fmt: skip
        print_json(json.dumps(found, indent=1) + "\n")
    else:
        out().print(_table(rows, rest_s))
        out().print(f"Meanwhile {pace}.")
    if broken:
        raise Slow("; ".join(broken))


def _size(text: str) -> int:
    n_bytes = parse_size(text, "--sizes")
    if n_bytes % 4 or not 64 <= n_bytes <= 2**24:
        raise InputError("--sizes", f"{text!r:.60}: expected from 64 B to 16 MiB, a multiple of 4 B")
    return n_bytes


def _complain(message: str) -> None:
    err().print(f"lmos: {message}")


def _table(rows: Sequence[Row], rest_s: float) -> object:
    from lmos.bench.exchanging import IN_A_ROW

    cells = []
    for k, row in enumerate(rows):
        first = k == 0 or rows[k - 1].n_bytes != row.n_bytes
        cells.append([
            format_size(row.n_bytes) if first else "", row.peer, format_time(row.median_s),
            f"{1e3 * row.q1_s:.3f} .. {1e3 * row.q3_s:.3f} ms", "-" if row.ratio is None else f"{row.ratio:.2f}",
            format_time(row.first_s), "" if row.unaccounted_s is None else format_time(row.unaccounted_s),
        ])  # fmt: skip
    title = ("Time of one exchange over loopback, between two processes: the bytes there, an acknowledgement back. Libraries take\n"
             f"turns of {IN_A_ROW} exchanges in a row; 'first': of each turn, after the others had the processor"
             f"{f'. Before each exchange: a rest of {format_time(rest_s)}' if rest_s else ''}\n"
             "('ours': t_tx_s and its waits for a thread; 'in no stage': the most that an image's stages leave of its latency)")
    return table(title, ["bytes", "peer", "median", "quartiles", "of a socket", "first", "in no stage"], cells, left=[1])
