"""Large convolutions in a row that stay in the layout they are computed in.

oneDNN computes convolutions in a layout of its own: it copies the input there, and the output from there. Its input's copy lies
beside the input and the output's copy, a third more than the input and the output that a memory model counts (VGG16's second
layer: 39 MB, not 26). Here a convolution whose input comes from another one, by a ReLU, takes it as that one made it, and
the copy is all there is. The arithmetic is the same, and so are the bits.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping

import torch
from torch import fx, nn

WORTH_BYTES = 4_000_000
"""An input below is not worth it."""


def spare_copies(body: fx.GraphModule, bytes_of: Mapping[str, int]) -> int:
    """Join a graph's large convolutions with those that make their input; how many there were.

    `bytes_of` are the sizes of the values by the nodes' names. None on processors for which this was not tried.
    """
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if platform.machine() not in {"x86_64", "AMD64"} or not has_onednn:
        return 0
    joined = 0
    for node in list(body.graph.nodes):
        relu = _sole_source(node)
        first = _plain_source(relu)
        if (first is None or relu is None or not (_is(body, node, nn.Conv2d) and _is(body, relu, nn.ReLU))
                or not _is(body, first, nn.Conv2d) or bytes_of.get(relu.name, 0) < WORTH_BYTES):  # fmt: skip
            continue
        _join(body.graph, first, relu, node)
        joined += 1
    if joined:
        body.recompile()
    return joined


def _join(graph: fx.Graph, first: fx.Node, relu: fx.Node, last: fx.Node) -> None:
    if relu.args[0] is first:
        with graph.inserting_before(first):
            first.args = (graph.call_method("to_mkldnn", first.args),)
    else:  # the first is the last of another pair
        (plain,) = relu.args
        relu.args = (first,)
        graph.erase_node(plain)  # type: ignore[arg-type]
    with graph.inserting_after(last):
        plain = graph.call_method("to_dense", (last,))
    last.replace_all_uses_with(plain, delete_user_cb=lambda user: user is not plain)


def _sole_source(node: fx.Node | None) -> fx.Node | None:
    """The one value that a node reads and nobody else does."""
    if node is None or len(node.args) != 1 or node.kwargs or not isinstance(node.args[0], fx.Node):
        return None
    return node.args[0] if len(node.args[0].users) == 1 else None


def _plain_source(node: fx.Node | None) -> fx.Node | None:
    """The same, seen through `to_dense`."""
    found = _sole_source(node)
    return _sole_source(found) if found is not None and found.target == "to_dense" else found


def _is(body: fx.GraphModule, node: fx.Node, kind: type[nn.Module]) -> bool:
    """Whether a node is a module of this very kind, on one value; a convolution must be of float32 and pad with zeros."""
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
        return False
    layer = body.get_submodule(str(node.target))
    return type(layer) is kind and (not isinstance(layer, nn.Conv2d) or (
        layer.padding_mode == "zeros" and not isinstance(layer.padding, str) and layer.weight.dtype == torch.float32))
