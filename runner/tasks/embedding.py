"""`embedding`: a vector for an image. Similar images have vectors that are near each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lmos_opt.files import Amount, Count, Number, Record, Text
from runner.tasks import Context, Entry, Result, Task, finite

if TYPE_CHECKING:
    from torch import Tensor

NEAREST = 3
_PATHS = tuple(f"output.{name}" for name in ("image_embeds", "text_embeds", "pooler_output", "embedding", "embeddings"))


class Neighbour(Record):
    """Another image of the run, and the cosine of the angle between the two vectors."""

    file: Text
    cosine: Number


class Embedding(Result):
    """A vector's length and its Euclidean norm, and the nearest images of the run, if there are others."""

    task: Literal["embedding"] = "embedding"
    length: Count
    norm: Amount
    nearest: Annotated[tuple[Neighbour, ...], Field(max_length=NEAREST)] = ()

    @property
    def in_words(self) -> str:
        """Length and norm, and the nearest image."""
        near = f", nearest to {self.nearest[0].file}" if self.nearest else ""
        return f"{self.length} numbers, norm {self.norm:.4g}{near}"

    @property
    def entries(self) -> Sequence[Entry]:
        """Norm and neighbours."""
        return [Entry("numbers", str(self.length)), Entry("norm", f"{self.norm:.4g}"),
                *(Entry(f"near {one.file}", f"cosine {one.cosine:.3f}") for one in self.nearest)]  # fmt: skip


class EmbeddingTask(Task):
    """Outputs that are called as embeddings are."""

    rank = 30
    result = Embedding

    def recognises(self, outputs: Mapping[str, Tensor]) -> bool:
        """Whether there is a vector of such a name, and no logits."""
        return "output.logits" not in outputs and any(path in outputs for path in _PATHS) and self.vector(outputs) is not None

    def vector(self, outputs: Mapping[str, Tensor]) -> Tensor | None:
        """The vector; of other names the first tensor that is one."""
        for path in (*_PATHS, *outputs):
            tensor = outputs.get(path)
            if tensor is not None and tensor.is_floating_point() and tensor.numel() and tensor.numel() == max(tensor.shape):
                return tensor.flatten().float().nan_to_num()
        return None

    def read(self, outputs: Mapping[str, Tensor], context: Context) -> Embedding | None:
        """Its length and norm."""
        del context
        vector = self.vector(outputs)
        return None if vector is None else Embedding(length=vector.numel(), norm=finite(float(vector.double().norm())))

    def beside(self, result: Embedding, neighbours: Sequence[tuple[str, float]]) -> Embedding:
        """With the nearest images."""
        near = tuple(Neighbour(file=file, cosine=finite(cosine)) for file, cosine in neighbours[:NEAREST])
        return result.model_copy(update={"nearest": near})


TASK = EmbeddingTask()
