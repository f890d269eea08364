"""Times of layers on an engine that does not do one after another: what the rest of the network takes without them.

A GPU's layers cannot be timed one by one: to start one takes longer than it runs, and a graph of kernels has no such gaps. Nor can
those of an engine that joins and reorders them. So the network is run from each layer to its end as a server's part is, and a
layer's time is the difference of two such runs. The sums over the layers behind a cut are then what was measured, not an addition
of parts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map_only

from lmos_opt.profile import NetworkProfile, Timing
from measurement.engines import Engine, Loaded
from measurement.medians import Median, median_of
from measurement.timing import traced_again
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import Example
from measurement.tracing.grouping import input_nodes
from measurement.tracing.undisturbed import undisturbed

BUDGET_S = 20.0
REPEATS = 9
PAUSE_S = 0.02
"""Before every run, as a server waits for its next question: a GPU that has just worked starts a fifth of a short part sooner."""
FEWEST = 8
"""Places to begin from, even where the budget is spent."""


class LaterParts:
    """A network's layers from any of them to the end, as an engine computes a server's part of them.

    What the layers before them make of an example is computed once, on the processor; `alone_s` is what each layer took there.
    """

    def __init__(self, engine: Engine, traced: TracedNetwork, example: Example) -> None:
        self.layers, self._engine = traced.layers, engine
        self._known: dict[fx.Node, Any] = dict(zip(input_nodes(traced.graph_module.graph), traced.tensors_of(example), strict=True))
        self._nodes = [node for node in traced.graph_module.graph.nodes if node.op != "output"]
        interpreter = fx.Interpreter(traced.graph_module)
        seconds: dict[fx.Node, float] = {}
        for node in self._nodes:
            if node not in self._known:
                begin = time.perf_counter()
                self._known[node] = self._value(interpreter, node)
                seconds[node] = time.perf_counter() - begin
        self.alone_s = {layer.name: sum(seconds.get(node, 0.0) for node in layer.nodes) for layer in self.layers}
        self._body = engine.moved(traced.graph_module)
        copies = [node for node in self._body.graph.nodes if node.op != "output"]
        self._twin = dict(zip(self._nodes, copies, strict=True))

    def part_from(self, first: int) -> tuple[Loaded, tuple[Any, ...]]:
        """The layers from this one (by its place in the order) to the end, loaded, and their arguments in main memory."""
        later = self._later(first)
        among = set(later)
        given = list(dict.fromkeys(source for node in later for source in node.all_input_nodes
                                   if source not in among and source.op != "get_attr"))  # fmt: skip
        graph, copied = fx.Graph(), dict[fx.Node, fx.Node]()
        for k, node in enumerate(given):
            copied[self._twin[node]] = graph.placeholder(f"given_{k}")
        for node in self._nodes:
            if node in among or (node.op == "get_attr" and among.intersection(node.users)):
                copied[self._twin[node]] = graph.node_copy(self._twin[node], copied.__getitem__)
        read = {source for node in later for source in node.all_input_nodes}
        graph.output(tuple(copied[self._twin[node]] for node in later if node not in read))
        arguments = tuple(_fresh(self._known[node]) for node in given)
        return self._engine.begun(fx.GraphModule(self._body, graph), arguments), arguments

    def _later(self, first: int) -> list[fx.Node]:
        later = {node for layer in self.layers[first:] for node in layer.nodes}
        earlier = {node for layer in self.layers[:first] for node in layer.nodes}
        for node in self._nodes:
            if node.op.startswith("call_") and node not in earlier and later.intersection(node.all_input_nodes):
                later.add(node)
        return [node for node in self._nodes if node in later]

    def _value(self, interpreter: fx.Interpreter, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return node.args[0] if node.args else None
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._known.__getitem__)
        return getattr(interpreter, node.op)(node.target, args, kwargs)


def _fresh(value: Any) -> Any:
    """With tensors of its own: a layer may work in place."""
    return tree_map_only(Tensor, torch.clone, value)


def timed_on(profile: NetworkProfile, module: nn.Module, example: Example, engine: Engine,
             budget_s: float = BUDGET_S) -> NetworkProfile:  # fmt: skip
    """The profile with each layer's time on the engine, and `timing`: what computed, in which precision, and the whole's time.

    Raises InputError if `profile` is not the profile of `module`, and where the engine cannot compute it.
    """
    with undisturbed(module):
        return time_on(profile, traced_again(profile, module, example), example, engine, budget_s)


def time_on(profile: NetworkProfile, traced: TracedNetwork, example: Example, engine: Engine,
            budget_s: float = BUDGET_S) -> NetworkProfile:  # fmt: skip
    """As `timed_on`, for a network that is traced already."""
    with torch.inference_mode():
        times, whole = time_later_parts(LaterParts(engine, traced, example), budget_s)
    layers = tuple(layer.model_copy(update={"t_local_s": found.value, "t_local_low_s": found.low, "t_local_high_s": found.high})
                   for layer in profile.layers for found in (times[layer.name],))  # fmt: skip
    timing = Timing(torch=torch.__version__, engine=engine.name, engine_precision=engine.precision, device=engine.device,
                    memory_bytes=engine.memory_bytes(), repeats=REPEATS, budget_s=budget_s, whole_s=whole.value,
                    whole_low_s=whole.low, whole_high_s=whole.high)  # fmt: skip
    return profile.model_copy(update={"layers": layers, "timing": timing})


@torch.inference_mode()
def time_later_parts(parts: LaterParts, budget_s: float) -> tuple[dict[str, Median], Median]:
    """Each layer's time, and the whole's (s). Until the budget is spent, more and more layers are begun from; the time between two
    of these is shared out by what the layers between them take on the processor. InputError if a part cannot be computed."""
    begin, count = time.perf_counter(), len(parts.layers)
    found = dict[int, Median]()
    for first in _halving(count):
        if len(found) >= FEWEST and time.perf_counter() - begin > budget_s:
            break
        found[first] = _time(parts, first)
    from scipy.optimize import isotonic_regression  # takes half a second, and every server imports this module

    starts = sorted(found)
    # What is behind a later place takes no longer: where it did, by chance, both get their mean.
    falling = [*isotonic_regression([found[first].value for first in starts], increasing=False).x, 0.0]
    layers: dict[str, Median] = {}
    for place, (first, end) in enumerate(pairwise([*starts, count])):
        group = _difference(float(falling[place] - falling[place + 1]), found[first], found.get(end))
        names = [layer.name for layer in parts.layers[first:end]]
        for name, share in zip(names, _shares([parts.alone_s[name] for name in names]), strict=True):
            layers[name] = _scaled(group, share)
    return layers, found[0]


def _halving(count: int) -> Iterator[int]:
    """The numbers below it, each in the middle of those before it.

    >>> list(_halving(6))
    [0, 3, 1, 4, 2, 5]
    """
    yield 0
    gaps = [(0, count)]
    for low, high in gaps:
        middle = (low + high) // 2
        if middle > low:
            yield middle
            gaps += [(low, middle), (middle, high)]


def _time(parts: LaterParts, first: int) -> Median:
    part, arguments = parts.part_from(first)
    seconds = []
    for _ in range(REPEATS):
        time.sleep(PAUSE_S)
        part(*arguments)
        seconds.append(part.compute_s)
    return median_of(seconds)


def _shares(alone_s: Sequence[float]) -> list[float]:
    """What part of a group's time each of its layers has."""
    total = sum(alone_s)
    return [one / total for one in alone_s] if total > 0 else [1 / len(alone_s)] * len(alone_s)


def _difference(value: float, one: Median, other: Median | None) -> Median:
    """A difference of two times; its interval is as wide as both together."""
    half = sum((found.high - found.low) / 2 for found in (one, other) if found is not None)
    return Median(value, max(value - half, 0.0), value + half, one.repeats, one.outliers)


def _scaled(found: Median, share: float) -> Median:
    return Median(found.value * share, found.low * share, found.high * share, found.repeats, found.outliers)
