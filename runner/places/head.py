"""The head: it is built without the tail's weights, and its memory is measured.

The memory is counted above that of the program itself: interpreter, libraries, the network's description, and the kernels that were
made for its layers. The program is measured while the head's weights are still empty, after one run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, PlannedNetwork
from measurement.engines import DEFAULT, Engine
from measurement.tracing.calls import Call, call, random_input
from runner.adaptation.cuts import check_memory
from runner.client.pipeline import Route
from runner.client.server_connection import ServerConnection
from runner.faults.fallback import Fallback, why_not_here
from runner.images import Images
from runner.memory import PeakMemory, private_bytes, release, returned_at_once
from runner.parts.computed import computed_on, remarks, rounding_error
from runner.parts.loading import OwnNetwork, load_planned
from runner.parts.network import Graphs, OutputForm, example_input, example_of, outputs_of, varying_outputs
from runner.parts.part import Head
from runner.parts.sparing import spare_copies
from runner.parts.split import split_along
from runner.places.checked import check_codecs, check_sizes
from runner.places.served import longest_text

MEMORY_RUNS = 3


@dataclass(frozen=True)
class BuiltRoutes:
    """Heads that are ready to run.

    - `routes`: one for each plan.
    - `program_bytes`: the memory (B) of the process without weights and tensors.
    - `call`: how the network takes its inputs.
    - `form`: how its outputs are put together.
    - `remarks`: what the engine has to say about the heads.
    - `longest`: the most tokens of a decoder's text; None if the network is no decoder.
    """

    routes: list[Route]
    program_bytes: int
    call: Call
    form: OutputForm
    remarks: tuple[str, ...] = ()
    longest: int | None = None


def build_routes(ways: Sequence[tuple[Plan, ServerConnection | None]], network: PlannedNetwork, weights: str,
                 networks: Sequence[str], pictures: Images, module: OwnNetwork | None = None,
                 graphs: Graphs | None = None, engine: Engine | None = None) -> BuiltRoutes:  # fmt: skip
    """Build and check the head of each plan in `ways`, each with its connection.

    All heads share one copy of the weights. Weights that only the tail uses are never in memory, if the network's source allows
    that. If one of the plans runs the whole network at the edge, the tails are built too. Each connection is told what answers must
    look like. `engine` is the one that `place_heads` will use (None: torch on the processor); its libraries count as a part of the
    program. Raises what `load_planned` and `check_memory` raise.
    """
    plans = [plan for plan, _ in ways]
    with returned_at_once():  # or there would be room on the heap that is filled first, and not returned
        loaded = load_planned(network, weights, networks, module, graphs)
        check_memory(plans, loaded.traced)
        check_codecs(plans[0], loaded.traced)
        for plan in plans:
            check_sizes(plan, loaded.traced)
        refusal = why_not_here(plans[0], loaded.traced) if any(plan.offloads for plan in plans) else None
        is_whole = any(not plan.offloads for plan in plans)
        sizes = {node.name: sum(spec.bytes for spec in facts.tensors) for node, facts in loaded.traced.facts.items()}
        calling, form, longest = loaded.traced.call, OutputForm.of(loaded.traced), longest_text(loaded.traced.module)
        routes: list[Route] = []
        parts = nn.ModuleList()
        for plan, connection in ways:
            if connection is not None:
                connection.expected, connection.varying = outputs_of(loaded.traced), varying_outputs(loaded.traced)
            head, *_, tail = (split_along(loaded.traced, plan.edge_layers, plan.later_layers) if plan.offloads else
                              (loaded.hollow.module, None))
            if isinstance(head, Head):
                if engine is None or engine.name == DEFAULT:
                    spare_copies(head.body, sizes)
                else:
                    engine.prepare(head.body)
            parts.extend([head, tail] if is_whole and tail is not None else [head])
            fallback = Fallback(plan, network, weights, networks, refusal, tail if is_whole else None, module, graphs)
            routes.append(Route(head, connection, fallback, plan.x1 if len(plans) > 1 else None))
        hollow = loaded.hollow.part(parts)
        del loaded, head, tail  # what the edge does not run is no part of its program
        pictures.load(0)  # its libraries are
        if engine is None or not engine.has_own_weights:
            for route in routes:
                with torch.inference_mode(), contextlib.suppress(Exception):  # numbers that mean nothing may be any
                    call(route.head, example_of(network))
        release()
        program_bytes = private_bytes() - hollow.present_bytes()
        hollow.fill(parts)
    return BuiltRoutes(routes, program_bytes, calling, form, longest=longest)


@torch.inference_mode()
def place_heads(built: BuiltRoutes, engine: Engine, network: PlannedNetwork) -> BuiltRoutes:
    """The same routes, with each head where the engine computes it. InputError if that cannot be, or if a head is the whole
    network."""
    if engine.name == DEFAULT:
        return built
    tensors = [example_input(network.input_tensors[name]) for name in built.call.names]
    routes, said = [], dict[str, None]()
    drawn = [random_input(network.input_tensors[name], 0) for name in built.call.names]
    for route in built.routes:
        if not isinstance(route.head, Head):
            raise InputError("--engine", f"{engine.name} computes the edge's part of a plan; this one sends nothing to a server")
        placed = computed_on(engine, route.head, route.head.arguments(tensors))
        error = rounding_error(placed, route.head, drawn)
        said |= dict.fromkeys(remarks(placed, error))
        routes.append(replace(route, head=placed))
    return replace(built, routes=routes, remarks=tuple(said))


@torch.inference_mode()
def head_memory(built: BuiltRoutes, pictures: Images) -> list[int]:
    """For each head the most memory (B) above the program itself while it runs a few pictures.

    These runs are not timed: meanwhile freed memory goes back to the system, and to fetch it again would make the head slower
    (VGG16's first 10 layers by a quarter). Afterwards the process keeps its memory.
    """
    found = []
    with returned_at_once():
        for k in range(MEMORY_RUNS):
            image = pictures.load(k % len(pictures))
            release()
            with PeakMemory() as peak:
                for route in built.routes:
                    call(route.head, image)
            del image
            found.append(max(peak.private_bytes - built.program_bytes, 0))
    return found
