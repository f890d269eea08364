"""What the network made of the first images: each a picture with boxes or a mask on it, and lines beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.tasks import Entry, Frame

if TYPE_CHECKING:
    from runner.watching.report import ImageResult, RunReport

FEWEST = 12
"""Images that are shown where the report keeps no more pictures."""
MOST_LETTERS = 60
MOST_ENTRIES = 12
MOST_BYTES = 4 * 2**20
"""Of pictures and masks together, as base64."""
_SIDE = 320


@dataclass(frozen=True)
class Seen:
    """An image: its name, what was made of it in words, width and height on the page, and what is drawn; pictures are base64."""

    file: str
    words: str
    width: int
    height: int
    picture: str | None
    overlay: str | None
    frames: Sequence[Frame]
    entries: Sequence[Entry]

    @property
    def is_drawn(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.picture or self.overlay or self.frames)


def seen_of(report: RunReport) -> list[Seen]:
    """The first images whose outputs were read, each file once; none in reports of earlier versions."""
    pictures = {shown.file: shown.picture for shown in report.shown}
    firsts: dict[str, ImageResult] = {}
    for image in report.per_image:
        if image.result is not None:
            firsts.setdefault(image.file, image)
    chosen = sorted(firsts.values(), key=lambda image: image.file not in pictures)[: max(len(pictures), FEWEST)]
    width, height = _size(report)
    found, held = [], 0
    for image in chosen:
        assert image.result is not None
        picture, overlay = pictures.get(image.file), image.result.overlay
        held += len(picture or "") + len(overlay or "")
        if held > MOST_BYTES:
            break
        frames = [Frame(f.x * width, f.y * height, f.width * width, f.height * height, _short(f.caption), f.colour)
                  for f in image.result.frames]  # fmt: skip
        entries = [Entry(_short(e.what), _short(e.value, 2), e.colour) for e in image.result.entries[:MOST_ENTRIES]]
        found.append(Seen(_short(Path(image.file).name), _short(image.result.in_words, 3), width, height, picture, overlay, frames,
                          entries))  # fmt: skip
    return found


def _size(report: RunReport) -> tuple[int, int]:
    """Width and height of a picture on the page."""
    network = report.plan.network
    how = report.environment.preprocessing or (network.preprocessing if network is not None else None)
    high, wide = how.crop if how is not None else (1, 1)
    most = max(high, wide)
    return max(_SIDE * wide // most, 1), max(_SIDE * high // most, 1)


def _short(text: str, times: int = 1) -> str:
    most = MOST_LETTERS * times
    return text if len(text) <= most else text[: most - 1] + "…"
