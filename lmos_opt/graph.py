"""The rules for every layer list: unique names, inputs that stand earlier, no cycle; and the names of layers' tensors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from lmos_opt.errors import InvalidError, Problem

INPUT = "input"
"""The name of a network's only input, if it is one tensor; inputs are pseudo-layers, which are always at the edge."""
MOST_PROBLEMS = 20
"""The most wrong arcs reported at once; to tell a cycle from a wrong order takes a walk through the graph for each."""

_INDEX = re.compile(r"\[\d+\]\Z")


def tensor_names(layer: str, count: int) -> tuple[str, ...]:
    """The names of the `count` tensors of a layer when they cross; no two tensors of different layers have the same name.

    A layer's only tensor has the layer's name, several have `name[0]`, `name[1]`. If a layer's name ends in such an index itself,
    its only tensor also gets an index. So an index at the end is never part of a layer's own name.
    """
    if count == 1 and not _INDEX.search(layer):
        return (layer,)
    return tuple(f"{layer}[{k}]" for k in range(count))


def layer_of(tensor: str) -> str:
    """The layer, or the input, to which the tensor of this name belongs."""
    return _INDEX.sub("", tensor)


def check_order(layers: Sequence[tuple[str, Sequence[str]]], inputs: Collection[str] = (INPUT,)) -> None:
    """Raise InvalidError, with the paths, unless names are unique, none is an input's, and layers read inputs or earlier layers.

    `inputs` are the names of the network's inputs.
    """
    problems: list[Problem] = []
    known_inputs = repr(next(iter(inputs))) if len(inputs) == 1 else f"one of the inputs {', '.join(map(repr, inputs))}"
    position: dict[str, int] = {}
    for k, (name, _) in enumerate(layers):
        if name in inputs:
            problems.append(Problem(f"layers[{k}].name", f"{name!r} is reserved for an input"))
        elif name in position:
            problems.append(Problem(f"layers[{k}].name", f"{name!r} is already the name of layers[{position[name]}]"))
        position.setdefault(name, k)
    for k, (name, sources) in enumerate(layers):
        if len(problems) >= MOST_PROBLEMS:
            break
        for i, source in enumerate(sources):
            path = f"layers[{k}].inputs[{i}]"
            if source in inputs:
                continue
            if source not in position:
                problems.append(Problem(path, f"{source!r} is neither an earlier layer nor {known_inputs}"))
            elif position[source] >= k and _reaches(layers, position, source, k):
                problems.append(Problem(path, f"{source!r} makes a cycle with {name!r}; expected an earlier layer"))
            elif position[source] >= k:
                problems.append(Problem(path, f"{source!r} stands later in the list; expected topological order"))
    if problems:
        raise InvalidError(problems)


def all_before(inputs: Mapping[str, Sequence[str]], name: str) -> set[str]:
    """For each layer, the layers that its output is made from, given what each layer reads."""
    found: set[str] = set()
    todo = [name]
    while todo:
        new = [one for one in inputs.get(todo.pop(), ()) if one not in found]
        found.update(new)
        todo += new
    return found & {*inputs}


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
