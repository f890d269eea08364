"""What every layer list must satisfy: unique names, inputs that stand earlier, no cycle."""

from __future__ import annotations

from collections.abc import Sequence

INPUT = "input"
"""The name of pseudo-layer 0, the input image, which is always at the edge."""


def check_order(layers: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Raise ValueError, naming the path, unless names are unique, none is `input`, and inputs name earlier layers."""
    position: dict[str, int] = {}
    for k, (name, _) in enumerate(layers):
        if name == INPUT:
            raise ValueError(f"layers[{k}].name: {name!r} is reserved for the input image")
        if name in position:
            raise ValueError(f"layers[{k}].name: {name!r} is already the name of layers[{position[name]}]")
        position[name] = k
    for k, (name, inputs) in enumerate(layers):
        for i, source in enumerate(inputs):
            path = f"layers[{k}].inputs[{i}]"
            if source == INPUT:
                continue
            if source not in position:
                raise ValueError(f"{path}: {source!r} is neither an earlier layer nor {INPUT!r}")
            if position[source] >= k:
                if _reaches(layers, position, source, k):
                    raise ValueError(f"{path}: {source!r} makes a cycle with {name!r}; expected an earlier layer")
                raise ValueError(f"{path}: {source!r} stands later in the list; expected topological order")


def _reaches(layers: Sequence[tuple[str, Sequence[str]]], position: dict[str, int], start: str, goal: int) -> bool:
    """Whether the inputs of `start`, followed backwards, lead to layer `goal`."""
    seen: set[int] = set()
    stack = [position[start]]
    while stack:
        k = stack.pop()
        if k == goal:
            return True
        if k not in seen:
            seen.add(k)
            stack.extend(position[u] for u in layers[k][1] if u in position)
    return False
