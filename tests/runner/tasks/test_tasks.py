"""What networks' outputs are, and what is read of them: small, finite and safe whatever they hold."""

from __future__ import annotations

import io
import json
from base64 import b64decode

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lmos_opt import InputError
from lmos_opt.errors import InvalidError
from runner import tasks
from runner.tasks import Context
from runner.tasks.boxes import MOST, Boxes
from runner.tasks.classes import Classes
from runner.tasks.embedding import Embedding
from runner.tasks.masks import Masks
from runner.tasks.tensors import Tensors

NAMES = ("nothing", "cat", "dog")
SEVERAL = {"output.0.boxes": torch.tensor([[10.0, 20, 30, 40], [0, 0, 50, 100]]), "output.0.labels": torch.tensor([1, 2]),
           "output.0.scores": torch.tensor([0.4, 0.9])}  # fmt: skip
DETR = {"output.logits": torch.tensor([[[9.0, 0, 0], [0, 0, 9]]]),
        "output.pred_boxes": torch.tensor([[[0.5, 0.5, 0.2, 0.4], [0.1] * 4]])}  # fmt: skip
MAP = {"output.out": torch.nn.functional.one_hot(torch.tensor([[0, 1, 1, 2]] * 4), 3).permute(2, 0, 1)[None].float(),
       "output.aux": torch.zeros(1, 3, 4, 4)}  # fmt: skip


def read(outputs: dict[str, Tensor], task: str | None = None, size: tuple[int, int] = (100, 50)) -> tasks.Result:
    chosen = tasks.recognised(outputs) if task is None else tasks.get(task)
    found = chosen.read(outputs, Context(NAMES, size))
    assert found is not None
    assert tasks.parse(json.loads(found.model_dump_json())) == found
    return found


@pytest.mark.parametrize(("outputs", "task"), [
    (SEVERAL, "boxes"), (DETR, "boxes"), (MAP, "masks"), ({"output": torch.zeros(1, 1000)}, "classes"),
    ({"output.logits": torch.zeros(1, 2), "output.aux": torch.zeros(1, 3)}, "classes"),
    ({"output.logits": torch.zeros(1, 21, 8, 8)}, "masks"),
    ({"output.pooler_output": torch.zeros(1, 8), "output.last_hidden_state": torch.zeros(1, 4, 8)}, "embedding"),
    ({"output": torch.zeros(1, 3, 8, 8)}, "tensors"), ({}, "tensors"), ({"output": torch.tensor(1)}, "tensors"),
])  # fmt: skip
def test_outputs_are_recognised_by_their_paths_and_shapes(outputs: dict[str, Tensor], task: str) -> None:
    assert read(outputs).task == task


def test_boxes_are_the_surest_first_in_shares_of_the_picture() -> None:
    found = read(SEVERAL)
    assert isinstance(found, Boxes)
    assert [(box.name, round(box.score, 3), box.corners) for box in found.boxes] == [("dog", 0.9, (0, 0, 50, 100)),
                                                                                     ("cat", 0.4, (10, 20, 30, 40))]  # fmt: skip
    assert found.in_words == "2 boxes: 1 dog"
    last = found.frames[-1]
    assert (last.x, last.y, last.width, last.height, last.caption) == (0, 0, 1, 1, "dog 90 %")
    assert [round(value, 3) for value in (found.frames[0].x, found.frames[0].y)] == [0.2, 0.2]


def test_boxes_of_transformers_are_centres_in_shares_and_the_last_class_is_nothing() -> None:
    found = read(DETR)
    assert isinstance(found, Boxes)
    assert found.boxes[0].index == 0
    assert [round(value, 3) for value in found.boxes[0].corners] == [20, 30, 30, 70]
    assert found.boxes[1].score < 0.01


