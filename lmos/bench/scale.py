"""The front of every classifier of torchvision, layer by layer, under both memory models: points, splits, solves and seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import torch

from lmos.bench.networks import INPUT
from lmos_opt import pareto_front
from lmos_opt.errors import LmosError
from lmos_opt.formulation.memory import MEMORY_MODELS
from lmos_opt.instance import Instance
from lmos_opt.processes.writing import make_folder
from lmos_opt.profile import NetworkProfile
from measurement.networks.hollow import HollowNetwork
from measurement.profiling import profile_traced


@dataclass(frozen=True)
class Scaled:
    """One front, by the defaults of `lmos front`; `splits` is how many were looked at, None if they were searched, `cpu_s` this
    process's time. `reason` says why the front is not complete, or why there is none."""

    network: str
    memory_model: str
    layers: int = 0
    points: int = 0
    algorithm: str = ""
    splits: int | None = None
    solves: int = 0
    lps: int = 0
    cpu_s: float = 0.0
    reason: str | None = None


def survey(names: Sequence[str], kept: Path | None, time_limit_s: float,
           tell: Callable[[str], None] = lambda what: None) -> Iterator[Scaled]:  # fmt: skip
    """Both fronts of each network. Profiles are read from a folder and kept there, if there is one."""
    for name in names:
        tell(f"tracing {name}")
        try:
            instance = Instance.from_profile(_profile(name, kept))
        except LmosError as error:
            yield from (Scaled(name, model, reason=str(error)) for model in MEMORY_MODELS)
            continue
        for model in MEMORY_MODELS:
            tell(f"front of {name}, {model}")
            begin = process_time()
            front = pareto_front(instance, memory_model=model, time_limit_s=time_limit_s)
            cpu_s, took = process_time() - begin, front.statistics
            yield Scaled(name, model, len(instance.layers), len(front), took.algorithm if took else "",
                         took.splits if took else None, front.solves,
                         took.lps if took else 0, cpu_s, front.reason)  # fmt: skip


def _profile(name: str, kept: Path | None) -> NetworkProfile:
    """The network by its shapes alone, without the digest of its weights that a plan would need."""
    path = None if kept is None else kept / f"{name}.json"
    if path is not None and path.exists():
        return NetworkProfile.load(path)
    traced = HollowNetwork.build(f"torchvision:{name}", "seeded:0").trace(torch.zeros(1, *INPUT), "module")
    profile = profile_traced(traced, name=name)
    if path is not None:
        make_folder(path.parent)
        profile.save(path)
    return profile
