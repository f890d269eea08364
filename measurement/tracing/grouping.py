"""Nodes to layers: which nodes make one layer, what it is called, what it reads and what it hands on."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx, nn
from torch._ops import OpOverload

from lmos_opt.errors import InputError
from lmos_opt.graph import INPUT
from lmos_opt.profile import TensorSpec
from measurement.errors import UntraceableError
from measurement.tracing.aliasing import NodeFacts, Slot, reads_only_metadata

_LONGEST_NAME = 480
"""Files take 500 characters, and a tensor's index stands behind its layer's name."""
Facts = Mapping[fx.Node, NodeFacts]


@dataclass(frozen=True)
class TracedLayer:
    """One layer: its `nodes` in program order, and those `values` among them that anything outside the layer reads.

    `inputs` names earlier layers (or `input`) whose tensors it reads; `outputs` are the tensors in `values`.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    nodes: tuple[fx.Node, ...]
    values: tuple[fx.Node, ...]
    outputs: tuple[TensorSpec, ...]


def input_nodes(graph: fx.Graph) -> list[fx.Node]:
    """The placeholders of the network's input tensors, in their order."""
    return [node for node in graph.nodes if node.op == "placeholder"]


def is_step(node: fx.Node, facts: Facts) -> bool:
    """Whether the node computes a tensor, and so belongs to a layer."""
    return node.op.startswith("call_") and bool(facts[node].tensors)


def module_layers(graph_module: fx.GraphModule, facts: Facts, names: Sequence[str] = (INPUT,)) -> tuple[TracedLayer, ...]:
    """A layer for each call of a leaf module and each functional operation on tensors.

    The item of a tuple that holds just one tensor belongs to what made the tuple. Names are the module's path, or the
    path of the module around an operation and the operation's word; what comes again, or is an
    input's name (`names`), gets `_1`, `_2`.
    """
    graph = graph_module.graph
    steps = [node for node in graph.nodes if is_step(node, facts)]
    groups: dict[fx.Node, list[fx.Node]] = {}
    owner: dict[fx.Node, fx.Node] = {}
    for node in steps:
        source = node.args[0] if node.target is operator.getitem else None
        folded = isinstance(source, fx.Node) and source in owner and _one_result(source, facts[source])
        owner[node] = owner[source] if folded and isinstance(source, fx.Node) else node
        groups.setdefault(owner[node], []).append(node)
    alone = _alone_in_their_module(groups)
    taken = {*names}
    named = []
    for first, nodes in groups.items():
        path, kind = _path(first), _kind(first, graph_module)
        if first.op == "call_module":
            base = str(first.target)
        elif first in alone:
            base, kind = path or alone[first], alone[first]  # a module of torch.nn may be the whole network
        else:
            base = f"{path}.{kind}" if path else kind
        named.append((_unique(base, taken), kind, nodes))
    return _layers(graph, facts, named, names)


_PAPER: dict[str, dict[tuple[int, ...], tuple[str, ...]]] = {
    "torchvision.models.alexnet.AlexNet": {(13, 1, 7): ("features", "avgpool", "classifier")},
    "torchvision.models.vgg.VGG": {(n, 7): ("features", "classifier") for n in (25, 31, 37)},
    "torchvision.models.mobilenetv2.MobileNetV2": {(19, 2): ("features", "classifier")},
}
"""The paper's networks: the sizes of the parts whose children it counts as layers (VGG: the 13, 16 and 19 without
batch normalisation, whose `avgpool` is an identity at 224x224 and not counted)."""


def check_names(network: str, layers: Iterable[TracedLayer]) -> None:
    """Raises UntraceableError for a layer whose name no file could hold."""
    for layer in layers:
        name = layer.name
        if not name.isprintable() or name != name.strip() or len(name) > _LONGEST_NAME:
            raise UntraceableError(network, [f"a layer is called {name[:80]!r}; expected printable text without blanks around it, "
                                             f"of no more than {_LONGEST_NAME} characters: rename the module"])  # fmt: skip


def paper_layers(module: nn.Module, graph_module: fx.GraphModule, facts: Facts, name: str) -> tuple[TracedLayer, ...]:
    """The layers as the paper counts them; an operation outside them belongs to the one before it.

    Raises InputError for any network but the paper's five.
    """
    anchors = _paper_anchors(module)
    if anchors is None:
        raise InputError(name, "has no granularity 'paper': only torchvision's alexnet, vgg13, vgg16, vgg19 and "
                               "mobilenet_v2 have it; use 'module'")
    groups: dict[str, list[fx.Node]] = {}
    current = anchors[0]
    for node in graph_module.graph.nodes:
        if is_step(node, facts):
            path = _path(node)
            current = next((a for a in anchors if path == a or path.startswith(f"{a}.")), current)
            groups.setdefault(current, []).append(node)
    named = [(a, snake_case(type(module.get_submodule(a)).__name__), nodes) for a, nodes in groups.items()]
    return _layers(graph_module.graph, facts, named, (INPUT,))


