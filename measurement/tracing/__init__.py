"""A network as layers with their real graph: traced, checked against the network itself, grouped and named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves

from lmos_opt.errors import THEIR_ERRORS, first_line
from lmos_opt.graph import INPUT
from lmos_opt.imports import late
from lmos_opt.profile import Granularity, NetworkProfile, NetworkSource
from lmos_opt.tensors import Argument, InputSpec
from measurement.adapters import adapted
from measurement.errors import ExampleError, UntraceableError
from measurement.tracing.aliasing import AliasingError, NodeFacts, Observed, observe
from measurement.tracing.calls import ByParameter, Call, Example, bound, call_of, input_spec, unusual
from measurement.tracing.capture import (
    attribute,
    capture_batches_with_export,
    capture_whole_with_fx,
    capture_with_export,
    capture_with_fx,
    is_module_of_torch,
    quiet,
)
from measurement.tracing.grouping import TracedLayer, check_names, module_layers, paper_layers, snake_case
from measurement.tracing.kept import Document, as_document, from_document
from measurement.tracing.opaque import Keep, check_plain, checked_names, whole_layers, with_parents
from measurement.tracing.undisturbed import Kept, Watch, generators, undisturbed
from measurement.tracing.varying import with_varying

_SEED = 20
"""Of the numbers that stand in for an example of equal numbers, on which different networks can agree."""
_LONGEST_REASON = 300
"""Characters of a tracer's own complaint that are shown."""
_OTHER = "the recorded graph gives another output than the network"
_RANDOM = "it is not deterministic: two runs on one input differ; draw random numbers outside, and give them as input"
_DRAWS = 8
"""Runs of a network that draws random numbers, to see whether its output depends on them: by chance two may agree."""
_AGAIN = 8
"""Runs of a network that changes its own attributes, to see whether its output depends on them."""
_BRANCHING = ("data-dependent", "inputs to control flow")

__all__ = ["ShapeRange", "TracedLayer", "TracedNetwork", "trace", "trace_network"]

ShapeRange = tuple[tuple[int, int | None], ...]


@dataclass(frozen=True)
class TracedNetwork:
    """A network's graph and its layers in program order.

    `graph_module` computes the network's output, with no reader relying on an in-place change that it does not read
    itself; it holds the network's own parameters, not copies. `facts` has what each node did on the example.
    `structure` is (name, kind, inputs) of each layer at granularity `module`, whatever `granularity` is.
    `output_structure` rebuilds the network's output from its leaves. `shape_range` has, for each input, the least and the
    largest size of each dimension for which the graph is valid (None as a size: no limit, but the same size for all inputs). It is
    None if the operations themselves decide this. `call` says how inputs are passed. `opaque` are the layers that are parts kept
    whole, by name, each with the reason. `document` is the graph in a form that can be kept (`measurement.tracing.kept`), if
    torch.export made it: to read it is faster. `module` is the network itself.
    """

    name: str
    module: nn.Module
    graph_module: fx.GraphModule
    layers: tuple[TracedLayer, ...]
    input_tensors: dict[str, InputSpec]
    call: Call
    granularity: Granularity
    structure: tuple[tuple[str, str, tuple[str, ...]], ...]
    facts: dict[fx.Node, NodeFacts]
    output_structure: TreeSpec
    shape_range: dict[str, ShapeRange] | None
    opaque: dict[str, str]
    document: Document | None = None

    @property
    def input(self) -> InputSpec | None:
        """The only input, if it is called `input`; otherwise None."""
        return self.input_tensors.get(INPUT) if len(self.input_tensors) == 1 else None

    @property
    def arguments(self) -> dict[str, Argument] | None:
        """How a call is made; None if the names of the inputs say it."""
        return self.call.for_file

    @cached_property
    def returned(self) -> frozenset[str]:
        """The layers with an output in the network's result."""
        held = set(next(iter(reversed(self.graph_module.graph.nodes))).all_input_nodes)
        return frozenset(layer.name for layer in self.layers if held.intersection(layer.nodes))

    @cached_property
    def uncut(self) -> frozenset[str]:
        """The layers that no cut may part from their readers: the size of what they hand on depends on numbers."""
        return frozenset(layer.name for layer in self.layers if any(self.facts[node].varies for node in layer.values))

    @cached_property
    def called(self) -> dict[fx.Node, nn.Module]:
        """The module that each `call_module` node calls."""
        return {node: self.graph_module.get_submodule(str(node.target)) for node in self.graph_module.graph.nodes
                if node.op == "call_module"}  # fmt: skip

    def profile(self, *, name: str | None = None, network: NetworkSource | None = None) -> NetworkProfile:
        """The network's profile; `name` and `network` as in `profile_network`. The graph is not traced again."""
        found: NetworkProfile = late("measurement.profiling:profile_traced")(self, name=name, network=network)
        return found

    def tensors_of(self, example: Example) -> list[Tensor]:
        """The tensors of another example of the same structure, in the order of `input_tensors`. InputError for other ones."""
        if isinstance(example, ByParameter) and self.call.signature is not None:
            args, options = bound(self.call.signature, example)
        else:
            args = (example,) if isinstance(example, Tensor) else example if isinstance(example, tuple) else ()
            options = dict(example) if isinstance(example, Mapping) else {}
        return self.call.tensors(args, options)

    def attribute(self, node: fx.Node) -> Any:
        """The parameter, buffer or constant of a `get_attr` node."""
        return attribute(self.graph_module, str(node.target))


