"""The tail at the edge, for images that the server does not finish."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lmos_opt.plan import Plan, PlannedNetwork
from lmos_opt.units import format_size
from measurement.tracing import TracedNetwork
from runner.parts.loading import OwnNetwork, load_planned
from runner.parts.network import Graphs, flat_outputs, memory_here
from runner.parts.split import split_traced


def why_not_here(plan: Plan, traced: TracedNetwork) -> str | None:
    """Why the whole network may not run at the edge: its memory, by the plan's own model, is above the plan's limit."""
    limit = plan.setting.memory_limit_bytes
    if limit is None:
        return None
    needed = memory_here(plan, traced, (layer.name for layer in traced.layers))
    if needed <= limit:
        return None
    return f"the whole network needs {format_size(needed)} at the edge, the plan's limit is {format_size(limit)}"


@dataclass
class Fallback:
    """Runs the tail of a plan here. Its weights are loaded when they are first needed.

    `refusal` says why that must not be (None: it may). A `tail` that is here anyway may be given, and a whole
    `module` that need not be built; `graphs` are of networks traced before.
    """

    plan: Plan
    network: PlannedNetwork
    weights: str
    networks: Sequence[str]
    refusal: str | None
    tail: nn.Module | None = None
    module: OwnNetwork | None = None
    graphs: Graphs | None = None

    def run(self, crossing: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        """The network's outputs, and the time (s) that computing them took, without the loading."""
        if self.tail is None:
            loaded = load_planned(self.network, self.weights, self.networks, self.module, self.graphs)
            self.tail = split_traced(loaded.traced, self.plan.edge_layers)[1]
            loaded.hollow.fill(self.tail)
        begin = time.perf_counter()
        outputs = flat_outputs(self.tail(crossing))
        return outputs, time.perf_counter() - begin
