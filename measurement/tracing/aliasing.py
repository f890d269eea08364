"""What a graph's operations do to memory: observed in one run, then written into the graph as dependencies.

A graph that runs in the order it was recorded may rely on in-place operations that a later reader sees through another
name. Cut in two, its parts run in another order. `observe` therefore rewires each reader of a changed tensor to the
operation that changed it; after that the graph means the same if every operation were out of place, and any split of
it is right. Where no such rewiring exists (a view read after its base changed) it raises `AliasingError`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from lmos_opt.profile import DTYPE_BYTES, TensorSpec, Work
from measurement.onnx_files.operators import Operator
from measurement.tracing.layer_work import macs
from measurement.tracing.stored import plain
from measurement.tracing.work import VIEW, kind_of, together

Geometry = tuple[int, torch.dtype, int, tuple[int, ...], tuple[int, ...]]
"""Storage, dtype, offset, shape, strides: two tensors of equal geometry are the same numbers."""


class AliasingError(Exception):
    """A graph whose mutations cannot be expressed as dependencies, or with values that cannot stand between two layers."""


@dataclass(frozen=True)
class Slot:
    """Stands for the k-th tensor in a node's value, where the value is kept without its tensors."""

    k: int


@dataclass(frozen=True)
class NodeFacts:
    """What one node did: `tensors` it returned, in order; its `value` with a Slot for each of them; `gaps_of` each.

    `mutates` are the argument nodes that it changed in place, `shares` the argument nodes whose memory its result is
    made of, at least in part. `macs` counts its multiply-accumulates, `work` says of which kinds its operations are and
    what they move, `unknown` names operations without a formula. It `picks` if numbers decided the size of something in it, and
    `varies` if they decide the size of a tensor that it returned.
    """

    tensors: tuple[TensorSpec, ...]
    value: Any
    gaps: tuple[tuple[int, ...] | None, ...] = ()
    mutates: tuple[fx.Node, ...] = ()
    shares: tuple[fx.Node, ...] = ()
    macs: int = 0
    work: tuple[Work, ...] = ()
    unknown: tuple[str, ...] = ()
    picks: bool = False
    varies: bool = False


@dataclass(frozen=True)
class Observed:
    """The facts of every node, and what the graph returned."""

    facts: dict[fx.Node, NodeFacts]
    output: Any


def observe(graph_module: fx.GraphModule, *example: Tensor) -> Observed:
    """Run the graph once on `example`, a tensor for each input (which it may change); note each node's facts, and rewire readers.

    Raises AliasingError if a value is read after its memory changed under it, or where the network's own state does.
    """
    watcher = _Watcher(graph_module)
    output = watcher.run(*example)
    for node, (args, kwargs) in watcher.rewired.items():
        node.args, node.kwargs = args, kwargs
    graph_module.recompile()
    return Observed(watcher.facts, output)


def gaps_of(tensor: Tensor) -> tuple[int, ...] | None:
    """The strides of a tensor with gaps between its elements, with several that are one (stride 0), or in another order than
    its dimensions: a part may view it as only this layout allows.

    None if the elements lie one after another, and if they overlap in another way.
    """
    layout = sorted((stride, n) for stride, n in zip(tensor.stride(), tensor.shape, strict=True) if n != 1 and stride)
    end = 1
    for stride, n in layout:
        if stride < end:
            return None
        end = stride * n
    return None if tensor.is_contiguous() else tensor.stride()


def tensor_spec(tensor: Tensor) -> TensorSpec:
    """Shape and dtype of a tensor, in the profile's words. AliasingError for a dtype that has none."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPE_BYTES:
        way = "; quantize_dynamic keeps what lies between layers in float32" if tensor.is_quantized else ""
        raise AliasingError(f"a tensor between its layers has the dtype {dtype}, which cannot be sent{way}")
    return TensorSpec.model_validate({"shape": tuple(tensor.shape), "dtype": dtype})


_METADATA = """
    size dim ndimension numel nelement element_size stride storage_offset is_contiguous is_floating_point is_complex
    get_device type __len__ sym_size sym_numel sym_stride