def trace(module: nn.Module, example: Example, granularity: Granularity = "module", *,
          opaque: Collection[str] = ()) -> TracedNetwork:  # fmt: skip
    """The traced network, as by `trace_network`. One tracing is enough for `profile()` and for any number of `runner.split`."""
    return trace_network(module, example, granularity, opaque=opaque)


_ALONE = threading.RLock()
"""torch's tracers change classes of torch while they run. Two threads that trace at the same time would restore each other's
changes, and leave them in torch."""


def trace_network(module: nn.Module, example_input: Example, granularity: Granularity = "module", *,
                  opaque: Collection[str] = (), document: Document | None = None) -> TracedNetwork:  # fmt: skip
    """The graph and the layers of `module` in eval mode. The module is left unchanged.

    `example_input` is a tensor, a tuple of arguments or a dictionary of them by name. Each part that `opaque` names (by its path,
    as in `named_modules`) is one layer, and so is each smallest part that neither torch.fx nor torch.export can follow. A
    `document` of an earlier tracing saves time if it is of this network, and is ignored otherwise.

    The graph is checked: on the example it gives the network's own output, bit for bit (with parameters on torch's `meta` device:
    the same shapes). Raises InputError if the example does not fit the network, or the network does not have this `granularity`,
    and UntraceableError if neither torch.fx nor torch.export gives a faithful graph.
    """
    name = snake_case(type(module).__name__)
    call, example = call_of(module, example_input, name)
    with _ALONE, undisturbed(module, name) as watch, torch.inference_mode(False), torch.no_grad():
        probe = _Probe(module, call, [_probe(tensor) for tensor in example])
        expected = _expected(probe, name, watch)
        seen, whole = adapted(module) or (module, frozenset[str]())
        named = checked_names(seen, opaque, name) | whole
        ways = _Ways(replace(probe, module=seen), named, document)
        graph_module, observed, shape_range, keep = _faithful_graph(ways, expected, name, watch)
        with quiet():
            facts = with_varying(graph_module, observed.facts)
        fine = module_layers(graph_module, facts, call.names)
        if not fine:
            raise UntraceableError(name, ["it computes nothing"])
        check_names(name, fine)
        layers = fine if granularity == "module" else paper_layers(module, graph_module, facts, name)
    return TracedNetwork(
        name=name,
        module=module,
        graph_module=graph_module,
        layers=layers,
        input_tensors={key: input_spec(tensor) for key, tensor in zip(call.names, example, strict=True)},
        call=call,
        granularity=granularity,
        structure=tuple((layer.name, layer.kind, layer.inputs) for layer in fine),
        facts=facts,
        output_structure=tree_flatten(expected)[1],
        shape_range=shape_range,
        opaque=whole_layers(fine, keep.whole),
        document=_document(graph_module, seen, shape_range),
    )


def _document(graph_module: fx.GraphModule, module: nn.Module, shape_range: dict[str, ShapeRange] | None) -> Document | None:
    """Of a graph that torch.export made: the others are made as fast as they are read."""
    if shape_range is None or (found := as_document(graph_module, module)) is None:
        return None
    return {**found, "shapes": {key: [[*ends] for ends in of] for key, of in shape_range.items()}}


