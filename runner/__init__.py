"""Plans to results: a network in parts, and runs of plans over sockets.

- `split_module(module, edge_layers, example)` and `split` give the parts of a network. What crosses between them is a `Crossing`.
- `connect(plan, server)` sends your own tensors through a split, `connect_async` does so for asyncio.
- `runner.places.edge.run_plan` runs a plan on pictures, `runner.places.server.serve` is the server.

docs/reference/python.md lists all public names. They are imported when they are first used: `import runner` alone loads neither
torch nor sockets.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lmos_opt.moved import Moved, when_used

if TYPE_CHECKING:
    from runner.parts.part import Crossing
    from runner.parts.split import split, split_module
    from runner.places.connect import connect, connect_async

_HOME = {
    "Crossing": "parts.part",
    "connect": "places.connect",
    "connect_async": "places.connect",
    "split": "parts.split",
    "split_module": "parts.split",
}

_MOVED = {
    "lmos": (
        "bench cli commands commands.output=output commands.tracing=front_request doctor emulation.trial=trial "
        "exchange experiments=paper loopback"
    ),
    "lmos.bench": "bench.coding=codec_cuts",
    "lmos.cli": "cli_bench=bench command_line options",
    "lmos.pages": "reporting=summary ui",
    "lmos.paper": "reproduction=making",
    "runner.client": "line=server_connection pipeline remote",
    "runner.faults": "fallback limits refusal",
    "runner.lab": "emulation probing",
    "runner.parts": "exporting halves loading network sparing",
    "runner.places": "answers batching comparing conversation edge head server tail",
    "runner.watching": "events live logs metrics plots recorder report trace=timeline watching.trace=timeline",
    "runner.wire": (
        "access certs coding=agreed_codec wire.coding=agreed_codec connecting protocol shaping spinning tensors tls transport"
    ),
}
"""Old and new names of modules that have moved. The old names work until the next minor version."""

__all__ = ["Crossing", "connect", "connect_async", "split", "split_module"]

sys.meta_path.insert(0, Moved(__name__, _MOVED))
__getattr__ = when_used(__name__, _HOME)
