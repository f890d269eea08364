"""Estimated losses beside true ones: at every cut of a network under every codec, and of splits that keep a limit.

Losses are estimated from one half of the inputs, tensor by tensor, and summed over what crosses; the truth is measured on the other
half, with everything that crosses encoded at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from lmos_opt import Instance, NetworkProfile, pareto_front
from lmos_opt.graph import layer_of
from lmos_opt.plan import Setting, make_plan
from measurement import codecs
from measurement.profiling import profile_built
from measurement.tracing import TracedNetwork, trace_network
from runner.images import Images
from runner.images.labelled import Labelled
from runner.lab.fidelity.judging import Tally
from runner.lab.fidelity.losses import Share, Steps, measure_losses
from runner.lab.fidelity.splits import LossReport, measure_split

CONFIDENCE = 0.95
"""With which a tensor loses no more under a codec than the search counts with: means of few inputs are often too low."""
CODECS = ("int8", "int4", "zint:5", "zint:4", "zint:3", "zint:2")
"""From nothing lost to much: a rank correlation needs both."""
CROPS = 3
"""Of each bundled picture: five pictures alone tell losses of 20 % apart."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """A network and its inputs, with the classes that are right where they are known."""

    name: str
    builder: str
    weights: str
    module: nn.Module
    inputs: Labelled


@dataclass(frozen=True)
class Row:
    """A cut after so many layers under a codec: losses and outputs' errors, estimated from one half and measured on the other;
    `upper` is what the search counts with."""

    network: str
    codec: str
    x1: int
    crossing: int
    estimated: float
    upper: float
    measured: float
    estimated_error: float
    measured_error: float


@dataclass(frozen=True)
class Compared:
    """A network's losses, and every cut's rows."""

    profile: NetworkProfile
    traced: TracedNetwork
    rows: tuple[Row, ...]


def squeezenet(seed: int) -> Subject:
    """SqueezeNet with its trained weights, on crops of the bundled pictures, which have no labels."""
    from lmos.profiles import planned_of
    from lmos_opt.sources import load_source
    from measurement.networks import build_network
    from runner.images import find_images

    profile = load_source("squeezenet1_1")
    assert isinstance(profile, NetworkProfile)
    assert profile.network is not None
    source = profile.network
    bundled = find_images(planned_of(profile, source), None)
    names = [f"{name}, crop {k}" for name in bundled.names for k in range(CROPS)]

    def load(k: int) -> Tensor:
        picture = bundled.load(k // CROPS)
        assert isinstance(picture, Tensor)
        draw = torch.Generator().manual_seed(seed * len(names) + k)
        side, up, left, flip = (float(x) for x in torch.rand(4, generator=draw))
        n = int(224 * (0.7 + 0.3 * side))
        up, left = int(up * (224 - n)), int(left * (224 - n))
        found = nn.functional.interpolate(picture[..., up : up + n, left : left + n], (224, 224), mode="bilinear")
        return found.flip(3).contiguous() if flip < 0.5 else found

    images = Images(f"{len(names)} crops of {bundled.what}", names, load)
    module = build_network(source.builder, source.weights)
    return Subject("squeezenet1_1", source.builder, source.weights, module, Labelled(images, None))


def compare(subject: Subject, names: Sequence[str], seed: int, tell: Tell) -> Compared:
    """Losses from the calibration half, and every cut under each codec on the other half."""
    traced = trace_network(subject.module, subject.inputs.images.load(0))
    profile = profile_built(subject.builder, subject.weights, subject.module, traced)
    found = [codecs.get(name) for name in names]
    fidelity = measure_losses(profile, traced, found, subject.inputs, Share(seed),
                              lambda line: tell(f"{subject.name}, losses: {line}"), confidence=CONFIDENCE)
    steps, truth = Steps(traced), dict[tuple[str, int], Tally]()
    crossing: list[list[str]] = []
    numbers = Share(seed, part="held-out").of(subject.inputs)
    for i, k in enumerate(numbers, 1):
        tell(f"{subject.name}, cuts: input {i} of {len(numbers)}")
        right = None if subject.inputs.right is None else subject.inputs.right[k]
        expected, crossings = steps.whole(subject.inputs.images.load(k), right)
        crossing = [list(dict.fromkeys(map(layer_of, one))) for one in crossings]
        for cut in range(len(crossings)):
            for codec in found:
                outputs = steps.after(crossings, cut, codec)
                truth.setdefault((codec.name, cut), Tally(fidelity.calibration.criterion)).add(expected, outputs)
    rows = tuple(Row(network=subject.name, codec=codec, x1=cut, crossing=len(crossing[cut]),
                     estimated=sum(fidelity.losses[codec].get(u, 0.0) for u in crossing[cut]),
                     upper=sum(fidelity.counted_with[codec].get(u, 0.0) for u in crossing[cut]), measured=tally.loss,
                     estimated_error=sum(fidelity.errors[codec].get(u, 0.0) for u in crossing[cut]), measured_error=tally.error)
                 for (codec, cut), tally in truth.items())  # fmt: skip
    return Compared(profile.model_copy(update={"fidelity": fidelity}), traced, rows)


@dataclass(frozen=True)
class Agreement:
    """How well estimates go with the truth, over some rows: rank correlations (None if one side is all alike), and the largest
    miss of a loss, as estimated less measured, and at which cut."""

    rows: int
    of_losses: float | None
    of_errors: float | None
    miss: float
    at: Row


def agreement(rows: Sequence[Row]) -> Agreement:
    """That of at least one row."""
    frame = pd.DataFrame([vars(row) for row in rows])
    at = max(rows, key=lambda row: abs(row.estimated - row.measured))
    losses, errors = (_ranked(frame[f"estimated{of}"], frame[f"measured{of}"]) for of in ("", "_error"))
    return Agreement(len(rows), losses, errors, at.estimated - at.measured, at)


def _ranked(one: pd.Series[float], other: pd.Series[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank."""
    a, b = one.rank(), other.rank()
    return None if a.nunique() < 2 or b.nunique() < 2 else float(a.corr(b))


def within(found: Compared, inputs: Labelled, seed: int, limit: float) -> list[LossReport]:
    """The true losses, on the half that is held out, of all splits of a front that the search finds within a limit."""
    profile = found.profile
    assert profile.fidelity is not None
    of_known_size = [codec for codec in map(codecs.get, profile.fidelity.losses) if codec.sent_bytes(profile.layers[0].outputs[0])]
    instance = Instance.from_profile(profile, among=of_known_size)
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule="front")
    front = pareto_front(instance, ["tx_bytes", "footprint"], limits={"fidelity_loss": limit})
    plans = [make_plan(instance, point.edge_layers or (), setting=setting, profile=profile, codecs=point.codecs)
             for point in front.points]
    return [measure_split(plan, found.traced, inputs, Share(seed, part="held-out")) for plan in plans]
