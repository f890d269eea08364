"""A part of a split network where an engine computes it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import isfinite
from typing import Any, TypeVar

from torch import Tensor, fx, nn

from measurement.engines import Engine, Loaded, worst_error
from runner.parts.part import Crossing, Head, Middle, Tail

Part = TypeVar("Part", bound=Head | Middle | Tail)


def computed_on(engine: Engine, part: Part, arguments: Sequence[Any]) -> Part:
    """The part with its layers where the engine computes them. Another engine than torch on the processor runs it once.

    The arguments are what its graph takes (`Head.arguments`, `Incoming.arguments`). InputError if the engine cannot compute it.
    """
    assert isinstance(part.body, fx.GraphModule)
    found = copy(part)
    found._modules = {name: module for name, module in part._modules.items() if name != "body"}
    vars(found)["body"] = engine.load(part.body, arguments)
    return found


def rounding_error(placed: Head | Middle | Tail, exact: Head | Middle | Tail, given: Sequence[Tensor] | Crossing) -> float | None:
    """The largest change of a part's outputs by the engine's rounding, as a share of the largest number.

    `given` are random inputs. None if the layers cannot compute with them.
    """
    try:
        found, wanted = (_made(part, given) for part in (placed, exact))
        error = worst_error(found, wanted)
    except Exception:  # noqa: BLE001 - a layer may raise anything on random inputs
        return None
    return error if isfinite(error) else None


def _made(part: Head | Middle | Tail, given: Sequence[Tensor] | Crossing) -> list[Tensor]:
    if isinstance(part, Head):
        crossing = part.on([*given.values()] if isinstance(given, Crossing) else given)
    else:
        assert isinstance(given, Crossing)
        crossing = part.made(given)
    return [*crossing.values(), *crossing.kept.values()]


def remarks(part: nn.Module, error: float | None) -> tuple[str, ...]:
    """Remarks on a part for the report: the change by rounding, and what its engine could not do in its usual way."""
    body = getattr(part, "body", None)
    rounded = () if error is None else (f"rounding changes outputs by up to {error:.2g} of the largest",)
    return (*rounded, *(body.notes if isinstance(body, Loaded) else ()))


def compute_s(part: nn.Module) -> float:
    """The time (s) of the engine in the last run; 0 for a part that no engine computes."""
    found: float = getattr(getattr(part, "body", None), "compute_s", 0.0)
    return found
