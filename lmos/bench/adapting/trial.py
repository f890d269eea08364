"""A trial of the slowed edge: `python -m lmos.bench.adapting.trial TRIAL.json`. It writes its measurements next to that file.

The whole network runs at the slowed edge repeatedly, and in turns at the server. This gives the edge's times, their spread, and the
cost of an exchange, under the same slowing as in the benchmark.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos.bench.adapting.course import found_at, ready
from lmos.bench.adapting.fixed import Fixed
from lmos_opt.plan import Plan
from runner.wire.shaping import Pacer, Shape

RATE_BYTES_PER_S = 5e6
"""40 Mbit/s: the edge then waits for its link, as with most cuts."""
_EDGE, _SERVER = "everything at the edge", "everything at the server"


@dataclass(frozen=True)
class Trial:
    """A plan with all layers at the edge and one with all at the server, a server, and how many images of each."""

    edge: str
    at_server: str
    server: tuple[str, int]
    images: int


def follow(trial: Trial) -> dict[str, list[float]]:
    """Run it: the whole network's times at the edge, and exchanges' beyond bytes over rate (s). ValueError for a lost image."""
    plans = {_EDGE: Plan.load(trial.edge), _SERVER: Plan.load(trial.at_server)}
    runs = Fixed(plans, trial.server, Pacer(Shape(RATE_BYTES_PER_S)))
    ready()
    edge, exchange = list[float](), list[float]()
    for _ in range(trial.images):
        here, there = runs.image(_EDGE), runs.image(_SERVER)
        if here is None or there is None:
            raise ValueError("an image of the trial was lost")
        edge.append(here.latency_s)
        exchange.append(max(there.t_edge_s + there.t_tx_s - (there.sent_bytes or 0) / RATE_BYTES_PER_S, 0.0))
    runs.close()
    return {"edge_s": edge, "exchange_s": exchange}


def main(arguments: Sequence[str]) -> None:
    """Read the trial, write what was found."""
    told = json.loads(Path(arguments[0]).read_text())
    trial = Trial(told["edge"], told["at_server"], tuple(told["server"]), told["images"])
    found_at(Path(arguments[0])).write_text(json.dumps(follow(trial)))


if __name__ == "__main__":
    main(sys.argv[1:])