def test_hostile_boxes_are_few_and_finite() -> None:
    n = 10**6
    boxes = torch.full((n, 4), float("nan"))
    boxes[: n // 2] = torch.tensor([-1e30, -5.0, 1e30, float(3)])
    found = read({"output.boxes": boxes, "output.labels": torch.full((n,), -7), "output.scores": torch.linspace(0, 1e20, n)})
    assert isinstance(found, Boxes)
    assert (found.count, found.broken, len(found.boxes)) == (n, n // 2, MOST)
    assert len(found.model_dump_json()) < 20_000
    assert all(0 <= frame.x <= 1 and 0 < frame.width <= 1 and 0 < frame.height <= 1 for frame in found.frames)
    empty = read({"output.boxes": torch.zeros(0, 4), "output.labels": torch.zeros(0), "output.scores": torch.zeros(0)})
    assert empty.in_words == "no box"


def test_masks_say_shares_and_where() -> None:
    found = read(MAP)
    assert isinstance(found, Masks)
    assert [(one.name, one.share) for one in found.regions] == [("cat", 0.5), ("nothing", 0.25), ("dog", 0.25)]
    assert found.mask is not None
    picture = np.asarray(Image.open(io.BytesIO(b64decode(found.mask))).convert("RGBA"))
    assert picture.shape == (4, 4, 4)
    assert picture[0, :, 3].tolist() == [0, 255, 255, 255]  # nothing is transparent
    assert picture[0, 1].tolist() != picture[0, 3].tolist()
    entries = {entry.what: entry.colour for entry in found.entries}
    assert f"#{picture[0, 1, :3].tobytes().hex()}" == entries["cat"]
    assert entries["nothing"] is None


def test_a_large_mask_of_many_classes_stays_small() -> None:
    noise = torch.randn(1, 150, 600, 500, generator=torch.Generator().manual_seed(0))
    found = read({"output.out": noise.masked_fill_(noise > 3, float("nan"))})
    assert isinstance(found, Masks)
    assert len(found.regions) == 16
    assert len(found.model_dump_json()) < 60_000
    one = read({"output": torch.tensor([[[[1.0, -1.0]]]])}, "masks")
    assert isinstance(one, Masks)
    assert [region.index for region in one.regions] == [0, 1]


def test_classes_are_the_five_likeliest() -> None:
    found = read({"output": torch.tensor([[0.0, 2.0, 1.0]])})
    assert isinstance(found, Classes)
    assert [one.name for one in found.top] == ["cat", "dog", "nothing"]
    assert sum(one.share for one in found.top) == pytest.approx(1)
    odd = read({"output": torch.tensor([[float("nan"), float("-inf"), 1, float("inf"), 0, 2, 3]])})
    assert isinstance(odd, Classes)
    assert (odd.top[0].index, odd.top[0].name, len(odd.top)) == (3, "class 3", 5)


def test_an_embedding_has_a_norm_and_neighbours() -> None:
    task = tasks.get("embedding")
    found = read({"output": torch.tensor([[3.0, 4.0]])}, "embedding")
    assert isinstance(found, Embedding)
    assert (found.length, found.norm) == (2, 5)
    near = task.beside(found, [("a.png", 0.9), ("b.png", float("nan")), ("c.png", 0.1), ("d.png", 0.0)])
    assert isinstance(near, Embedding)
    assert [(one.file, one.cosine) for one in near.nearest] == [("a.png", 0.9), ("b.png", 0), ("c.png", 0.1)]
    assert task.read({"output": torch.zeros(2, 3)}, Context()) is None


def test_any_tensor_is_described() -> None:
    found = read({"output": torch.tensor([1.0, 3.0, float("inf"), float("nan")]), "output.none": torch.zeros(0, 3),
                  "output.whole": torch.tensor([2, 4]), "output.complex": torch.tensor([3 + 4j])}, "tensors")  # fmt: skip
    assert isinstance(found, Tensors)
    assert [one.in_words for one in found.tensors] == [
        "float32[4], 1 to 3, mean 2, deviation 1, 2 not finite", "float32[0, 3]", "int64[2], 2 to 4, mean 3, deviation 1",
        "complex64[1], 5 to 5, mean 5, deviation 0",
    ]  # fmt: skip
    many = read({f"output.{k}": torch.zeros(1) for k in range(900)}, "tensors")
    assert isinstance(many, Tensors)
    assert (many.count, len(many.tensors)) == (900, 12)


def test_an_unknown_task_and_a_wrong_result_are_refused() -> None:
    with pytest.raises(InputError, match=r"'maks' is not one of boxes, classes, embedding, masks, tensors; did you mean 'masks'"):
        tasks.get("maks")
    box = {"index": 0, "name": "a", "score": -1, "corners": [0] * 4}
    for wrong in ({"task": "nothing"}, [], {"task": "masks", "regions": [], "mask": "<script>"},
                  {"task": "boxes", "count": 1, "size": [1, 1], "boxes": [box]}):  # fmt: skip
        with pytest.raises(InvalidError):
            tasks.parse(wrong)