"""
_METADATA_METHODS = frozenset(_METADATA.split())


def reads_only_metadata(node: fx.Node) -> bool:
    """Whether a node without tensors in its value looks at shapes and types of its tensors, never at their numbers."""
    if node.op == "call_method":
        return str(node.target) in _METADATA_METHODS
    if node.target in {getattr, operator.getitem, len}:
        return True
    name = str(getattr(node.target, "overloadpacket", getattr(node.target, "__name__", "")))
    return name.removeprefix("aten.") in _METADATA_METHODS


class _WorkSeen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-accumulates of the operations that run under it, and lists what each of them does.

    `written` are tensors that an operation on lists changed in place: under this mode their versions do not show it.
    What an operation of higher order (`torch.cond`) does inside is not seen.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.work: list[Work] = []
        self.unknown: dict[str, None] = {}
        self.written: list[Tensor] = []
        self.picks = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not isinstance(func, OpOverload):
            self.unknown[str(func)] = None
            return result
        op = str(func.overloadpacket)
        self.picks = self.picks or _picks(func, args)
        if op.startswith("aten._foreach_") and func._schema.is_mutable:
            self.written += _tensors(args[:1])
        shapes = tree_map_only((Tensor, torch.ScriptObject), _shape, args)
        first = next((tuple(leaf.shape) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), ())
        count = macs(op, shapes, first)
        if count is None:
            self.unknown[op] = None
        self.macs += count or 0
        if not op.startswith("aten.empty"):  # memory asked for is no work yet
            is_view = (func.is_view and not func._schema.is_mutable) or op == "aten._unsafe_view"
            kind = VIEW if is_view else kind_of(op, shapes)
            written = _tensors(result)[:1] if kind == "norm" else result  # without the statistics, which nobody needs here
            moved = 0 if is_view else _bytes((args, kwargs)) + _bytes(written)
            self.work.append(Work(kind=kind, operations=1, macs=count or 0, bytes=moved))
        return result

    def count(self, layer: Operator, args: Any, value: Any) -> None:
        """Count the work of a layer that torch cannot see into."""
        op, like = layer.likeness()
        count = macs(op, like, layer.program.outputs[0].shape)
        if count is None:
            self.unknown[op] = None
        moved = _bytes((args, list(layer.weights().values()))) + _bytes(value)
        self.macs, self.work = count or 0, [Work(kind=kind_of(op, like), operations=1, macs=count or 0, bytes=moved)]


@dataclass(frozen=True)
class _Region:
    """A tensor that a node returned earlier: `alone` if it is the node's whole value."""

    node: fx.Node
    geometry: Geometry
    alone: bool


