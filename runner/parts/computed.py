"""A part of a split network where an engine computes it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, TypeVar

from torch import fx, nn

from measurement.engines import Engine, Loaded
from runner.parts.part import Head, Middle, Tail

Part = TypeVar("Part", bound=Head | Middle | Tail)


def computed_on(engine: Engine, part: Part, arguments: Sequence[Any]) -> Part:
    """The part with its layers where the engine computes them. Another engine than torch on the processor runs it once.

    The arguments are what its graph takes (`Head.arguments`, `Incoming.arguments`). InputError where the engine cannot compute it.
    """
    assert isinstance(part.body, fx.GraphModule)
    found = copy(part)
    found._modules = {**part._modules, "body": engine.load(part.body, arguments)}
    return found


def compute_s(part: nn.Module) -> float:
    """How long the engine computed in the last run (s); 0 where none does."""
    body = getattr(part, "body", None)
    return body.compute_s if isinstance(body, Loaded) else 0.0
