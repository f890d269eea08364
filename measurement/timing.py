"""Measured time per layer on this machine, each layer in its place in the whole network."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, fx, nn

from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile
from measurement.capture import undisturbed
from measurement.grouping import input_node
from measurement.tracing import TracedNetwork, trace_network

WARM_UP = 2
"""Runs before any that counts: the first ones pay for memory, thread pools and the kernels' own preparation."""
PAUSE_S = 0.05
"""Before every run, as a device pauses between images while the link is busy: its threads fall asleep, its caches cool."""
LEAST_REPEATS = 5
"""Fewer samples than this have no median worth the name, so they are taken even where the budget is spent."""


@dataclass(frozen=True)
class LayerTimes:
    """Medians over `repeats` runs: seconds of each layer by name, and of the whole network run undivided."""

    seconds: dict[str, float]
    whole_s: float
    repeats: int
    threads: int


def time_layers(
    traced: TracedNetwork,
    module: nn.Module,
    example_input: Tensor,
    *,
    threads: int | None = None,
    budget_s: float = 5.0,
) -> LayerTimes:
    """Time every layer of `traced` inside runs of the whole graph, alternating with undivided runs of `module`.

    Each run starts from a fresh copy of the example, so in-place operations cannot drift, and its layers find the
    caches as their predecessors left them. `threads` is torch's number of threads (by default as it is); runs go on
    until `budget_s` seconds are spent, but not below LEAST_REPEATS of each kind. Raises InputError for a budget or a
    number of threads that is not positive.
    """
    if budget_s <= 0 or (threads is not None and threads < 1):
        raise InputError("timing", f"needs a positive budget and number of threads, got {budget_s} s and {threads}")
    runs: list[dict[str, float]] = []
    wholes: list[float] = []
    with torch_threads(threads) as used, undisturbed(module), torch.inference_mode():
        steps = _Steps(traced)
        deadline = time.perf_counter() + budget_s
        for k in range(-WARM_UP, 1_000_000):
            if k >= LEAST_REPEATS and time.perf_counter() > deadline:
                break
            image = example_input.clone()
            time.sleep(PAUSE_S)
            seconds = steps.run(image)
            image = example_input.clone()
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            module(image)
            whole = time.perf_counter() - start
            if k >= 0:
                runs.append(seconds)
                wholes.append(whole)
    names = [layer.name for layer in traced.layers]
    return LayerTimes({n: median(run[n] for run in runs) for n in names}, median(wholes), len(runs), used)


def timed_profile(
    profile: NetworkProfile,
    module: nn.Module,
    example_input: Tensor,
    *,
    threads: int | None = None,
    budget_s: float = 5.0,
) -> NetworkProfile:
    """The profile with `t_local_s` of each layer on this machine, and `timing`: the conditions it was measured under.

    Raises InputError where `profile` is not the profile of `module` for such an input.
    """
    traced = trace_network(module, example_input, profile.granularity)
    if [layer.name for layer in traced.layers] != [layer.name for layer in profile.layers]:
        raise InputError(profile.name, "the profile's layers are not those of the network to be timed")
    times = time_layers(traced, module, example_input, threads=threads, budget_s=budget_s)
    layers = [layer.model_copy(update={"t_local_s": times.seconds[layer.name]}) for layer in profile.layers]
    timing = {
        "torch": torch.__version__,
        "threads": times.threads,
        "cpu": cpu_name(),
        "repeats": times.repeats,
        "whole_s": times.whole_s,
    }
    return profile.model_copy(update={"layers": tuple(layers), "timing": timing})


def cpu_name() -> str:
    """The processor's model, as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or platform.machine()


@contextmanager
def torch_threads(threads: int | None) -> Iterator[int]:
    """torch with so many threads inside the block (None: as it is); gives how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


class _Steps:
    """The graph as a list of calls, run one after the other with the clock read between layers.

    What a node holds is let go after its last reader, as in the network itself: kept memory would be cold memory.
    """

    def __init__(self, traced: TracedNetwork) -> None:
        owner = {node: layer.name for layer in traced.layers for node in layer.nodes}
        self._layers = tuple(layer.name for layer in traced.layers)
        self._input = input_node(traced.graph_module.graph)
        self._constants: dict[fx.Node, Any] = {}
        last: dict[fx.Node, fx.Node] = {}
        nodes = list(traced.graph_module.graph.nodes)
        for node in nodes:
            last.update(dict.fromkeys(node.all_input_nodes, node))
        self._calls = []
        for node in nodes:
            if node.op == "get_attr":
                self._constants[node] = traced.attribute(node)
            elif node.op == "placeholder" and node is not self._input:
                self._constants[node] = node.args[0] if node.args else None
            elif node.op.startswith("call_"):
                done = tuple(a for a in node.all_input_nodes if last[a] is node and a.op.startswith("call_"))
                self._calls.append((node, _function(traced, node), owner.get(node), done))

    def run(self, image: Tensor) -> dict[str, float]:
        """Seconds of each layer in one run; sizes and checks between layers count to the layer after them."""
        env: dict[fx.Node, Any] = {**self._constants, self._input: image}
        seconds = dict.fromkeys(self._layers, 0.0)
        before = time.perf_counter()
        for node, function, layer, done in self._calls:
            args, kwargs = fx.map_arg((node.args, node.kwargs), env.__getitem__)
            env[node] = function(*args, **kwargs)
            del args, kwargs
            for source in done:
                del env[source]
            if layer is not None:
                now = time.perf_counter()
                seconds[layer] += now - before
                before = now
        return seconds


def _function(traced: TracedNetwork, node: fx.Node) -> Any:
    if node.op == "call_module":
        return traced.graph_module.get_submodule(str(node.target))
    return _Method(str(node.target)) if node.op == "call_method" else node.target


class _Method:
    """Calls the method of that name on its first argument."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(owner, self.name)(*args, **kwargs)
