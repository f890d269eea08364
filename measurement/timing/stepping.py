"""A traced network run call by call, so that something can be done between its layers: read the clock, pause, look at memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, fx

from measurement.tracing import TracedNetwork
from measurement.tracing.grouping import input_nodes


class Steps:
    """The graph as a list of calls, run one after the other.

    What a node holds is let go after its last reader, as in the network itself: kept memory would be cold memory.
    """

    def __init__(self, traced: TracedNetwork) -> None:
        owner = {node: layer.name for layer in traced.layers for node in layer.nodes}
        self.layers = tuple(layer.name for layer in traced.layers)
        self._inputs = input_nodes(traced.graph_module.graph)
        self._constants: dict[fx.Node, Any] = {}
        last: dict[fx.Node, fx.Node] = {}
        nodes = list(traced.graph_module.graph.nodes)
        for node in nodes:
            last.update(dict.fromkeys(node.all_input_nodes, node))
        self._calls: list[tuple[fx.Node, Callable[..., Any], str | None, tuple[fx.Node, ...]]] = []
        for node in nodes:
            if node.op == "get_attr":
                self._constants[node] = traced.attribute(node)
            elif node.op.startswith("call_"):
                done = tuple(a for a in node.all_input_nodes if last[a] is node and a.op.startswith("call_"))
                self._calls.append((node, _function(traced, node), owner.get(node), done))

    def time(self, image: Tensor | Sequence[Tensor], pause_before: str | None = None, pause_s: float = 0.0) -> dict[str, float]:
        """Seconds of each layer in one run; sizes and checks between layers count to the layer after them.

        Before the layer `pause_before` the run rests for `pause_s`, which counts to none.
        """
        env: dict[fx.Node, Any] = {**self._constants, **dict(zip(self._inputs, _several(image), strict=True))}
        seconds = dict.fromkeys(self.layers, 0.0)
        waiting = pause_before
        before = time.perf_counter()
        for node, function, layer, done in self._calls:
            if waiting is not None and layer == waiting:
                waiting = None
                time.sleep(pause_s)
                before = time.perf_counter()
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

    def idle(self) -> Steps:
        """The same steps with empty layers. Their time is that of reading the clock and finding arguments."""
        steps = object.__new__(Steps)
        steps.layers, steps._inputs, steps._constants = self.layers, self._inputs, self._constants
        steps._calls = [(node, _nothing, layer, done) for node, _, layer, done in self._calls]
        return steps

    def within(self, image: Tensor | Sequence[Tensor], around: Callable[[str], AbstractContextManager[Any]]) -> None:
        """One run, each call of a layer inside `around(layer)`."""
        env: dict[fx.Node, Any] = {**self._constants, **dict(zip(self._inputs, _several(image), strict=True))}
        for node, function, layer, done in self._calls:
            args, kwargs = fx.map_arg((node.args, node.kwargs), env.__getitem__)
            if layer is None:
                env[node] = function(*args, **kwargs)
            else:
                with around(layer):
                    env[node] = function(*args, **kwargs)
            del args, kwargs
            for source in done:
                del env[source]


def _function(traced: TracedNetwork, node: fx.Node) -> Any:
    if node.op == "call_module":
        return traced.graph_module.get_submodule(str(node.target))
    return _Method(str(node.target)) if node.op == "call_method" else node.target


def _several(image: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [image] if isinstance(image, Tensor) else image


def _nothing(*args: Any, **kwargs: Any) -> None:
    del args, kwargs


class _Method:
    """Calls the method of that name on its first argument."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(owner, self.name)(*args, **kwargs)
