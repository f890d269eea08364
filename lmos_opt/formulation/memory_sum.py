"""Memory model `sum` (the paper's reading of its reference [5]): weights and outputs of all edge layers, and their inputs."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import add_block
from lmos_opt.formulation.copies import copies
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `memory` (B)."""
    add_block(m, instance, "held")
    held = sum((layer.held_bytes + layer.output_bytes) * m.upto[1, layer.name] for layer in instance.layers)
    held += copies(m, instance, 1)
    m.memory = pyo.Expression(expr=held + sum(n_bytes * m.held[name] for name, n_bytes in instance.inputs.items()))
