"""`boxes`: objects in a picture, from detectors of torchvision (`boxes`, `labels`, `scores`) or of transformers (`pred_boxes`,
`logits`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lmos_opt.files import Amount, Count, Number, Record, Text
from runner.tasks import COLOURS, Context, Entry, Frame, Result, Task, finite

if TYPE_CHECKING:
    from torch import Tensor

MOST = 50
"""The most boxes that are kept of an image: those with the highest scores."""
DRAWN = 20
DRAWN_FEW = 5
"""Whether they are sure or not."""
SURE = 0.5


class Box(Record):
    """What is where: a class, its name, how sure that is, and two corners (x, y, x, y) in the picture's pixels."""

    index: Count
    name: Text
    score: Amount
    corners: tuple[Number, Number, Number, Number]


class Boxes(Result):
    """The surest boxes, the surest first; `count` is how many there were, `broken` those left out for numbers that are none, `size`
    the height and width that corners count in."""

    task: Literal["boxes"] = "boxes"
    count: Count
    broken: Count = 0
    size: tuple[Count, Count]
    boxes: Annotated[tuple[Box, ...], Field(max_length=MOST)]

    @property
    def in_words(self) -> str:
        """How many, and what the surest are."""
        sure = [box.name for box in self.boxes if box.score >= SURE]
        kinds = ", ".join(f"{sure.count(name)} {name}" for name in dict.fromkeys(sure)) if sure else f"none surer than {SURE}"
        return f"{self.count} {'box' if self.count == 1 else 'boxes'}: {kinds}" if self.count else "no box"

    @property
    def entries(self) -> Sequence[Entry]:
        """Those that are drawn, and what is said of the others."""
        found = [Entry(box.name, f"{100 * box.score:.0f} %", self._colour(box)) for box in self._drawn]
        rest = self.count - len(found)
        return [*found, *([Entry("not drawn", str(rest))] if rest > 0 else []),
                *([Entry("without numbers", str(self.broken))] if self.broken else [])]  # fmt: skip

    @property
    def frames(self) -> Sequence[Frame]:
        """The surest, the surest on top, kept within the picture."""
        return [frame for box in reversed(self._drawn) if (frame := self._frame(box)) is not None]

    @property
    def _drawn(self) -> Sequence[Box]:
        """The sure ones, and others while they are few."""
        sure = sum(box.score >= SURE for box in self.boxes[:DRAWN])
        return self.boxes[: max(sure, DRAWN_FEW)]

    def _frame(self, box: Box) -> Frame | None:
        high, wide = (max(side, 1) for side in self.size)
        x0, x1 = sorted(min(max(x / wide, 0.0), 1.0) for x in box.corners[::2])
        y0, y1 = sorted(min(max(y / high, 0.0), 1.0) for y in box.corners[1::2])
        if x0 == x1 or y0 == y1:
            return None
        return Frame(x0, y0, x1 - x0, y1 - y0, f"{box.name} {100 * box.score:.0f} %", self._colour(box))

    @staticmethod
    def _colour(box: Box) -> str:
        return COLOURS[box.index % len(COLOURS)]


class BoxesTask(Task):
    """Outputs with boxes, labels and scores beside each other, or with `pred_boxes` and `logits`."""

    rank = 10
    result = Boxes

    def recognises(self, outputs: Mapping[str, Tensor]) -> bool:
        """Whether there are such."""
        return _torchvisions(outputs) is not None or _transformers(outputs) is not None

    def read(self, outputs: Mapping[str, Tensor], context: Context) -> Boxes | None:
        """The surest boxes of the first picture of the batch."""
        import torch

        size = context.size or (1, 1)
        found = _torchvisions(outputs)
        if found is None:
            theirs = _transformers(outputs)
            if theirs is None:
                return None
            found = _corners(*theirs, size)
        boxes, labels, scores = found
        boxes, scores = boxes.double(), scores.double()
        fine = boxes.isfinite().all(1) & scores.isfinite()
        n, broken = int(boxes.shape[0]), int((~fine).sum())
        boxes, labels, scores = boxes[fine], labels[fine], scores[fine]
        best = torch.topk(scores, min(MOST, len(scores))).indices
        kept = []
        for k in best.tolist():
            label = max(int(labels[k]), 0)
            x0, y0, x1, y1 = (finite(float(value)) for value in boxes[k])
            kept.append(Box(index=min(label, 2**53), name=context.name(label), score=max(finite(float(scores[k])), 0.0),
                            corners=(x0, y0, x1, y1)))  # fmt: skip
        return Boxes(count=n, broken=broken, size=size, boxes=tuple(kept))


def _torchvisions(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor] | None:
    for path, boxes in outputs.items():
        place, _, last = path.rpartition(".")
        labels, scores = outputs.get(f"{place}.labels"), outputs.get(f"{place}.scores")
        if last != "boxes" or labels is None or scores is None or boxes.dim() != 2 or boxes.shape[1] != 4:
            continue
        are_numbers = boxes.is_floating_point() and scores.is_floating_point() and not labels.is_complex()
        if are_numbers and labels.shape == scores.shape == boxes.shape[:1]:
            return boxes, labels, scores
    return None


def _transformers(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
    boxes, logits = outputs.get("output.pred_boxes"), outputs.get("output.logits")
    if boxes is None or logits is None or boxes.dim() != 3 or logits.dim() != 3 or boxes.shape[2] != 4:
        return None
    fits = boxes.shape[:2] == logits.shape[:2] and boxes.shape[0] > 0 and logits.shape[2] > 1
    return (boxes, logits) if fits and boxes.is_floating_point() and logits.is_floating_point() else None


def _corners(boxes: Tensor, logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Centres, widths and heights in shares of the picture to corners in pixels; the last class means that there is nothing."""
    high, wide = size
    scores, labels = logits[0].double().softmax(-1)[:, :-1].max(-1)
    x, y, w, h = boxes[0].double().unbind(-1)
    corners = ((x - w / 2) * wide, (y - h / 2) * high, (x + w / 2) * wide, (y + h / 2) * high)
    return boxes.new_tensor([part.tolist() for part in corners]).double().T, labels, scores


TASK = BoxesTask()
