"""Pictures to a network's input tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from lmos_opt.data import data_dir
from lmos_opt.errors import InputError
from lmos_opt.plan import PlannedNetwork
from lmos_opt.profile import TensorSpec
from lmos_opt.units import counted
from measurement.preprocessing import preprocessing_for
from runner.tensors import DTYPES

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Images:
    """Input tensors by number: `names[k]` is where the k-th comes from, `load(k)` makes it, `what` says it all."""

    what: str
    names: Sequence[str]
    load: Callable[[int], Tensor]

    def __len__(self) -> int:
        return len(self.names)

    def in_turn(self, n: int, ahead: bool = False) -> Iterator[tuple[str, Tensor]]:
        """The first n of them, over and over, by name; if `ahead`, a thread loads the next one while this one is used."""
        places = (k % len(self) for k in range(n))
        if not ahead:
            yield from ((self.names[k], self.load(k)) for k in places)
            return
        with ThreadPoolExecutor(1, "loading") as loader:
            coming: tuple[str, Future[Tensor]] | None = None
            for k in places:
                now, coming = coming, (self.names[k], loader.submit(self.load, k))
                if now is not None:
                    yield now[0], now[1].result()
            if coming is not None:
                yield coming[0], coming[1].result()


def find_images(network: PlannedNetwork, folder: Path | None, most: int | None = None) -> Images:
    """The first `most` pictures of a folder, or of the bundled ones; seeded random tensors where none would fit.

    InputError where the folder has no picture, or one that cannot be read, or the network takes no pictures.
    """
    shape = network.input.shape
    if not (len(shape) == 4 and shape[0] == 1 and shape[1] in {1, 3} and network.input.dtype == "float32"):
        if folder is not None:
            raise InputError(str(folder), f"{network.name} takes {_shape(network.input)}, not pictures")
        return _random(network)
    files = picture_files(folder if folder is not None else data_dir() / "pictures")[:most]
    prepare = preprocessing_for(network.builder, network.weights, shape)
    for file in files:
        _check(file)
    what = f"{counted(len(files), 'picture')} of {folder}" if folder is not None else f"{counted(len(files), 'bundled picture')}"
    return Images(what, [file.name for file in files], lambda k: prepare(read_picture(files[k])))


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder, by name; InputError where there is no folder, or none in it."""
    if not folder.is_dir():
        raise InputError(str(folder), "is not a folder" if folder.exists() else "no such folder")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InputError(str(folder), f"has no pictures ({', '.join(sorted(SUFFIXES))})")
    return files


def read_picture(path: Path) -> Image.Image:
    """A picture with all its pixels in memory; InputError names a file that is none."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except UnidentifiedImageError:
        raise InputError(str(path), "is not a picture that can be read") from None
    except Image.DecompressionBombError:
        raise InputError(str(path), "is too large a picture") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise on broken files
        raise InputError(str(path), f"is not a picture that can be read: {error}") from None


def _check(path: Path) -> None:
    """Find a broken picture before the first inference, not in the middle of the run."""
    read_picture(path).close()


def _random(network: PlannedNetwork) -> Images:
    spec = network.input
    dtype = DTYPES[spec.dtype]

    def load(k: int) -> Tensor:
        generator = torch.Generator().manual_seed(k)
        if dtype.is_floating_point or dtype.is_complex:
            return torch.randn(spec.shape, dtype=dtype, generator=generator)
        return torch.randint(0, 2, spec.shape, dtype=dtype, generator=generator)

    return Images(f"random tensors, seeded by their number: the network takes {_shape(spec)}, not pictures",
                  [f"random:{k}" for k in range(8)], load)


def _shape(spec: TensorSpec) -> str:
    return f"{'x'.join(map(str, spec.shape))} {spec.dtype}"
