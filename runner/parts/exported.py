"""What an export holds, and its `export.json`: which network and split the files are of, their SHA-256, what they take
and return.

Whoever runs a file without torch knows by it that the file is the plan's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmos_opt.plan import Plan, check_runnable, picture_input
from lmos_opt.processes.writing import write_atomically
from measurement.networks.conventions import conventions_for
from measurement.networks.labels import names_of
from measurement.networks.preprocessing import preprocessing_of
from measurement.tracing import TracedNetwork
from runner.parts.network import memory_here

SCHEMA = "lmos.export/1"
INDEX = "export.json"
WHOLE = "whole"
OF_INPUTS = frozenset({"head", "place_1", WHOLE})
"""Parts that take the network's own inputs."""


@dataclass(frozen=True)
class ExportedPart:
    """A written file, the names of its inputs and outputs, and by how much it differs from torch.

    The last outputs are of the network's `result`, by their paths in it. `difference` is the largest over its outputs of
    max |theirs - torch's| / max |torch's|. `sizes` are numbers that cross beside its tensors, for inputs of the export's shapes.
    """

    part: str
    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float
    result: tuple[str, ...] = ()
    sizes: Mapping[str, object] = field(default_factory=dict)


def write_index(plan: Plan, traced: TracedNetwork, form: str, written: Sequence[ExportedPart], folder: Path) -> None:
    """Write `export.json` beside the files of an export; DiskFullError and InputError as for any file."""
    network = check_runnable(plan, "plan")
    picture = picture_input(network.input_tensors)
    how = network.preprocessing
    if how is None and picture is not None:
        how = preprocessing_of(network.builder, network.weights, picture[1].shape, picture[1].dtype)
    found = {
        "schema": SCHEMA,
        "format": form,
        "network": {"name": network.name, "builder": network.builder, "weights": network.weights, "digest": network.digest},
        "edge_layers": list(plan.edge_layers),
        "parts": {part.part: _record(part, plan, traced) for part in written},
        "preprocessing": None if how is None else how.model_dump(mode="json"),
        "labels": list(names_of(conventions_for(network).labels)) or None,
    }
    write_atomically(folder / INDEX, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def _record(part: ExportedPart, plan: Plan, traced: TracedNetwork) -> dict[str, Any]:
    data = part.path.read_bytes()
    takes = traced.call.names if part.part in OF_INPUTS else part.inputs
    found = {"file": part.path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
             "inputs": dict(zip(part.inputs, takes, strict=True)), "outputs": list(part.outputs), "result": list(part.result),
             "difference": part.difference, **({"sizes": dict(part.sizes)} if part.sizes else {})}  # fmt: skip
    if part.part == WHOLE:
        found["memory_bytes"] = memory_here(plan, traced, (layer.name for layer in traced.layers))
    return found
