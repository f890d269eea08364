"""Pictures to a network's input tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lmos_opt.data import data_dir
from lmos_opt.errors import InputError
from lmos_opt.plan import PlannedNetwork
from lmos_opt.preprocessing import Preprocessing, takes_pictures
from lmos_opt.profile import TensorSpec
from lmos_opt.tensors import only_input
from lmos_opt.units import counted
from measurement.networks.pictures import read_picture
from measurement.networks.preprocessing import preparing, preprocessing_of
from runner.wire.tensors import DTYPES

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Skipped:
    """A file that is no picture that can be used, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Images:
    """Input tensors by number: `names[k]` is where the k-th comes from, `load(k)` makes it, `what` says it all.

    `preprocessing` is how pictures became tensors, `skipped` which files are left out; None and none where there are no pictures.
    """

    what: str
    names: Sequence[str]
    load: Callable[[int], Tensor]
    preprocessing: Preprocessing | None = None
    skipped: tuple[Skipped, ...] = ()

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


def find_images(network: PlannedNetwork, folder: Path | None, most: int | None = None, *, skip_bad: bool = False) -> Images:
    """The first `most` pictures of a folder, or of the bundled ones; seeded random tensors where none would fit.

    Each is read once before it is needed: a broken one is an InputError now and not in the middle of a run, or left out where
    `skip_bad`. InputError also where the folder has no picture, or the network takes no pictures.
    """
    if not takes_pictures(only_input(network).shape, only_input(network).dtype):
        if folder is not None:
            raise InputError(str(folder), f"{network.name} takes {_shape(only_input(network))}, not pictures")
        return _random(network)
    picture = only_input(network)
    files, skipped = _usable(picture_files(folder if folder is not None else data_dir() / "pictures"), most, skip_bad)
    if not files:
        raise InputError(str(folder), f"has no picture that can be read; the first, {skipped[0].file}: {skipped[0].reason}")
    how = network.preprocessing or preprocessing_of(network.builder, network.weights, picture.shape, picture.dtype)
    prepare = preparing(how)
    what = f"{counted(len(files), 'picture')} of {folder}" if folder is not None else f"{counted(len(files), 'bundled picture')}"
    if skipped:
        what += f", {len(skipped)} skipped"
    return Images(what, [file.name for file in files], lambda k: prepare(read_picture(files[k])), how, tuple(skipped))


def _usable(files: Sequence[Path], most: int | None, skip_bad: bool) -> tuple[list[Path], list[Skipped]]:
    """The first `most` that can be read, and those before them that cannot."""
    found: list[Path] = []
    skipped = []
    for file in files:
        if most is not None and len(found) == most:
            break
        try:
            read_picture(file)
        except InputError as error:
            if not skip_bad:
                raise
            skipped.append(Skipped(file.name, error.reason))
        else:
            found.append(file)
    return found, skipped


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder, by name; InputError where there is no folder, or none in it."""
    if not folder.is_dir():
        raise InputError(str(folder), "is not a folder" if folder.exists() else "no such folder")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InputError(str(folder), f"has no pictures ({', '.join(sorted(SUFFIXES))})")
    return files


def _random(network: PlannedNetwork) -> Images:
    spec = only_input(network)
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
