"""Every classifier of torchvision: a profile, or the reason why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import torchvision

from lmos.profiles import make_profile, weights_of
from lmos_opt.errors import LmosError

INPUT = (3, 224, 224)


@dataclass(frozen=True)
class Surveyed:
    """A summary of a network's profile at granularity `module`, and the time (s) to make it; or the reason why there is none."""

    network: str
    layers: int = 0
    gmacs: float = 0.0
    params: int = 0
    output: tuple[int, ...] = ()
    seconds: float = 0.0
    unknown_operations: tuple[str, ...] = ()
    reason: str | None = None


def classifiers(pattern: str = "*") -> list[str]:
    """Their names in torchvision, sorted; segmentation, detection, video and quantised networks are other families."""
    return [name for name in sorted(torchvision.models.list_models(module=torchvision.models)) if fnmatch(name, pattern)]


def survey(names: Sequence[str], tell: Callable[[str], None] = lambda what: None) -> list[Surveyed]:
    """Profile each, weights seeded where none are bundled."""
    found = []
    for name in names:
        tell(f"profiling {name}")
        found.append(_surveyed(name))
    return found


def _surveyed(name: str) -> Surveyed:
    builder = f"torchvision:{name}"
    begin = time.perf_counter()
    try:
        profile = make_profile(builder, weights_of(builder, None), "module", INPUT)
    except LmosError as error:
        return Surveyed(name, reason=str(error))
    return Surveyed(name, len(profile.layers), profile.total_macs / 1e9, profile.total_params, profile.layers[-1].output_shape,
                    time.perf_counter() - begin, profile.unknown_operations)  # fmt: skip
