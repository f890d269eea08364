"""An ONNX file as a network of torch: a graph of operators, each a layer.

The file is run once, on zeros, with all that its nodes put out: so every shape is known, also where nodes compute it. What depends
on no input is a constant. It is kept as the file has it (integers that are scaled stay integers), or as what becomes of it where
that has fewer bytes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, fx, nn

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line
from lmos_opt.tensors import DTYPE_BYTES
from measurement.onnx_files.operators import Array, Operator, Program, Value, subgraphs

LARGEST_BYTES = 1 << 31
"""Of a file with its weights: larger ones are no messages of protobuf, and would be read in other ways."""
_INPUTS = "onnx_inputs"
_RANDOM = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"})
_OF_SHAPES = frozenset({"Shape", "Size"})
"""What these give depends on shapes, which are fixed, and not on numbers."""
_OF_MODULES = {"self", *dir(fx.GraphModule(nn.Module(), fx.Graph()))}
"""What a network of torch has under these names is no layer."""
_FIXED = "with numbers for N in: python -m onnxruntime.tools.make_dynamic_shape_fixed"


class _Reader:
    """Builds the graph of one file, node by node."""

    def __init__(self, path: Path) -> None:
        import onnx

        self._path = path
        self._model = _loaded(path)
        graph = self._model.graph
        for sparse in graph.sparse_initializer:
            raise InputError(f"onnx:{path}", f"its constant {sparse.values.name!r} is sparse; expected dense ones")
        self._stored = {one.name: one for one in graph.initializer}
        self._given = [one for one in graph.input if one.name not in self._stored]
        self.inputs = {one.name: self._input(one) for one in self._given}
        if not self.inputs:
            raise InputError(f"onnx:{path}", "takes no inputs")
        self._versions = {one.domain: one.version for one in self._model.opset_import}
        self._seen = self._run()
        self._constants: dict[str, Tensor] = {}
        self._makers = {name: node for node in graph.node for name in node.output if name}
        self._numpy = onnx.numpy_helper.to_array

    def network(self) -> fx.GraphModule:
        """The whole file."""
        graph, parts = fx.Graph(), dict[str, nn.Module]()
        names = _unique({name: _identifier(name) for name in self.inputs})
        nodes: dict[str, fx.Node] = {name: graph.placeholder(names[name]) for name in self.inputs}
        titles = _unique({k: _title(node, k) for k, node in enumerate(self._model.graph.node)}, _OF_MODULES)
        for k, node in enumerate(self._model.graph.node):
            if not any(name in nodes for name in _read(node)) or node.op_type in _OF_SHAPES:
                self._check_constant(node)
                continue
            program = self._program(node, nodes)
            parts[titles[k]] = _kind(node.op_type)(program, {name: self._constant(name) for name in self._leaves(program)})
            made = graph.call_module(titles[k], tuple(nodes[value.name] for value in program.inputs))
            outputs = [value.name for value in program.outputs]
            for place, name in enumerate(outputs):
                nodes[name] = made if len(outputs) == 1 else graph.call_function(operator.getitem, (made, place))
        graph.output(self._result(nodes))
        found = fx.GraphModule(parts, graph, class_name=_class_name(self._path))
        found.meta[_INPUTS] = {names[name]: value for name, value in self.inputs.items()}
        return found

    def _input(self, one: Any) -> Value:
        import onnx

        where, kind = f"onnx:{self._path}", one.type.tensor_type
        if not one.type.HasField("tensor_type"):
            raise InputError(where, f"its input {one.name!r} is no tensor")
        sizes = []
        for k, dim in enumerate(kind.shape.dim):
            if dim.dim_value < 1 and k:
                raise InputError(where, f"its input {one.name!r} has the size {dim.dim_param or '?'} in dimension {k}; expected a "
                                        f"number: write the file with fixed sizes, {_FIXED} --input_name {one.name} --input_shape "
                                        f"{_with_numbers(kind.shape.dim)} FILE NEW_FILE")  # fmt: skip
            sizes.append(max(dim.dim_value, 1))
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        return Value(one.name, tuple(sizes), self._dtype(dtype, f"its input {one.name!r}"))

    def _dtype(self, dtype: Any, what: str) -> torch.dtype:
        found = getattr(torch, str(np.dtype(dtype)), None)
        if found is None or str(found).removeprefix("torch.") not in DTYPE_BYTES:
            raise InputError(f"onnx:{self._path}", f"{what} has the dtype {dtype}, which cannot be sent")
        assert isinstance(found, torch.dtype)
        return found

    def _run(self) -> dict[str, Array]:
        """All that the nodes put out on zeros, by name."""
        import onnx
        import onnxruntime

        for node in self._model.graph.node:
            if node.op_type in _RANDOM:
                raise InputError(f"onnx:{self._path}", f"draws random numbers ({node.op_type} {node.name!r}), others each time; "
                                                       "draw them outside, and give them as input")
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        known = {one.name for one in model.graph.output}
        names = [name for node in model.graph.node for name in node.output if name]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        zeros = {name: np.zeros(value.shape, str(value.dtype).removeprefix("torch.")) for name, value in self.inputs.items()}
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            found = session.run(None, zeros)
        except THEIR_ERRORS as error:
            raise InputError(f"onnx:{self._path}", f"cannot be run by onnxruntime: {first_line(error)}") from error
        return dict(zip((one.name for one in session.get_outputs()), found, strict=True))

    def _value(self, name: str) -> Value:
        array = self._seen[name]
        if not isinstance(array, np.ndarray):
            raise InputError(f"onnx:{self._path}", f"{name!r} between its layers is no tensor")
        return Value(name, array.shape, self._dtype(array.dtype, f"{name!r} between its layers"))

    def _program(self, node: Any, nodes: Mapping[str, fx.Node]) -> Program:
        read = list(dict.fromkeys(_read(node)))
        inputs = tuple(self.inputs[name] if name in self.inputs else self._value(name) for name in read if name in nodes)
        outputs = tuple(self._value(name) for name in node.output if name)
        made = [maker for name in read if name not in nodes for maker in self._kept(name)]
        unique = list({id(maker): maker for maker in made}.values())
        shapes = tuple(self._shape(name) for name in node.input)
        return Program(tuple(_apart(one) for one in (*unique, node)), inputs, outputs, shapes, self._versions)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self.inputs:
            return self.inputs[name].shape
        if name in self._stored:
            return tuple(self._stored[name].dims)
        return self._seen[name].shape if name else ()

    def _kept(self, name: str) -> list[Any]:
        """The nodes that make a constant, in order, where what they read is smaller than it; none where it is kept itself."""
        maker = self._makers.get(name)
        if maker is None or maker.op_type in _OF_SHAPES or not maker.input or (maker.attribute and subgraphs(maker)):
            return []
        read = list(_read(maker))
        if any(one in self.inputs or (one not in self._stored and one not in self._makers) for one in read):
            return []
        below = [kept for one in read for kept in self._kept(one)]
        if sum(self._bytes(one) for one in read) >= self._bytes(name):
            return []
        return [*below, maker]

    def _bytes(self, name: str) -> int:
        return int(self._constant(name).nbytes)

    def _leaves(self, program: Program) -> list[str]:
        """The constants that a program reads and does not make."""
        made = {name for node in program.nodes for name in node.output} | {value.name for value in program.inputs}
        return list(dict.fromkeys(name for node in program.nodes for name in _read(node) if name not in made))

    def _constant(self, name: str) -> Tensor:
        if name not in self._constants:
            array = self._numpy(self._stored[name]) if name in self._stored else self._seen[name]
            if self._dtype(array.dtype, f"its constant {name!r}") == torch.bfloat16:
                raise InputError(f"onnx:{self._path}", f"its constant {name!r} has the dtype bfloat16; expected float32 or float16")
            tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape).copy())
            self._constants[name] = nn.Parameter(tensor, requires_grad=False) if tensor.is_floating_point() else tensor
        return self._constants[name]

    def _check_constant(self, node: Any) -> None:
        for name in node.output:
            if name and not isinstance(self._seen[name], np.ndarray):
                raise InputError(f"onnx:{self._path}", f"its constant {name!r} is no tensor")

    def _result(self, nodes: Mapping[str, fx.Node]) -> Any:
        names = [one.name for one in self._model.graph.output]
        for name in names:
            if name not in nodes:
                raise InputError(f"onnx:{self._path}", f"its output {name!r} depends on no input; leave it out")
        return nodes[names[0]] if len(names) == 1 else {name: nodes[name] for name in names}


def read_onnx(path: Path) -> fx.GraphModule:
    """The network that a file holds. InputError names what cannot be read, or run, or cut."""
    return _Reader(path).network()


def check_file(path: Path) -> None:
    """Raises InputError if there is no such file."""
    if not path.is_file():
        raise InputError(f"onnx:{path}", "is a folder; expected a .onnx file" if path.is_dir() else "no such file")


def inputs_of(network: nn.Module) -> dict[str, Value]:
    """What a network that `read_onnx` made takes, by the names of its forward's parameters."""
    assert isinstance(network, fx.GraphModule)
    found: dict[str, Value] = network.meta[_INPUTS]
    return found


