"""One network of the zoo: built, profiled, split at random cuts, and compared with the whole."""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from lmos.bench.zoo.names import builder_of
from lmos_opt.errors import THEIR_ERRORS, LmosError, first_line
from measurement.networks import build_network
from measurement.profiling import profile_traced
from measurement.sources import Example, example_of
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.calls import call
from runner.parts.split import split_traced

CUTS = 5


@dataclass(frozen=True)
class Visited:
    """What came of a network: its layers, those of them that are parts kept whole, work and parameters, the processor's seconds
    to build and to trace it; how many cuts were compared, and how many differ from the whole; or why there is no profile."""

    network: str
    layers: int = 0
    opaque: int = 0
    gmacs: float = 0.0
    params: int = 0
    build_s: float = 0.0
    trace_s: float = 0.0
    cuts: int = 0
    different: int = 0
    reason: str | None = None


def visit(name: str, folder: Path) -> Visited:
    """Raises nothing of LmosError: a network without a profile says why."""
    begin = time.process_time()
    try:
        builder = builder_of(name, folder)
        module = build_network(builder, "seeded:0", allow_code=True)
        example = _example(name, builder, module)
        built = time.process_time()
        traced = trace_network(module, example)
        profile = profile_traced(traced)
    except LmosError as error:
        return Visited(name, reason=str(error), build_s=time.process_time() - begin)
    traced_at = time.process_time()
    found: dict[str, Any] = {"layers": len(profile.layers), "opaque": len(traced.opaque), "gmacs": profile.total_macs / 1e9,
             "params": profile.total_params, "build_s": built - begin, "trace_s": traced_at - built}  # fmt: skip
    try:
        with torch.inference_mode():
            expected = call(module, example)
            different = sum(not same(_through(traced, edge, example), expected) for edge in random_cuts(traced, name))
    except THEIR_ERRORS as error:
        return Visited(name, **found, cuts=CUTS, different=CUTS, reason=f"a half fails: {first_line(error)}")
    return Visited(name, **found, cuts=CUTS, different=different)


def random_cuts(traced: TracedNetwork, name: str) -> list[list[str]]:
    """Edge sets that hold whatever their layers read: what some layers, chosen at random, are made from. The same for a name."""
    draw = random.Random(name)
    inputs = {layer.name: layer.inputs for layer in traced.layers}
    found = []
    for _ in range(CUTS):
        edge: set[str] = set()
        waiting = draw.sample([*inputs], min(len(inputs), draw.randint(1, 3)))
        while waiting:
            layer = waiting.pop()
            if layer in inputs and layer not in edge:
                edge.add(layer)
                waiting += inputs[layer]
        found.append([layer for layer in inputs if layer in edge])
    return found


def _example(name: str, builder: str, module: torch.nn.Module) -> Example:
    if name.startswith("own:"):
        from lmos.bench.zoo.networks import EXAMPLES

        return EXAMPLES[name.partition(":")[2]]()
    return example_of(builder, module)


def _through(traced: TracedNetwork, edge: Sequence[str], example: Example) -> Any:
    head, tail = split_traced(traced, edge)
    return tail(call(head, example))


def same(a: Any, b: Any) -> bool:
    """Whether two results are the same, bit for bit."""
    left, right = tree_leaves(a), tree_leaves(b)
    return len(left) == len(right) and all(_same(x, y) for x, y in zip(left, right, strict=True))


def _same(a: Any, b: Any) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return type(a) is type(b) and bool(a == b)
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | (a.isnan() & b.isnan())).all())


def main() -> None:
    """Reads a name a line from standard input, and writes what came of it as a line of JSON, with the process's memory (B)."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            found = asdict(visit(line.strip(), Path(folder)))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            sys.stdout.write(json.dumps({**found, "peak_bytes": peak}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
