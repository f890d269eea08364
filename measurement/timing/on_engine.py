"""Times of layers on an engine that starts many of them at once: what the rest of the network takes without them.

A GPU's layers cannot be timed one by one: to start one takes longer than it runs, and a graph of kernels has no such gaps. So the
network is run from each layer to its end, as a server's part is, and a layer's time is the difference of two such runs. The sums
over the layers behind a cut are then what was measured, not an addition of parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from scipy.optimize import isotonic_regression
from torch import fx, nn

from lmos_opt.profile import NetworkProfile, Timing
from measurement.engines.devices import TorchDevice
from measurement.medians import Median, median_of
from measurement.timing import traced_again
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import Example
from measurement.tracing.grouping import input_nodes
from measurement.tracing.undisturbed import undisturbed

BUDGET_S = 20.0
REPEATS = 15
FEWEST = 8
"""Places to begin from, even where the budget is spent."""


class LaterParts:
    """A network on a device, run from any of its layers to the end on what the layers before it made of an example."""

    def __init__(self, engine: TorchDevice, traced: TracedNetwork, example: Example) -> None:
        self._engine = engine
        body = engine.moved(traced.graph_module)
        originals = [node for node in traced.graph_module.graph.nodes if node.op != "output"]
        copies = [node for node in body.graph.nodes if node.op != "output"]
        self._twin = dict(zip(originals, copies, strict=True))
        self.layers = traced.layers
        self._interpreter = fx.Interpreter(body)
        self._nodes: Sequence[fx.Node] = copies
        self._known: dict[fx.Node, Any] = {}
        inputs = input_nodes(traced.graph_module.graph)
        given = [tensor.to(engine.torch_device, engine.dtype if tensor.is_floating_point() else None)
                 for tensor in traced.tensors_of(example)]  # fmt: skip
        for node, tensor in zip(inputs, given, strict=True):
            self._known[self._twin[node]] = tensor
        for node in copies:
            if node not in self._known:
                self._known[node] = self._value(node, self._known)

    def run_from(self, first: int) -> Callable[[], object]:
        """What runs the layers from this one (by its place in the order) to the end, and returns what they made."""
        kept = self._later(first)

        def run() -> list[Any]:
            found = dict(self._known)
            for node in kept:
                found[node] = self._value(node, found)
            return [found[node] for node in kept[-1:]]

        return run

    def _later(self, first: int) -> list[fx.Node]:
        later: set[fx.Node] = {self._twin[node] for layer in self.layers[first:] for node in layer.nodes}
        earlier: set[fx.Node] = {self._twin[node] for layer in self.layers[:first] for node in layer.nodes}
        for node in self._nodes:
            if node.op.startswith("call_") and node not in earlier and later.intersection(node.all_input_nodes):
                later.add(node)
        return [node for node in self._nodes if node in later]

    def _value(self, node: fx.Node, env: dict[fx.Node, Any]) -> Any:
        if node.op == "placeholder":
            return node.args[0] if node.args else None
        args, kwargs = fx.map_arg((node.args, node.kwargs), env.__getitem__)
        return getattr(self._interpreter, node.op)(node.target, args, kwargs)


def timed_on(profile: NetworkProfile, module: nn.Module, example: Example, engine: TorchDevice,
             budget_s: float = BUDGET_S) -> NetworkProfile:  # fmt: skip
    """The profile with each layer's time on the engine, and `timing`: what computed, in which precision, and the whole's time.

    Raises InputError where `profile` is not the profile of `module`, and where the engine cannot compute it.
    """
    with undisturbed(module):
        return time_on(profile, traced_again(profile, module, example), example, engine, budget_s)


def time_on(profile: NetworkProfile, traced: TracedNetwork, example: Example, engine: TorchDevice,
            budget_s: float = BUDGET_S) -> NetworkProfile:  # fmt: skip
    """As `timed_on`, for a network that is traced already."""
    with torch.inference_mode():
        times, whole = time_later_parts(LaterParts(engine, traced, example), engine, budget_s)
    layers = tuple(layer.model_copy(update={"t_local_s": found.value, "t_local_low_s": found.low, "t_local_high_s": found.high})
                   for layer in profile.layers for found in (times[layer.name],))  # fmt: skip
    timing = Timing(torch=torch.__version__, engine=engine.name, engine_precision=engine.precision, device=engine.device,
                    repeats=REPEATS, budget_s=budget_s, whole_s=whole.value, whole_low_s=whole.low,
                    whole_high_s=whole.high)  # fmt: skip
    return profile.model_copy(update={"layers": layers, "timing": timing})


@torch.inference_mode()
def time_later_parts(parts: LaterParts, engine: TorchDevice, budget_s: float) -> tuple[dict[str, Median], Median]:
    """Each layer's time, and the whole's (s). Within the budget as many layers as possible are begun from; the time between two of
    these is shared out by what the layers between them take one by one."""
    begin = time.perf_counter()
    whole = _times(engine, parts.run_from(0))
    each_s = time.perf_counter() - begin
    count = len(parts.layers)
    most = max(FEWEST, int(2 * budget_s / each_s)) if each_s > 0 else count  # a later part takes half of the whole on average
    starts = list(range(count)) if count <= most else sorted({round(k * count / most) for k in range(most)})
    found = {0: whole, **{first: _times(engine, parts.run_from(first)) for first in starts if first}}
    # What is behind a later place takes no longer: where it did, by chance, both get their mean.
    falling = [*isotonic_regression([found[first].value for first in starts], increasing=False).x, 0.0]
    layers: dict[str, Median] = {}
    for place, (first, end) in enumerate(pairwise([*starts, count])):
        group = _difference(float(falling[place] - falling[place + 1]), found[first], found.get(end))
        for layer, share in zip(parts.layers[first:end], _shares(parts, engine, first, end), strict=True):
            layers[layer.name] = _scaled(group, share)
    return layers, whole


def _times(engine: TorchDevice, function: Callable[[], object]) -> Median:
    return median_of(engine.call_s(engine.prepared(function), REPEATS))


def _shares(parts: LaterParts, engine: TorchDevice, first: int, end: int) -> list[float]:
    """What part of a group's time each of its layers has: by how long each takes alone."""
    if end - first == 1:
        return [1.0]
    seconds = [min(engine.call_s(parts.run_from(k), 3)) for k in range(first, end + 1 if end < len(parts.layers) else end)]
    alone = [max(one - after, 0.0) for one, after in zip(seconds, [*seconds[1:], 0.0], strict=True)][: end - first]
    total = sum(alone)
    return [one / total for one in alone] if total > 0 else [1 / (end - first)] * (end - first)


def _difference(value: float, one: Median, other: Median | None) -> Median:
    """A difference of two times; its interval is as wide as both together."""
    half = sum((found.high - found.low) / 2 for found in (one, other) if found is not None)
    return Median(value, max(value - half, 0.0), value + half, one.repeats, one.outliers)


def _scaled(found: Median, share: float) -> Median:
    return Median(found.value * share, found.low * share, found.high * share, found.repeats, found.outliers)
