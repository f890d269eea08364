"""The results in the outputs of the first images, for the report. They are read outside all measured times."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_leaves

from lmos_opt.plan import PlannedNetwork, picture_or_first
from lmos_opt.preprocessing import Preprocessing, picture_layout
from measurement.networks.conventions import conventions_for
from measurement.networks.labels import names_of
from measurement.networks.preprocessing import pixels_of
from measurement.tracing.calls import ByParameter
from runner import tasks
from runner.images import Images
from runner.watching.report import MOST_SHOWN, ImageResult, ShownPicture

MOST_READ = 1000
"""The most images whose outputs are read."""
MOST_COMPARED_BYTES = 64 * 2**20
"""The most bytes of vectors that are compared with each other."""
SIDE = 320
"""Pixels of a shown picture's longer side, at most."""
_FAILURES = (RuntimeError, ValueError, IndexError, ArithmeticError, TypeError)
"""Errors of torch if outputs are not what their names say."""


class Look:
    """Looks at what goes through: `shown` pictures are kept as the network saw them, the outputs of MOST_READ images are read."""

    def __init__(self, network: PlannedNetwork, preprocessing: Preprocessing | None, shown: int) -> None:
        """`preprocessing` says how pictures become the network's input; None: as known for the network."""
        known = conventions_for(network)
        self._task = None if known.task is None else tasks.get(known.task)
        self._how: Preprocessing | None = preprocessing or known.preprocessing
        self._most = min(shown, MOST_SHOWN)
        layout = picture_layout(picture_or_first(network).shape)
        self._context = tasks.Context(names_of(known.labels), layout and layout[2])
        self._thumbnails: dict[str, str] = {}
        self._read: dict[str, tasks.Result] = {}
        self._vectors: dict[str, Tensor] = {}
        self._count = 0

    def at(self, pictures: Images) -> Images:
        """The same images. Each is passed to `see` when it is loaded."""

        def load(k: int) -> Tensor | ByParameter:
            self.see(pictures.names[k], image := pictures.load(k))
            return image

        return replace(pictures, load=load)

    def see(self, file: str, image: Tensor | ByParameter) -> None:
        """Keep the image, smaller, if it is a picture and one of the first."""
        wanted = file not in self._read and (file in self._thumbnails or len(self._thumbnails) < self._most)
        how = self._how
        if wanted and how is not None:
            picture = next((one for one in _tensors_of(image) if one.shape == how.shape), None)
            if picture is not None:
                self._thumbnails[file] = _thumbnail(picture, how)

    @property
    def shown(self) -> list[ShownPicture]:
        """The pictures that were kept and whose outputs were read."""
        kept = list(self._thumbnails.items())
        return [ShownPicture(file=file, picture=picture) for file, picture in kept if file in self._read]

    def __call__(self, result: ImageResult, outputs: Mapping[str, Tensor]) -> ImageResult:
        """The result with what the network's task reads of the outputs."""
        self._count += 1
        if self._count > MOST_READ:
            return result
        if self._task is None:
            self._task = tasks.recognised(outputs)
        is_drawn = result.file in self._thumbnails or len(self._read) < self._most
        context = replace(self._context, is_drawn=is_drawn and result.file not in self._read)
        try:
            with torch.inference_mode():
                found = self._task.read(outputs, context) or tasks.get("tensors").read(outputs, context)
                vector = self._task.vector(outputs)
        except _FAILURES:
            return result
        if found is None:
            return result
        self._read.setdefault(result.file, found)
        held = sum(one.nbytes for one in self._vectors.values())
        if vector is not None and result.file not in self._vectors and held + vector.nbytes <= MOST_COMPARED_BYTES:
            self._vectors[result.file] = vector.clone()
        changes: dict[str, object] = {"result": found}
        if found.task != "classes":
            changes |= {"class_": None, "class_name": None, "returns": found.in_words}
        return result.model_copy(update=changes)

    def compared(self, results: Sequence[ImageResult]) -> list[ImageResult]:
        """The results with the nearest images of each, where the task has vectors."""
        near = self._neighbours()
        if not near or self._task is None:
            return list(results)
        task = self._task
        return [one if one.result is None or one.file not in near else
                one.model_copy(update={"result": task.beside(one.result, near[one.file])}) for one in results]  # fmt: skip

    def _neighbours(self, most: int = 8) -> dict[str, list[tuple[str, float]]]:
        """For each image the nearest others by cosine, the nearest first."""
        files = list(self._vectors)
        if len(files) < 2 or len({len(vector) for vector in self._vectors.values()}) != 1:
            return {}
        unit = torch.nn.functional.normalize(torch.stack(list(self._vectors.values())), dim=1)
        cosines = (unit @ unit.T).fill_diagonal_(-2)
        best = cosines.topk(min(most, len(files) - 1), dim=1)
        return {file: [(files[j], value) for value, j in zip(values, others, strict=True)]
                for file, values, others in zip(files, best.values.tolist(), best.indices.tolist(), strict=True)}  # fmt: skip


def _tensors_of(image: Tensor | ByParameter) -> list[Tensor]:
    """What the network is called with: a picture may stand in a list, as detectors take it, or beside other inputs."""
    return [leaf for leaf in tree_leaves(dict(image) if isinstance(image, dict) else image) if isinstance(leaf, Tensor)]


def _thumbnail(image: Tensor, how: Preprocessing) -> str:
    pixels = pixels_of(image, how).permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return b64encode(stream.getvalue()).decode()