def _paper_anchors(module: nn.Module) -> list[str] | None:
    for cls in type(module).__mro__:
        for sizes, parts in _PAPER.get(f"{cls.__module__}.{cls.__qualname__}", {}).items():
            children = [module.get_submodule(part) for part in parts]
            if tuple(len(c) if isinstance(c, nn.Sequential) else 1 for c in children) == sizes:
                return [f"{part}.{k}" if isinstance(c, nn.Sequential) else part
                        for part, c in zip(parts, children, strict=True)
                        for k in range(len(c) if isinstance(c, nn.Sequential) else 1)]
    return None


def _layers(graph: fx.Graph, facts: Facts, named: Sequence[tuple[str, str, list[fx.Node]]],
            names: Sequence[str]) -> tuple[TracedLayer, ...]:  # fmt: skip
    owner = {node: name for name, _, nodes in named for node in nodes}
    sources = dict(zip(input_nodes(graph), names, strict=True))
    found = []
    for name, kind, nodes in named:
        inputs: dict[str, None] = {}
        for node in nodes:
            for read in tensors_read(node, facts):
                reader_of = sources.get(read) or owner[read]
                if reader_of != name:
                    inputs[reader_of] = None
        values = [node for node in nodes if any(_hands_on(node, user, owner, facts) for user in node.users)]
        values = values or nodes[-1:]
        outputs = tuple(spec for node in values for spec in facts[node].tensors)
        found.append(TracedLayer(name, kind, tuple(inputs), tuple(nodes), tuple(values), outputs))
    return tuple(found)


def tensors_read(node: fx.Node, facts: Facts) -> Iterable[fx.Node]:
    """The steps (or the input) whose numbers `node` depends on: directly, or through numbers made from tensors. A size that depends
    on numbers is one of these."""
    for source in node.all_input_nodes:
        if facts[source].tensors:
            if source.op != "get_attr" and (is_step(node, facts) or facts[source].varies or not reads_only_metadata(node)):
                yield source
        elif source.op.startswith("call_"):
            yield from tensors_read(source, facts)


def _hands_on(node: fx.Node, user: fx.Node, owner: Mapping[fx.Node, str], facts: Facts) -> bool:
    if user.op == "output":
        return True
    if user in owner:
        return owner[user] != owner[node]
    return facts[node].varies or not reads_only_metadata(user)


def _one_result(node: fx.Node, facts: NodeFacts) -> bool:
    """Whether the tuple that a node returns stands for one tensor: alone in it, or beside a kernel's by-products."""
    if isinstance(facts.value, Slot):
        return False
    word = str(node.target) if isinstance(node.target, OpOverload) else ""
    by_products = "native_" in word or "with_indices" in word
    return len(facts.tensors) == 1 or (by_products and len(node.users) == 1)


def _path(node: fx.Node) -> str:
    """The module that the node stands in: for a call of a leaf module, that module."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(next(reversed(stack.values()))[0]) if stack else ""


def _alone_in_their_module(steps: Iterable[fx.Node]) -> dict[fx.Node, str]:
    """Functional nodes that are all that one call of a torch.nn module consists of, with the kind of that module."""
    calls: dict[str, list[fx.Node]] = {}
    for node in steps:
        stack = node.meta.get("nn_module_stack") or {}
        if node.op == "call_function" and stack:
            calls.setdefault(next(reversed(stack)), []).append(node)
    found = {}
    for nodes in calls.values():
        kind = str(next(reversed(nodes[0].meta["nn_module_stack"].values()))[1])
        if len(nodes) == 1 and kind.startswith("torch.nn.") and ".container." not in kind:
            found[nodes[0]] = snake_case(kind.rpartition(".")[2])
    return found


_WORDS = {
    "concat": "cat", "concatenate": "cat", "convolution": "conv", "iadd": "add", "imul": "mul", "isub": "sub",
    "itruediv": "div", "max_pool2d_with_indices": "max_pool2d", "native_batch_norm_legit_no_training": "batch_norm",
    "native_group_norm": "group_norm", "native_layer_norm": "layer_norm", "truediv": "div",
}  # fmt: skip


def _kind(node: fx.Node, graph_module: fx.GraphModule) -> str:
    if node.op == "call_module":
        return snake_case(type(graph_module.get_submodule(str(node.target))).__name__)
    target: Any = node.args[1] if node.target is getattr else node.target  # `x.max(1).values`: values
    if not isinstance(target, str):
        target = getattr(target, "overloadpacket", target)
        target = getattr(target, "__name__", type(target).__name__)
    word = snake_case(str(target)).strip("_") or "operation"
    return _WORDS.get(word, word)


def snake_case(name: str) -> str:
    """`MaxPool2d` to `max_pool2d`, `ReLU6` to `relu6`."""
    name = re.sub(r"([PR])ReLU", r"\1relu", name).replace("ReLU", "Relu").replace("SiLU", "Silu")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _unique(base: str, taken: set[str]) -> str:
    name, k = base, 0
    while name in taken:
        k += 1
        name = f"{base}_{k}"
    taken.add(name)
    return name
