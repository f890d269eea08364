"""`hf:DIRECTORY`: a network of transformers as a folder describes it: its config.json, and weights in safetensors if there are any.

Nothing is downloaded, and no code of the folder is run: neither modules beside the configuration nor pickles.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line
from lmos_opt.files import read_json
from lmos_opt.preprocessing import Conventions
from lmos_opt.preprocessing.configurations import of_transformers
from lmos_opt.profile import TensorSpec
from lmos_opt.units import whole_of
from measurement.sources import Example, Source, indices, numbers

WEIGHTS = "safetensors"
"""`hf:safetensors` are the weights that lie in the folder."""
_TOKENS = 32
"""The number of tokens of an example; fewer if the network takes fewer."""
_SAMPLES = 16_000
"""In an example of sound: a second."""
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_SHOWN = 3
_NO_CACHE = "its cache, the text so far (past_key_values), is switched off: each call reads the whole text"
_TASKS = {"ForObjectDetection": "boxes", "ForSemanticSegmentation": "masks", "ForImageClassification": "classes",
          "ForSequenceClassification": "classes"}
"""By how the class of a network ends."""


class Transformers(Source):
    """The class is the one that the configuration names under `architectures`, else what its kind has without a head."""

    needs: ClassVar[tuple[str, ...]] = ("transformers",)
    extra: ClassVar[str] = "hf"
    pattern: ClassVar[str] = r"[^\x00-\x1f]+"

    def check(self, name: str) -> None:
        """InputError if the folder has no configuration of a network that transformers knows."""
        super().check(name)
        _as_written(name)

    def build(self, name: str) -> nn.Module:
        """The network with initial weights, drawn in the configuration's order."""
        configuration = _configuration(name)
        kind = _class_of(name, configuration)
        with _saying(name):
            module: nn.Module = kind._from_config(configuration, attn_implementation=_attention(kind))
        return module

    def trained(self, name: str, value: str, weights: str, mapped: bool) -> tuple[nn.Module, Path | None]:
        """The network with the weights beside its configuration; InputError if they do not fit."""
        del mapped
        if value != WEIGHTS or not _has_weights(name):
            raise InputError(weights, f"there are no such weights; hf:{WEIGHTS} are those of *.safetensors in {name}")
        configuration = _configuration(name)
        kind = _class_of(name, configuration)
        with _saying(name):
            module, found = kind.from_pretrained(
                name, config=configuration, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                attn_implementation=_attention(kind), output_loading_info=True,
            )  # fmt: skip
        missing = [*found.get("missing_keys", ()), *(key for key, *_ in found.get("mismatched_keys", ()))]
        if missing:
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            raise InputError(f"hf:{name}", f"its weights lack {', '.join(sorted(missing)[:_SHOWN])}{more}, which "
                                           f"{kind.__name__} has; name another class under 'architectures', or take seeded:0")
        return module, None

    def stands_for(self, allowed: str, name: str) -> bool:
        """Whether both are folders of the same name, in any place."""
        return Path(allowed).name == Path(name).name

    def usual_weights(self, name: str) -> str | None:
        """The weights beside the configuration. InputError if there are only pickles, which may hold code."""
        if _has_weights(name):
            return f"hf:{WEIGHTS}"
        pickle = next((file for file in _PICKLES if Path(name, file).is_file()), None)
        if pickle is not None:
            raise InputError(f"hf:{name}", f"has its weights in {pickle}, a pickle, which may hold code and is not read; convert "
                                           "it to model.safetensors, or take --weights seeded:0")
        return None

    def example(self, name: str, module: nn.Module) -> Example:
        """An example of the arguments of forward, by name: a short text, or a picture of the configured size.

        InputError if nothing says what the network takes.
        """
        taken = {key: make for key, make in _INPUTS.items() if key in inspect.signature(module.forward).parameters}
        configuration: Any = module.config
        found = {key: made for key, make in taken.items() if (made := make(configuration)) is not None}
        if not found:
            raise InputError(f"hf:{name}", f"nothing says what a {type(module).__name__} takes; say it with --input")
        return found

    def remarks(self, name: str) -> tuple[str, ...]:
        """A remark that the cache is switched off, if the network has one."""
        configuration = _as_written(name)
        kind = _class_of(name, configuration)
        caches = any(getattr(part, "use_cache", None) for part in _parts(configuration))
        decodes = configuration.is_encoder_decoder or kind.can_generate() or getattr(configuration, "is_decoder", True)
        return (_NO_CACHE,) if caches and decodes else ()

    def conventions(self, name: str, tensor: TensorSpec) -> Conventions:
        """The conventions in the folder's configurations of the network and of its pictures."""
        pictures, network = (_object(Path(name, file)) for file in ("preprocessor_config.json", "config.json"))
        how = of_transformers(pictures, tensor.shape, tensor.dtype) if pictures else None
        kind = str(next(iter(network.get("architectures") or ()), ""))
        named = network.get("id2label")
        found = {whole_of(k): str(label) for k, label in named.items()} if isinstance(named, dict) else {}
        numbered = {k: label for k, label in found.items() if k is not None}
        labels = tuple(numbered[k] for k in sorted(numbered)) if sorted(numbered) == [*range(len(numbered))] else ()
        if all(label.startswith("LABEL_") for label in labels):  # the names that transformers writes if nobody gave any
            labels = ()
        task = next((task for ending, task in _TASKS.items() if kind.endswith(ending)), None)
        return Conventions(preprocessing=how, labels=labels or None, task=task)