def _loaded(path: Path) -> Any:
    import onnx.inliner

    where = f"onnx:{path}"
    check_file(path)
    try:
        model = onnx.load(str(path))
        if model.ByteSize() >= LARGEST_BYTES:
            raise InputError(where, f"holds {model.ByteSize()} bytes with its weights; expected less than {LARGEST_BYTES}")
        open_shapes = [one.type.tensor_type for one in model.graph.output if not one.type.tensor_type.HasField("shape")]
        for kind in open_shapes:  # onnxruntime finds them; the checker would refuse them
            kind.shape.SetInParent()
        onnx.checker.check_model(model)
        for kind in open_shapes:
            kind.ClearField("shape")
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except InputError:
        raise
    except THEIR_ERRORS as error:
        raise InputError(where, f"is not an ONNX file that can be read: {first_line(error)}") from error
    return model


def _with_numbers(dims: Sequence[Any]) -> str:
    """The sizes of an input, N for those that are free, but 1 for the first: pictures come one by one."""
    return ",".join(str(dim.dim_value) if dim.dim_value > 0 else "N" if k else "1" for k, dim in enumerate(dims))


def _read(node: Any) -> Iterator[str]:
    """The names that a node reads, those inside its branches included."""
    yield from (name for name in node.input if name)
    for graph in subgraphs(node):
        made = {one.name for one in (*graph.input, *graph.initializer)} | {name for inner in graph.node for name in inner.output}
        yield from (name for inner in graph.node for name in _read(inner) if name not in made)
        yield from (one.name for one in graph.output if one.name not in made)