@dataclass(frozen=True)
class _Probe:
    """A network, and what it is run on."""

    module: nn.Module
    call: Call
    tensors: list[Tensor]

    def copies(self) -> list[Tensor]:
        """The tensors, to be changed by whoever gets them."""
        return [tensor.clone() for tensor in self.tensors]

    @property
    def shapes(self) -> str:
        """In words: of which shape they are."""
        found = [str(list(tensor.shape)) for tensor in self.tensors]
        return f"an input of shape {found[0]}" if len(found) == 1 else f"inputs of shapes {', '.join(found)}"


def _probe(example: Tensor) -> Tensor:
    """What the network is run on: the example's numbers, or seeded ones where the example's are all equal and no whole numbers."""
    probe = example.detach().clone()
    if probe.is_meta or not probe.is_floating_point() or probe.numel() < 2 or bool((probe != probe.flatten()[0]).any()):
        return probe
    return probe.copy_(torch.rand(probe.shape, generator=torch.Generator().manual_seed(_SEED)))


def _expected(probe: _Probe, name: str, watch: Watch) -> Any:
    """What the network returns. UntraceableError if that depends on random numbers that it draws, or on what earlier runs left."""
    before = generators()
    expected = _run(probe, name, watch)
    if generators() != before and not all(_same(_run(probe, name, watch), expected) for _ in range(_DRAWS)):
        raise UntraceableError(name, [_RANDOM])
    changed = watch.altered
    for _ in range(_AGAIN if changed else 0):
        kept = Kept(probe.module)
        if not _same(_run(probe, name, watch), expected):
            raise UntraceableError(name, [f"its forward changes its own attribute {changed}, and computes something else the next "
                                          "time; let it take that as an input and return what it becomes, and keep it outside"])
        if not (changed := kept.altered):  # from here on each run is as the one before
            break
    return expected


def _run(probe: _Probe, name: str, watch: Watch) -> Any:
    try:
        with watch:
            args, options = probe.call.put(probe.copies())
            output = probe.module(*args, **options)
    except THEIR_ERRORS as error:  # a network's forward may raise anything
        raise ExampleError(name, f"fails on {probe.shapes}: {first_line(error)}") from error
    if changed := watch.changed():
        raise UntraceableError(name, [f"its forward changes its own parameters or buffers in eval mode ({changed}); let it return "
                                      "what it would keep, and keep that outside; where only its first call does so, call it "
                                      "once before"])  # fmt: skip
    for leaf in tree_leaves(output):
        if not isinstance(leaf, Tensor | int | float | str | None):
            raise UntraceableError(name, [f"its output holds a {type(leaf).__name__}; expected tensors, alone or in tuples, lists, "
                                          f"dictionaries or named tuples: {_way_out(leaf)}"])  # fmt: skip
        if isinstance(leaf, Tensor) and (wrong := unusual(leaf)) is not None:
            raise UntraceableError(name, [f"its output holds a tensor that cannot be sent, {wrong}; let it return plain ones"])
    if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(output)):
        raise UntraceableError(name, ["its output holds no tensor; wrap it in a module that returns one"])
    return output


class _Way(NamedTuple):
    """How a graph may be had, the shapes that it then stands for, and the parts that stay whole. Nothing is told of a silent one
    that fails. One that is `alike` is left out where the way before it gave another output: it would record the same operations,
    and there is a way behind it that gives the network's own output."""

    name: str
    capture: Callable[[], fx.GraphModule]
    shapes: dict[str, ShapeRange] | None
    keep: Keep
    silent: bool = False
    alike: bool = False


@dataclass(frozen=True)
class _Ways:
    """What is traced, the parts that were named to stay whole, and a graph that was kept."""

    probe: _Probe
    named: frozenset[str]
    document: Document | None

    def __iter__(self) -> Iterator[_Way]:
        """The ways, the fastest first."""
        module, call, tensors, named = self.probe.module, self.probe.call, self.probe.tensors, self.named
        shapes = {key: tensor.shape for key, tensor in zip(call.names, tensors, strict=True)}
        none, layers, parts = Keep(named), Keep(named, "layers"), Keep(named, "parts")
        if self.document is not None and not named:
            kept = partial(from_document, self.document, module)
            yield _Way("the kept graph", kept, _ranges(self.document.get("shapes"), shapes), none, silent=True)
        yield _Way("torch.fx", lambda: capture_with_fx(module, call, none), None, none)
        yield _Way("torch.fx, which keeps layers whole", lambda: capture_with_fx(module, call, layers), None, layers)
        if not named:  # torch.export follows all or nothing
            any_batch: dict[str, ShapeRange] = {key: tuple((min(n, 2), None) if k == 0 else (n, n) for k, n in enumerate(shape))
                                                for key, shape in shapes.items()}  # fmt: skip
            yield _Way("torch.export for any batch", lambda: capture_batches_with_export(module, *tensors, call=call), any_batch,
                       none)  # fmt: skip
            as_one = is_module_of_torch(module) and len(tensors) == 1
            yield _Way("torch.export", lambda: capture_with_export(module, *tensors, call=call), _alone(shapes), none, alike=as_one)
            if as_one:
                yield _Way("torch.fx as one layer", lambda: capture_whole_with_fx(module), None, none)
        yield _Way("torch.fx, which keeps parts whole", lambda: capture_with_fx(module, call, parts), None, parts)