SOURCE = Transformers()


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none."""
    data = read_json(path) if path.is_file() else {}
    return data if isinstance(data, dict) else {}


def _as_written(name: str) -> Any:
    import transformers

    path = Path(name)
    if not path.is_dir():
        raise InputError(f"hf:{name}", "there is no such folder here; nothing is downloaded: fetch the files first")
    if not (path / "config.json").is_file():
        raise InputError(f"hf:{name}", "the folder holds no config.json")
    if (path / "adapter_config.json").is_file():
        raise InputError(f"hf:{name}", "the folder holds an adapter of another network; merge the two first")
    data = read_json(path / "config.json")
    if not isinstance(data, dict):
        raise InputError(f"hf:{name}", "its config.json holds no object")
    if data.get("model_type") not in transformers.CONFIG_MAPPING:
        own = " and names code of its own, which is never run" if "auto_map" in data else ""
        raise InputError(f"hf:{name}", f"its config.json has the model_type {data.get('model_type')!r}, which this transformers "
                                       f"({transformers.__version__}) does not have{own}")  # fmt: skip
    with _saying(name):
        return transformers.AutoConfig.from_pretrained(name, local_files_only=True, trust_remote_code=False)


def _configuration(name: str) -> Any:
    """The folder's configuration, for a network that returns tensors by their names and no cache."""
    found = _as_written(name)
    packed = getattr(found, "quantization_config", None)
    if packed is not None:
        method = packed.get("quant_method") if isinstance(packed, dict) else getattr(packed, "quant_method", None)
        raise InputError(f"hf:{name}", f"its weights are packed by {getattr(method, 'value', method)}, whose kernels are "
                                       "not run here; take the folder of the network as it was before, of which "
                                       "decoder_int8:DIRECTORY packs a decoder in eight bits")  # fmt: skip
    for part in _parts(found):  # a cache is the text so far, for the next word: it is no tensor that could cross
        if getattr(part, "use_cache", None):
            part.use_cache = False
        part.return_dict = True
    return found


def _parts(configuration: Any) -> Iterator[Any]:
    """The configuration, and those inside it."""
    yield configuration
    for part in vars(configuration).values():
        if hasattr(part, "model_type") and hasattr(part, "to_dict"):
            yield from _parts(part)


def _class_of(name: str, configuration: Any) -> Any:
    import transformers

    for architecture in configuration.architectures or ():
        kind = getattr(transformers, str(architecture), None)
        if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel):
            return kind
        raise InputError(f"hf:{name}", f"its config.json names the architecture {architecture!r}, which this transformers "
                                       f"({transformers.__version__}) does not have")  # fmt: skip
    try:
        return transformers.AutoModel._model_mapping[type(configuration)]
    except KeyError:
        raise InputError(f"hf:{name}", "its config.json names no architecture, and its kind has no network without a head"
                         ) from None  # fmt: skip


def _attention(kind: Any) -> str:
    """What the configuration asks for might be fetched as code."""
    return "sdpa" if getattr(kind, "_supports_sdpa", False) else "eager"


def _has_weights(name: str) -> bool:
    return any(Path(name).glob("*.safetensors"))


@contextmanager
def _saying(name: str) -> Iterator[None]:
    """A block in which errors of transformers become an InputError about the folder, and its warnings are not shown."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    except THEIR_ERRORS as error:
        raise InputError(f"hf:{name}", f"cannot be built: {first_line(error)}") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first(configuration: Any, *keys: str) -> Any:
    """The first of these that the configuration, or one inside it, has."""
    for part in _parts(configuration):
        for key in keys:
            found = getattr(part, key, None)
            if found is not None:
                return found
    return None


def _length(configuration: Any) -> int:
    longest = _first(configuration, "max_position_embeddings", "n_positions", "max_target_positions")
    return min(_TOKENS, longest) if isinstance(longest, int) and longest > 0 else _TOKENS


def _words(configuration: Any) -> Tensor | None:
    vocabulary = _first(configuration, "vocab_size")
    if not isinstance(vocabulary, int) or vocabulary < 1:
        return None
    ids = indices(1, _length(configuration), below=vocabulary)
    marks = [value for key in ("eos_token_id", "image_token_id", "pad_token_id") for part in _parts(configuration)
             if isinstance(value := getattr(part, key, None), int)]  # fmt: skip
    plain = next((k for k in range(vocabulary) if k not in marks), 0)
    for mark in marks:  # words alone: marks have meanings of their own
        ids[ids == mark] = plain
    return ids


def _mask(configuration: Any) -> Tensor | None:
    words = _words(configuration)
    return None if words is None else torch.ones_like(words)


def _picture(configuration: Any) -> Tensor:
    size = _first(configuration, "image_size")
    if isinstance(size, Mapping):
        size = (size.get("height"), size.get("width"))
    height, width = size if isinstance(size, list | tuple) else (size, size)
    channels = _first(configuration, "num_channels", "in_channels") or 3
    return numbers(1, channels, height or 224, width or 224)


def _sound(configuration: Any) -> Tensor:
    del configuration
    return numbers(1, _SAMPLES, least=-1.0)


def _spectrum(configuration: Any) -> Tensor | None:
    bins, positions = _first(configuration, "num_mel_bins"), _first(configuration, "max_source_positions")
    if not isinstance(bins, int):
        return None
    return numbers(1, bins, 2 * positions) if isinstance(positions, int) else numbers(1, 100, bins)


_INPUTS: dict[str, Callable[[Any], Tensor | None]] = {
    "input_ids": _words,
    "attention_mask": lambda c: _mask(c) if _first(c, "vocab_size") else None,
    "pixel_values": _picture,
    "input_values": _sound,
    "input_features": _spectrum,
    "decoder_input_ids": lambda c: _words(c) if c.is_encoder_decoder else None,
}
"""Inputs of forward methods by their names; further ones are left out."""