def _apart(node: Any) -> Any:
    """A copy of a node: the node itself keeps the file that it is part of in memory, with all weights."""
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def _kind(op_type: str) -> type[Operator]:
    """A class called as the operation: a layer's kind is its class's name."""
    return cast(type[Operator], type(op_type, (Operator,), {"__module__": Operator.__module__}))


def _title(node: Any, k: int) -> str:
    """What a layer is called: as its node, with `/` where the file has dots; by its kind and number where it has no name."""
    name = "".join(sign if sign.isprintable() else "_" for sign in node.name.strip().strip("/")).replace(".", "/")
    return name[-400:] or f"{node.op_type}_{k}"


def _identifier(name: str) -> str:
    found = re.sub(r"\W", "_", name, flags=re.ASCII) or "input"
    return f"_{found}" if found[0].isdigit() or found == "self" or iskeyword(found) else found


def _class_name(path: Path) -> str:
    return "".join(word.capitalize() for word in re.split(r"\W+|_", path.stem, flags=re.ASCII) if word) or "Network"


def _unique(names: dict[Any, str], others: Collection[str] = ()) -> dict[Any, str]:
    """The names, each once and none of the others: what comes again gets a number."""
    taken = {*others}
    found = {}
    for key, name in names.items():
        free, k = name, 1
        while free in taken:
            free, k = f"{name}_{k}", k + 1
        taken.add(free)
        found[key] = free
    return found
