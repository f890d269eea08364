"""Weights by name: seeded, bundled, or from a file; what does not fit is reported by name."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file
from torch import nn

from lmos_opt.data import data_dir
from lmos_opt.errors import InputError, first_line

OF_A_SOURCE = ("torchvision", "hf", "onnx")
"""Kinds of weights that only networks of one source have, which is called so."""
KINDS = ("seeded", "bundled", "file", *OF_A_SOURCE)
LARGEST_SEED = 2**63 - 1
"""The largest seed that torch's own generator takes."""
_SHOWN = 3
"""How many keys an error names before it counts the rest."""


def parse_weights(weights: str) -> tuple[str, str]:
    """The kind (one of KINDS) and what follows its colon; InputError for anything else."""
    kind, _, value = weights.partition(":")
    if kind not in KINDS or not value:
        raise InputError(weights, "names no weights; expected seeded:N, bundled:NAME, torchvision:NAME, hf:safetensors, "
                                  "onnx:initializers or file:PATH")  # fmt: skip
    return kind, value


def seed_of(weights: str) -> int:
    """The N of `seeded:N`; 0 for other weights, which replace the initial ones. InputError if N is not a seed."""
    kind, value = parse_weights(weights)
    if kind != "seeded":
        return 0
    if not (value.isascii() and value.isdigit()) or len(value) > 19 or int(value) > LARGEST_SEED:
        raise InputError(weights, f"expected a whole number from 0 to {LARGEST_SEED} after 'seeded:'")
    return int(value)


def bundled_weights() -> list[str]:
    """Names of the weights that come with this package, sorted."""
    return sorted(path.stem for path in (data_dir() / "weights").glob("*.safetensors"))


def weights_path(weights: str) -> Path:
    """Where the state dict of `bundled:NAME` or `file:PATH` lies; InputError for a NAME that is not bundled."""
    kind, value = parse_weights(weights)
    if kind != "bundled":
        return Path(value)
    if value not in bundled_weights():
        raise InputError(weights, f"no such weights are bundled; bundled are {', '.join(bundled_weights())}")
    return data_dir() / "weights" / f"{value}.safetensors"


def read_state_dict(weights: str, *, mapped: bool = False) -> dict[str, torch.Tensor]:
    """The tensors of `bundled:NAME` or `file:PATH`, by key; InputError for a file that holds no state dict.

    Files ending in `.safetensors` are read as such, others by torch.load with weights_only: no code in a file runs.
    With `mapped`, tensors are views of the file, mapped into memory, where its format allows that.
    """
    path = weights_path(weights)
    if not path.is_file():
        raise InputError(weights, "is a folder" if path.is_dir() else "no such file here; --weights FILE names one")
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, torch.Tensor] = load_file(path)
            return tensors
        with warnings.catch_warnings():  # of what the line below says
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipfile.is_zipfile(path))
    except OSError as error:
        raise InputError(weights, (error.strerror or str(error)).lower()) from None
    except UnpicklingError:
        raise InputError(weights, "is not a readable state dict: it is damaged, or holds more than tensors; expected a file of "
                                  "torch.save(net.state_dict(), FILE), or .safetensors") from None
    except Exception as error:  # noqa: BLE001 - readers raise anything at a damaged file
        raise InputError(weights, f"is not a readable state dict: {first_line(error):.200}") from None
    if not isinstance(found, dict):
        raise InputError(weights, f"expected a state dict (names to tensors), found a {type(found).__name__}")
    others = [f"{key!r:.80}" for key, value in found.items() if not (isinstance(key, str) and isinstance(value, torch.Tensor))]
    if others:
        raise InputError(weights, f"expected a state dict (names to tensors), but no tensor is under {_some(others)}")
    hollow = [key for key, value in found.items() if value.layout is not torch.strided or value.is_meta or value.is_nested]
    if hollow:
        raise InputError(weights, f"expected tensors with all their numbers; sparse, nested or empty (meta) are {_some(hollow)}")
    return found


def load_weights(module: nn.Module, weights: str, *, mapped: bool = False) -> None:
    """Put the tensors of `bundled:NAME` or `file:PATH` into `module`; with `mapped`, make them its own, uncopied.

    InputError names the keys that are missing, unexpected, or of another shape; the module is untouched then.
    """
    found, wanted = read_state_dict(weights, mapped=mapped), module.state_dict()
    reshaped = [
        f"{key} (file {_shape(found[key])}, network {_shape(wanted[key])})"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    problems = [
        f"{what} {_some(keys)}"
        for what, keys in (
            ("missing", [key for key in wanted if key not in found]),
            ("unexpected", [key for key in found if key not in wanted]),
            ("of another shape", reshaped),
        )
        if keys
    ]
    if problems:
        raise InputError(weights, f"does not fit the network: {'; '.join(problems)}")
    if mapped:
        module.load_state_dict({key: found[key].to(wanted[key].dtype) for key in wanted}, assign=True)
    else:
        module.load_state_dict(found)


def _some(keys: list[str]) -> str:
    hidden = len(keys) - _SHOWN
    return ", ".join(keys[:_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
