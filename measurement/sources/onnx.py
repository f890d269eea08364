"""`onnx:FILE`: a network as an ONNX file holds it, with its own weights. Both sides of a split compute it by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from lmos_opt.errors import InputError
from measurement.onnx_files.reading import check_file, inputs_of, read_onnx
from measurement.sources import Example, Source, indices, numbers

WEIGHTS = "initializers"
"""`onnx:initializers` are the weights in the file."""


class Onnx(Source):
    """Files whose shapes are numbers, but for the batch, which is 1."""

    needs: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    extra: ClassVar[str] = "export"
    pattern: ClassVar[str] = r"[^\x00-\x1f]+"

    def check(self, name: str) -> None:
        """InputError if there is no such file. What it holds is not looked at."""
        super().check(name)
        check_file(Path(name))

    def build(self, name: str) -> nn.Module:
        """InputError: a network of ONNX has the weights in its file."""
        raise InputError(f"onnx:{name}", f"has its weights in the file; expected --weights onnx:{WEIGHTS}, or none")

    def trained(self, name: str, value: str, weights: str, mapped: bool) -> tuple[nn.Module, Path | None]:
        """The network, with its weights in memory. InputError for other weights than those in the file."""
        del mapped
        if value != WEIGHTS:
            raise InputError(weights, f"there are no such weights; onnx:{WEIGHTS} are those in the file")
        return read_onnx(Path(name)), None

    def stands_for(self, allowed: str, name: str) -> bool:
        """Whether both are files of the same name, in any place."""
        return Path(allowed).name == Path(name).name

    def usual_weights(self, name: str) -> str | None:
        """The weights in the file."""
        return f"onnx:{WEIGHTS}"

    def example(self, name: str, module: nn.Module) -> Example:
        """Seeded numbers for each input; of whole numbers 0 and 1, since a file does not say their range."""
        del name
        found: dict[str, Tensor] = {}
        for key, value in inputs_of(module).items():
            whole = not value.dtype.is_floating_point
            found[key] = (indices(*value.shape, below=2) if whole else numbers(*value.shape)).to(value.dtype)
        return next(iter(found.values())) if len(found) == 1 else found


SOURCE = Onnx()
