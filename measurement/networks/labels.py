"""Names of the classes that ImageNet classifiers tell apart."""

from __future__ import annotations

from lmos_opt.data import data_dir
from lmos_opt.files import read_json


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 class names of ImageNet's 2012 challenge, in the order of the networks' outputs."""
    return tuple(read_json(data_dir() / "labels" / "imagenet.json")["classes"])
