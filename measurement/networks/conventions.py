"""What the source of a network says about it: how pictures become its input, its classes, and what its outputs are."""

from __future__ import annotations

from typing import Any

from lmos_opt.plan import PlannedNetwork, picture_or_first
from lmos_opt.preprocessing import Conventions, Labels, Preprocessing, plain_preprocessing, takes_pictures
from lmos_opt.profile import TensorSpec
from measurement.networks.labels import imagenet_classes
from measurement.networks.weights import parse_weights
from measurement.sources import TORCHVISION, get
from measurement.sources.torchvision import family_of


def conventions_of(builder: str, weights: str, tensor: TensorSpec) -> Conventions:
    """What is known about a network with an input of this shape and dtype; nothing about a user's own code.

    Networks of timm and transformers have configurations. Published weights of torchvision have their preprocessing, if it gives
    this shape, and their classes. Trained classifiers of torchvision have the classes of ImageNet. Its detectors take pictures with
    values from 0 to 1, and normalise them themselves.
    """
    place, _, name = builder.partition(":")
    if place != TORCHVISION:
        source, name = get(builder)
        return source.conventions(name, tensor)
    kind, value = parse_weights(weights)
    task, entry = _torchvision_task(name), _entry(name, value) if kind == "torchvision" else None
    if task == "boxes":
        plain = plain_preprocessing(tensor.shape, tensor.dtype)
        how = plain and plain.model_copy(update={"origin": "weights"})
    else:
        how = None if entry is None else _published(entry, tensor)
    labels: Labels | None = _categories(entry) if entry is not None else None
    if labels is None and task is None and kind != "seeded":
        labels = "imagenet"
    return Conventions(preprocessing=how, labels=labels, task=task)


def conventions_for(network: PlannedNetwork) -> Conventions:
    """What a plan says about its network; for missing parts, what `conventions_of` knows."""
    known = conventions_of(network.builder, network.weights, picture_or_first(network))
    return Conventions(preprocessing=network.preprocessing or known.preprocessing, labels=network.labels or known.labels,
                       task=network.task or known.task)


def _torchvision_task(name: str) -> str | None:
    """The task of a model of torchvision, by its family; None for classifiers and for models that torchvision does not have."""
    from torchvision.models import list_models

    family = family_of(name) if name in list_models() else None
    return {"detection": "boxes", "segmentation": "masks"}.get(family or "")


def _entry(name: str, entry: str) -> Any:
    """Published weights as torchvision describes them; None if there are none of that name."""
    from torchvision.models import get_model_weights, list_models

    return get_model_weights(name).__members__.get(entry) if name in list_models() else None


def _categories(entry: Any) -> Labels | None:
    """The names of the classes of published weights; None if they do not give them."""
    found = tuple(entry.meta.get("categories") or ())
    return "imagenet" if found == imagenet_classes() else found or None


def _published(entry: Any, tensor: TensorSpec) -> Preprocessing | None:
    """The preprocessing that was published with weights; None if it gives another shape, or does more than resize and normalise."""
    if not takes_pictures(tensor.shape, tensor.dtype) or tensor.shape[1] != 3:
        return None
    height, width = tensor.shape[2:]
    how: Any = entry.transforms()
    resize, mean, std = (list(getattr(how, key, None) or ()) for key in ("resize_size", "mean", "std"))
    crop = list(getattr(how, "crop_size", None) or resize)
    interpolation = str(getattr(getattr(how, "interpolation", None), "value", ""))
    fits = (height, width) == tuple((crop * 2)[:2]) and len(resize) == 1 and len(mean) == len(std) == 3
    if not fits or interpolation not in {"bilinear", "bicubic"}:
        return None
    return Preprocessing.model_validate({"resize": resize[0], "crop": (height, width), "interpolation": interpolation,
                                         "channels": "RGB", "scale": 255, "mean": tuple(mean), "std": tuple(std),
                                         "dtype": tensor.dtype, "origin": "weights"})
