"""A network's inputs: pictures of a folder, a video or a camera, arrays of a file, or random tensors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lmos_opt.data import data_dir
from lmos_opt.errors import InputError
from lmos_opt.plan import PlannedNetwork
from lmos_opt.preprocessing import Preprocessing, takes_pictures
from lmos_opt.units import counted
from measurement.networks.preprocessing import preparing, preprocessing_of
from measurement.pictures import read_picture
from measurement.pictures.folders import Skipped, picture_files, usable
from measurement.tracing.calls import ByParameter, given_by, random_input
from runner.images import arrays, video


@dataclass(frozen=True)
class Images:
    """The inputs of a run, by number: `names[k]` says where input k comes from, `load(k)` makes its tensor.

    `what` describes the inputs in words. `preprocessing` says how pictures become tensors (None: they are no pictures), `skipped`
    are the files that are left out.
    """

    what: str
    names: Sequence[str]
    load: Callable[[int], Tensor | ByParameter]
    preprocessing: Preprocessing | None = None
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def in_turn(self, n: int, ahead: bool = False) -> Generator[tuple[str, Tensor | ByParameter]]:
        """n inputs by name, from the start again after the last one. With `ahead`, a thread loads the next one meanwhile."""
        places = (k % len(self) for k in range(n))
        if not ahead:
            yield from ((self.names[k], self.load(k)) for k in places)
            return
        with ThreadPoolExecutor(1, "loading") as loader:
            coming: tuple[str, Future[Tensor | ByParameter]] | None = None
            for k in places:
                now, coming = coming, (self.names[k], loader.submit(self.load, k))
                if now is not None:
                    yield now[0], now[1].result()
            if coming is not None:
                yield coming[0], coming[1].result()


class Numbered(Sequence[str]):
    """Names of n items: what they are of, and the item's number."""

    def __init__(self, form: str, n: int) -> None:
        self._form, self._n = form, n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self._form.format(i) for i in range(self._n)[k]]
        return self._form.format(range(self._n)[k])


def find_images(network: PlannedNetwork, path: Path | None, most: int | None = None, *, skip_bad: bool = False) -> Images:
    """The first `most` inputs at a path, or the bundled pictures; seeded random tensors where none would fit.

    A path is a folder of pictures or one picture, a file of arrays (`runner.images.arrays`), a video file or `camera:N`
    (`runner.images.video`). Pictures are read once before they are needed: a broken one is an InputError now and not in the middle
    of a run, or left out where `skip_bad`. InputError also where there is nothing to read, or the network takes no pictures.
    """
    if path is not None and is_of_arrays(path):
        return _of_arrays(network, path, most)
    how, name = network.preprocessing, _picture(network)
    if name is None:
        if path is not None:
            raise InputError(str(path), f"{network.name} takes {_shapes(network)}, not pictures")
        return random_inputs(network)
    tensor = network.input_tensors[name]
    how = how or preprocessing_of(network.builder, network.weights, tensor.shape, tensor.dtype)
    others = {other: spec for other, spec in network.input_tensors.items() if other != name}
    pixels = preparing(how)

    def prepare(picture: Any) -> Tensor | ByParameter:
        return given_by(network, {name: pixels(picture), **{other: random_input(spec, 0) for other, spec in others.items()}})

    if path is not None and (video.is_camera(path) or (path.suffix.lower() in video.SUFFIXES and not path.is_dir())):
        return _of_video(path, most, how, prepare)
    files, skipped = usable(picture_files(path if path is not None else data_dir() / "pictures"), most, skip_bad)
    if not files:
        raise InputError(str(path), f"has no picture that can be read; the first, {skipped[0].file}: {skipped[0].reason}")
    what = f"{counted(len(files), 'picture')} of {path}" if path is not None else f"{counted(len(files), 'bundled picture')}"
    if skipped:
        what += f", {len(skipped)} skipped"
    return Images(what, [file.name for file in files], lambda k: prepare(read_picture(files[k])), how, tuple(skipped))


def is_of_arrays(path: Path) -> bool:
    """Whether a path names a file of arrays, not pictures: by its suffix."""
    return path.suffix.lower() in arrays.SUFFIXES and not path.is_dir()


def _of_arrays(network: PlannedNetwork, path: Path, most: int | None) -> Images:
    items = arrays.open_arrays(path, network.input_tensors)
    n = items.n if most is None else min(items.n, most)
    name = path.name.replace("{", "{{").replace("}", "}}")
    return Images(f"{counted(n, 'item')} of {path}", Numbered(f"{name}[{{}}]", n), lambda k: given_by(network, items.load(k)))


def _of_video(path: Path, most: int | None, how: Preprocessing, prepare: Callable[[Any], Tensor | ByParameter]) -> Images:
    if video.is_camera(path) and most is None:
        raise InputError(str(path), "never ends; say with -n how many frames to take")
    frames = video.Video(path)
    n = most if video.is_camera(path) and most is not None else frames.count(most)
    name = path.name.replace("{", "{{").replace("}", "}}")
    return Images(f"{counted(n, 'frame')} of {path}", Numbered(f"{name} frame {{}}", n), lambda k: prepare(frames.frame(k)), how)


def _picture(network: PlannedNetwork) -> str | None:
    """The input that pictures become, by its name: the one that the preprocessing makes, or the only one that may be a picture."""
    how = network.preprocessing
    made = None if how is None else (how.shape, how.dtype)
    found = [name for name, spec in network.input_tensors.items()
             if (takes_pictures(spec.shape, spec.dtype) if made is None else (spec.shape, spec.dtype) == made)]  # fmt: skip
    return found[0] if len(found) == 1 else None


def random_inputs(network: PlannedNetwork) -> Images:
    """Tensors that the network takes, seeded by their number."""

    def load(k: int) -> Tensor | ByParameter:
        return given_by(network, {name: random_input(spec, k) for name, spec in network.input_tensors.items()})

    return Images(f"random tensors, seeded by their number: the network takes {_shapes(network)}, not pictures",
                  [f"random:{k}" for k in range(8)], load)


def _shapes(network: PlannedNetwork) -> str:
    """In words: what the network takes."""
    alone = network.input is not None
    return ", ".join(f"{'' if alone else name + ' '}{'x'.join(map(str, spec.shape))} {spec.dtype}"
                     for name, spec in network.input_tensors.items())  # fmt: skip