class _Watcher(fx.Interpreter):
    """Runs a graph in order; memory is freed after the last reader, as in the network itself."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        super().__init__(graph_module)
        self.facts: dict[fx.Node, NodeFacts] = {}
        self.rewired: dict[fx.Node, tuple[Any, Any]] = {}
        self._now: dict[fx.Node, fx.Node] = {}  # a changed value's node -> the node that holds its present numbers
        self._stale: dict[fx.Node, fx.Node] = {}  # a value that changed under its readers -> by which node
        self._regions: dict[int, list[_Region]] = {}
        self._state: set[int] = set()
        self._storages: dict[int, StorageWeakRef] = {}  # weak references that keep addresses from being used again

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        read = {node: _tensors(self.env[node]) for node in n.all_input_nodes}
        before = {id(t): _version(t) for tensors in read.values() for t in tensors}
        if n.op == "get_attr" and isinstance(self.fetch_attr(str(n.target)), torch.Generator):
            raise AliasingError(f"it draws from a torch.Generator of its own ({n.target}); draw the numbers outside, and give "
                                "them as input")  # fmt: skip
        with _WorkSeen() as seen:
            value = getattr(self, n.op)(n.target, args, kwargs)
        if n.op == "call_module" and isinstance(layer := self.fetch_attr(str(n.target)), Operator):
            seen.count(layer, args, value)
        present = {a: self._now.get(a, a) for a in read}
        self._rewire(n, present)
        changed = {self._storage(t) for tensors in read.values() for t in tensors if _version(t) != before[id(t)]}
        changed |= {self._storage(t) for t in seen.written} & {self._storage(t) for tensors in read.values() for t in tensors}
        produced = _tensors(value)
        mutates: list[fx.Node] = []
        for storage in changed:
            mutates += self._mutation(n, storage, read, value)
        memory = {self._storage(t) for t in produced}
        self.facts[n] = NodeFacts(
            tensors=tuple(tensor_spec(t) for t in produced) if n.op != "output" else (),
            value=_without_tensors(value) if n.op != "output" else None,
            gaps=tuple(gaps_of(t) for t in produced) if n.op != "output" else (),
            mutates=tuple(present[a] for a in mutates),
            shares=tuple(present[a] for a, tensors in read.items() if any(self._storage(t) in memory for t in tensors)),
            macs=seen.macs,
            work=together(seen.work),
            unknown=tuple(seen.unknown),
            picks=seen.picks,
        )
        if n.op == "get_attr":
            self._state |= memory
        for t in produced:
            self._regions.setdefault(self._storage(t), []).append(_Region(n, self._geometry(t), t is value))
        return value

    def _rewire(self, n: fx.Node, present: dict[fx.Node, fx.Node]) -> None:
        """Note the arguments of `n` with every changed value replaced by the node that holds its present numbers."""
        reads_numbers = n.op == "output" or not reads_only_metadata(n)
        for source in present:
            if source in self._stale and reads_numbers:
                raise AliasingError(f"{n} reads {source}, whose memory {self._stale[source]} has changed in between")
        if any(a is not b for a, b in present.items()):
            self.rewired[n] = (fx.map_arg(n.args, present.__getitem__), fx.map_arg(n.kwargs, present.__getitem__))

    def _mutation(self, n: fx.Node, storage: int, read: dict[fx.Node, list[Tensor]], value: Any) -> list[fx.Node]:
        """The argument nodes that `n` changed in `storage`; earlier values there become rewired or stale."""
        if storage in self._state:
            raise AliasingError(f"{n} changes the network's own state")
        regions = {self._geometry(t): t for tensors in read.values() for t in tensors if self._storage(t) == storage}
        returned = self._geometry(value) if isinstance(value, Tensor) else None
        if returned not in regions and len(regions) > 1:
            raise AliasingError(f"{n} changes one of several overlapping tensors")
        target = returned if returned is not None and returned in regions else next(iter(regions))
        for region in self._regions.get(storage, []):
            if region.geometry == target:
                if region.alone and returned == target:
                    self._now[region.node] = n
                else:
                    self._stale[region.node] = n
            elif _overlap(region.geometry, target):
                self._stale[region.node] = n
        found = [a for a, tensors in read.items() if any(self._geometry(t) == target for t in tensors)]
        if any(not isinstance(self.env[a], Tensor) for a in found):
            raise AliasingError(f"{n} changes a tensor inside a tuple")
        return found

    def _storage(self, tensor: Tensor) -> int:
        reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        return int(self._storages.setdefault(int(reference.cdata), reference).cdata)

    def _geometry(self, tensor: Tensor) -> Geometry:
        return (self._storage(tensor), tensor.dtype, int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride())


def _shape(value: Tensor | torch.ScriptObject) -> tuple[int, ...]:
    """The shape of a tensor, or of the weights in a quantized module's packed object."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    return max((tuple(tensor.shape) for tensor in plain(value)), key=len, default=())


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


_PICKING = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}
"""torch's words for such operations; torchvision's `nms` does not use them."""


def _picks(func: OpOverload, args: Any) -> bool:
    """Whether numbers decide the size of what an operation returns, or become a number of Python's, which may be a size."""
    if func.overloadpacket is torch.ops.aten.index:
        return any(tensor.dtype in {torch.bool, torch.uint8} for tensor in _tensors(args[1]))
    return not _PICKING.isdisjoint(func.tags) or func.overloadpacket.__name__ == "nms"


def _bytes(value: Any) -> int:
    """Bytes of a value's tensors, each once."""
    return sum(t.numel() * t.element_size() for t in {id(t): t for t in _tensors(value)}.values())


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _without_tensors(value: Any) -> Any:
    counter = iter(range(len(_tensors(value))))
    return tree_map_only(Tensor, lambda _: Slot(next(counter)), value)


def _overlap(a: Geometry, b: Geometry) -> bool:
    """Whether two regions of one storage have an element in common (assumed where their dtypes differ)."""
    if a[1] != b[1]:
        return True
    if 0 in a[3] or 0 in b[3]:
        return False
    extent = max(g[2] + sum((n - 1) * s for n, s in zip(g[3], g[4], strict=True)) for g in (a, b)) + 1
    touched = torch.zeros(extent, dtype=torch.bool)
    touched.as_strided(a[3], a[4], a[2]).fill_(True)
    return bool(touched.as_strided(b[3], b[4], b[2]).any())
