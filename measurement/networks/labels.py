"""Names of the classes that classifiers tell apart."""

from __future__ import annotations

from functools import cache

from lmos_opt.data import data_dir
from lmos_opt.files import read_json
from lmos_opt.preprocessing import Labels


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The 1000 class names of ImageNet's 2012 challenge, in the order of the networks' outputs."""
    return tuple(read_json(data_dir() / "labels" / "imagenet.json")["classes"])


def names_of(labels: Labels | None) -> tuple[str, ...]:
    """The names that labels stand for; none if there are none."""
    if labels is None:
        return ()
    return imagenet_classes() if labels == "imagenet" else tuple(labels)
