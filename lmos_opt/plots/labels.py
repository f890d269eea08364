"""Texts beside points. They are placed again whenever the picture is drawn, so that none lies on another one, on the legend, or
outside the axes. A text that finds no room is left out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from numpy.typing import NDArray

Side = tuple[int, int]
"""Where a text lies: -1, 0 or 1 times its distance to the right of its point, and above it."""
SIDES: tuple[Side, ...] = ((-1, 1), (-1, -1), (1, 1), (1, -1), (0, 1), (0, -1), (-1, 0), (1, 0))
"""In the order in which they are tried: a front drawn as steps leaves a point to its right."""
UPWARDS: tuple[Side, ...] = ((1, 1), (-1, 1), (0, 1), (1, -1), (-1, -1), (0, -1))
"""The sides in the order in which they are tried beside a horizontal line."""
_DISTANCES_POINTS = (5.0, 11.0, 18.0)
_GAP_PIXELS = 1.0
_EVERY_PIXELS = 6.0


def beside(ax: Axes, place: tuple[float, float], text: str, *, fontsize: float = 8, sides: tuple[Side, ...] = SIDES,
           color: str = "black") -> None:  # fmt: skip
    """Write a text beside a place of the data; the side with the fewest marks below the text is taken."""
    placer = next((one for one in ax.get_children() if isinstance(one, _Placer)), None)
    if placer is None:
        placer = _Placer()
        ax.add_artist(placer)
    note = ax.annotate(text, place, fontsize=fontsize, color=color, parse_math=False, annotation_clip=True)
    note.set_in_layout(False)  # it lies inside the axes, so the layout need not make room for it
    placer.notes.append((note, sides))


class _Placer(Artist):
    """Draws nothing itself: moves the notes of its axes before they are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[Any, tuple[Side, ...]]] = []
        self.set_zorder(-1)
        self.set_in_layout(False)

    def draw(self, renderer: Any) -> None:
        """Place every note, in the order in which they came."""
        if self.axes is None:
            return
        for note, _ in self.notes:
            note.set_visible(False)  # or the legend would make room for where they were
        legend = self.axes.get_legend()
        taken = [] if legend is None else [legend.get_window_extent(renderer)]
        room = self.axes.get_window_extent(renderer)
        pixels = renderer.points_to_pixels(1.0)
        marks = _marks(self.axes, pixels)
        for note, sides in self.notes:
            x, y = self.axes.transData.transform(note.xy)
            width, height = _size(note, renderer)
            free = [(box, offset) for box, offset in _boxes(x, y, width, height, pixels, sides)
                    if _within(box, room) and not any(box.overlaps(other) for other in taken)]  # fmt: skip
            if not (isfinite(x) and isfinite(y) and free):
                continue
            box, offset = min(free, key=lambda one: _covered(one[0], marks))
            _move(note, offset)
            taken.append(box)


def _size(note: Text, renderer: Any) -> tuple[float, float]:
    note.set_visible(True)
    box = note.get_window_extent(renderer)
    note.set_visible(False)
    return float(box.width), float(box.height)


def _boxes(x: float, y: float, width: float, height: float, pixels: float,
           sides: tuple[Side, ...]) -> Iterator[tuple[Bbox, tuple[float, float]]]:  # fmt: skip
    """Where the text could lie, near ones first, and the offset of its lower left corner from its point in points."""
    for distance in _DISTANCES_POINTS:
        for across, up in sides:
            left = across * distance * pixels + (across - 1) / 2 * width
            low = up * distance * pixels + (up - 1) / 2 * height
            box = Bbox.from_bounds(x + left - _GAP_PIXELS, y + low - _GAP_PIXELS, width + 2 * _GAP_PIXELS, height + 2 * _GAP_PIXELS)
            yield box, (left / pixels, low / pixels)


def _within(box: Bbox, room: Bbox) -> bool:
    return bool(room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1)


def _marks(ax: Any, pixels: float) -> NDArray[np.float64]:
    """What texts should not cover: every mark, and places along the lines that join marks.

    Returns x, y and half the size in pixels, shape (marks, 3).
    """
    found = [np.empty((0, 3))]
    for line in ax.get_lines():
        if not line.get_visible() or line.get_marker() in (None, "None", "", " "):
            continue
        places = ax.transData.transform(line.get_xydata())
        found.append(_sized(places, line.get_markersize() * pixels / 2))
        if line.get_linestyle() not in ("None", "", " ") and len(places):
            if line.get_drawstyle() == "steps-post":
                places = np.column_stack([np.repeat(places[:, 0], 2)[1:], np.repeat(places[:, 1], 2)[:-1]])
            found += [_sized(np.linspace(a, b, max(2, int(np.hypot(*(b - a)) / _EVERY_PIXELS)), endpoint=False), 1.0)
                      for a, b in pairwise(places) if np.isfinite([a, b]).all()]  # fmt: skip
    return np.concatenate(found)


def _sized(places: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    return np.column_stack([places, np.full(len(places), half)])


def _covered(box: Bbox, marks: NDArray[np.float64]) -> int:
    """How many marks lie below a text."""
    across = (box.x0 - marks[:, 2] < marks[:, 0]) & (marks[:, 0] < box.x1 + marks[:, 2])
    up = (box.y0 - marks[:, 2] < marks[:, 1]) & (marks[:, 1] < box.y1 + marks[:, 2])
    return int((across & up).sum())


def _move(note: Any, offset: tuple[float, float]) -> None:
    note.set(ha="left", va="bottom", visible=True)
    note.set_anncoords("offset points")
    note.set_position(offset)
