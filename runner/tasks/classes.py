"""`classes`: how likely each class is, by one tensor of (batch, classes) logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lmos_opt.files import Amount, Count, Record, Text
from runner.tasks import Context, Entry, Result, Task

if TYPE_CHECKING:
    from torch import Tensor

MOST = 5


class Likely(Record):
    """A class, its name, and its share among all by softmax."""

    index: Count
    name: Text
    share: Amount


class Classes(Result):
    """The likeliest classes, the likeliest first."""

    task: Literal["classes"] = "classes"
    top: Annotated[tuple[Likely, ...], Field(max_length=MOST)]

    @property
    def in_words(self) -> str:
        """The likeliest."""
        return self.top[0].name if self.top else ""

    @property
    def entries(self) -> Sequence[Entry]:
        """Each with its share."""
        return [Entry(one.name, f"{100 * one.share:.1f} %") for one in self.top]


class ClassesTask(Task):
    """Outputs of which one tensor has two dimensions, or is called `logits` and has."""

    rank = 40
    result = Classes

    def recognises(self, outputs: Mapping[str, Tensor]) -> bool:
        """Whether there is a tensor that says the classes."""
        from runner.parts.network import logits_of

        return logits_of(outputs) is not None

    def read(self, outputs: Mapping[str, Tensor], context: Context) -> Classes | None:
        """The likeliest classes; NaNs count as the least likely."""
        from runner.parts.network import logits_of

        logits = logits_of(outputs)
        if logits is None:
            return None
        values = (logits.abs() if logits.is_complex() else logits).flatten().double().nan_to_num(-1e300, 1e300, -1e300)
        shares, found = values.softmax(0).topk(min(MOST, values.numel()))
        names = context.name if len(context.names) == values.numel() else Context().name
        return Classes(top=tuple(Likely(index=int(k), name=names(int(k)), share=float(share))
                                 for share, k in zip(shares, found, strict=True)))  # fmt: skip


TASK = ClassesTask()
