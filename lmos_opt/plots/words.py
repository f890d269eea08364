"""The texts of pictures of a front: a title, and an axis's name with unit and sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos_opt.plots import style
from lmos_opt.units import counted

if TYPE_CHECKING:

    from lmos_opt.front import Front, ObjectiveInfo


def axis(objective: ObjectiveInfo) -> tuple[float, str]:
    """The factor for an objective's values, and its label with unit and sense: `latency (s, min)`."""
    scale, shown = style.quantity(objective.name, objective.unit)
    return scale, f"{shown[:-1]}, {objective.sense})" if objective.unit else shown


def title(front: Front) -> str:
    """The title of a picture of the front."""
    return (f"{front.instance}: {counted(len(front.points), 'non-dominated split')}"
            + ("" if front.complete else f" (incomplete: {front.reason})"))