def _alone(shapes: Mapping[str, torch.Size]) -> dict[str, ShapeRange]:
    """These shapes and no others."""
    return {key: tuple((n, n) for n in shape) for key, shape in shapes.items()}


def _ranges(kept: Any, shapes: Mapping[str, torch.Size]) -> dict[str, ShapeRange]:
    """The shapes for which a kept graph is valid, by its file; only `shapes` if the file is unreadable or excludes them."""
    try:
        found: dict[str, ShapeRange] = {key: tuple((low, high) for low, high in kept[key]) for key in shapes}
        holds = all(len(found[key]) == len(shape) and all(low <= n and (high is None or n <= high)
                    for n, (low, high) in zip(shape, found[key], strict=True)) for key, shape in shapes.items())  # fmt: skip
    except (TypeError, KeyError, ValueError):
        return _alone(shapes)
    return found if holds else _alone(shapes)


def _way_out(value: object) -> str:
    """What a user can do about a value in a network's output that hides its tensors."""
    if is_dataclass(value):
        return f"make the class known by torch.export.register_dataclass({type(value).__name__})"
    cached = "switch the cache off (use_cache=False), or " if "Cache" in type(value).__name__ else ""
    return f"{cached}wrap it in a module that returns these"


def _faithful_graph(
    ways: _Ways, expected: Any, name: str, watch: Watch
) -> tuple[fx.GraphModule, Observed, dict[str, ShapeRange] | None, Keep]:
    probe = ways.probe
    reasons: list[str] = []
    why = ""
    for way, capture, shape_range, keep, silent, alike in ways:
        if alike and why == _OTHER:
            continue
        try:
            with quiet():
                graph_module, observed = with_parents(partial(_seen, capture, probe), keep)
        except AliasingError as error:
            why = str(error).splitlines()[0]  # torch.fx appends lines for its developers
        except THEIR_ERRORS as error:  # tracers raise anything at code they cannot follow
            why = _cut(first_line(error))
        else:
            if _same(observed.output, expected):
                return graph_module, observed, shape_range, keep
            why = _OTHER
        if silent:
            continue
        if keep.reach == "nothing" or not reasons[0].endswith(f": {why}"):  # otherwise the parts that were kept whole did not help
            reasons.append(f"{way}: {why}")
    if not _same(_run(probe, name, watch), expected):
        reasons = [_RANDOM]
    elif any(word in reason for word in _BRANCHING for reason in reasons):
        reasons = ["it chooses what to compute by the numbers in its tensors, not by their shapes, which no graph can hold: "
                   "compute both and choose with torch.where, or split what comes before and after", *reasons]  # fmt: skip
    raise UntraceableError(name, reasons)


def _seen(capture: Callable[[], fx.GraphModule], probe: _Probe) -> tuple[fx.GraphModule, Observed]:
    graph_module = capture()
    observed = _observed(graph_module, probe)
    check_plain(graph_module, {node: facts.value for node, facts in observed.facts.items()})
    return graph_module, observed


def _observed(graph_module: fx.GraphModule, probe: _Probe) -> Observed:
    """As `observe`, for a graph that computes the same again whatever numbers were drawn before. AliasingError for others."""
    before = torch.get_rng_state()
    observed = observe(graph_module, *probe.copies())
    if not torch.equal(torch.get_rng_state(), before) and not _same(graph_module(*probe.copies()), observed.output):
        raise AliasingError("the graph draws random numbers, others each time; draw them outside, and give them as input")
    return observed


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ..."


def _same(a: Any, b: Any) -> bool:
    left, right = tree_leaves(a), tree_leaves(b)
    return len(left) == len(right) and all(_same_leaf(x, y) for x, y in zip(left, right, strict=True))


def _same_leaf(a: Any, b: Any) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return type(a) is type(b) and bool(a == b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.is_meta or bool(((a == b) | (a.isnan() & b.isnan())).all())
