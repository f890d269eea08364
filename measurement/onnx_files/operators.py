"""A layer of an ONNX file: one node with the nodes that make its constants, as a module that onnxruntime computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

_LIKE = {
    "AveragePool": "avg_pool2d", "BatchNormalization": "native_batch_norm", "Concat": "cat", "ConstantOfShape": "full",
    "DequantizeLinear": "_to_copy", "Einsum": None, "Elu": "elu", "Erf": "erf", "Exp": "exp", "Flatten": "clone",
    "GRU": None, "Gather": "index_select", "Gelu": "gelu", "GlobalAveragePool": "mean", "GlobalMaxPool": "adaptive_max_pool2d",
    "GroupNormalization": "native_group_norm", "HardSigmoid": "hardsigmoid", "HardSwish": "hardswish",
    "InstanceNormalization": "native_batch_norm", "LSTM": None, "LayerNormalization": "native_layer_norm", "Log": "log",
    "LogSoftmax": "_log_softmax", "MaxPool": "max_pool2d_with_indices", "Mish": "mish", "Pad": "constant_pad_nd", "Pow": "pow",
    "QuantizeLinear": "_to_copy", "RNN": None, "ReduceMean": "mean", "ReduceSum": "sum", "Reshape": "clone", "Selu": "selu",
    "Sigmoid": "sigmoid", "Softmax": "_softmax", "Sqrt": "sqrt", "Squeeze": "clone", "Tanh": "tanh", "Transpose": "clone",
    "Unsqueeze": "clone",
}  # fmt: skip
"""Operations of torch that cost alike; whatever is not here costs as an addition does. None: its work has no formula."""
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "ConvTranspose": 1, "QLinearConv": 3}
"""Which of their inputs are the weights."""
_PRODUCTS = {"MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3}
"""Which of their inputs is the second factor."""


@dataclass(frozen=True)
class Value:
    """A tensor between two nodes: its name in the file, its shape, and torch's word for its dtype."""

    name: str
    shape: Shape
    dtype: torch.dtype

    def empty(self) -> Tensor:
        """Its shape without its numbers."""
        return torch.empty(self.shape, dtype=self.dtype, device="meta")


@dataclass(frozen=True)
class Program:
    """What an operator computes.

    `nodes` are the file's (NodeProto): the last one is the operator's own, those before it make its constants. `inputs` are the
    tensors that earlier layers put out, `outputs` its own, `shapes` those of all that its own node reads, in order. `versions` are
    the operator sets, by domain.
    """

    nodes: tuple[Any, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    shapes: tuple[Shape, ...]
    versions: Mapping[str, int]

    @property
    def text(self) -> str:
        """The nodes as text without their weights: equal texts compute alike."""
        return "; ".join(" ".join(str(node).split()) for node in self.nodes)


@dataclass
class _Compiled:
    """onnxruntime's form of a program, and the weights that it reads; a copy of the module makes its own."""

    session: Any = None
    weights: Sequence[Any] = ()

    def __deepcopy__(self, memo: object) -> _Compiled:
        return _Compiled()


class Operator(nn.Module):
    """One layer. Its weights are parameters and buffers with the names that `constants` maps to those of the file.

    On torch's `meta` device it gives shapes alone.
    """

    def __init__(self, program: Program, constants: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.program, self.constants = program, {}
        for k, (name, tensor) in enumerate(constants.items()):
            key = f"constant_{k}"
            self.constants[key] = name
            if tensor.is_floating_point():
                shared = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, requires_grad=False)
                self.register_parameter(key, shared)
            else:
                self.register_buffer(key, tensor)
        self._compiled = _Compiled()

    def extra_repr(self) -> str:
        """What it computes: part of the network's digest."""
        return self.program.text

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The outputs of these inputs, a tensor where it is one."""
        if any(tensor.is_meta for tensor in (*tensors, *self.parameters(), *self.buffers())):
            found = [value.empty() for value in self.program.outputs]
        else:
            found = run(self._session(), dict(zip((value.name for value in self.program.inputs), tensors, strict=True)))
            self._check(found)
        return found[0] if len(found) == 1 else tuple(found)

    def _check(self, found: Sequence[Tensor]) -> None:
        """InputError if an output has another shape than it had for zeros."""
        for value, tensor in zip(self.program.outputs, found, strict=True):
            if tensor.shape != value.shape:
                raise InputError(f"operator {self.program.nodes[-1].op_type}", f"its output {value.name!r} has the shape "
                                 f"{list(tensor.shape)}, and {list(value.shape)} for zeros; expected shapes that do not depend on "
                                 "numbers")  # fmt: skip

    def likeness(self) -> tuple[str, Sequence[Any]]:
        """An operation of torch that does as much, and its arguments with shapes in place of tensors; an unknown one's own name."""
        node, shapes = self.program.nodes[-1], self.program.shapes
        out = self.program.outputs[0].shape
        given = {one.name: one for one in node.attribute}
        if node.domain not in ("", "ai.onnx"):
            return f"{node.domain}.{node.op_type}", ()
        if node.op_type in _CONVOLUTIONS:
            groups = given["group"].i if "group" in given else 1
            weight = shapes[_CONVOLUTIONS[node.op_type]]
            return "aten.convolution", (shapes[0], weight, None, (), (), (), node.op_type == "ConvTranspose", (), groups)
        if node.op_type == "Gemm":
            inner = shapes[0][0 if "transA" in given and given["transA"].i else 1]
            return "aten.mm", ((out[0], inner), (inner, out[1]))
        if node.op_type in _PRODUCTS:
            second = shapes[_PRODUCTS[node.op_type]]
            rows, inner, columns = prod(out[:-1]), shapes[0][-1], out[-1] if len(second) > 1 else 1
            return "aten.mm" if len(second) < 3 else "aten.bmm", ((rows, inner), (inner, columns))
        like = _LIKE.get(node.op_type, "add")
        return f"onnx.{node.op_type}" if like is None else f"aten.{like}", ()

    def weights(self) -> dict[str, Tensor]:
        """Its constants by their names in the file."""
        return {name: getattr(self, key) for key, name in self.constants.items()}

    def _session(self) -> Any:
        if self._compiled.session is None:
            program = self.program
            model = Model.of(program.nodes, program.inputs, program.outputs, self.weights(), program.versions)
            self._compiled.session, self._compiled.weights = model.sharing_session()
        return self._compiled.session


@dataclass(frozen=True)
class Model:
    """`proto` (ModelProto) names its `weights` and does not hold them, so that no copy of them is made before a session makes its
    own. A weight of less than SMALL_BYTES is in `proto` itself."""

    proto: Any
    weights: Mapping[str, Tensor]

    @classmethod
    def of(cls, nodes: Sequence[Any], inputs: Sequence[Value], outputs: Sequence[Value], weights: Mapping[str, Tensor],
           versions: Mapping[str, int]) -> Model:  # fmt: skip
        """A model of these nodes; `versions` are the operator sets, by domain."""
        import onnx
        from onnx import helper, numpy_helper

        large = {name: tensor for name, tensor in weights.items() if tensor.nbytes >= SMALL_BYTES}
        stored = [_named(name, tensor) if name in large else numpy_helper.from_array(array_of(tensor), name)
                  for name, tensor in weights.items()]  # fmt: skip
        graph = helper.make_graph(nodes, "part", [_typed(value) for value in inputs], [_typed(value) for value in outputs], stored)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, one) for domain, one in versions.items()])
        made.ir_version = min(made.ir_version, onnx.IR_VERSION, _IR_VERSION)
        return cls(made, large)

    def session(self) -> Any:
        """onnxruntime's session of it, on the processor, with as many threads as torch has here; it has the weights in a form of
        its own, and needs these no longer."""
        options, given = _session_options(), [_bytes_of(tensor) for tensor in self.weights.values()]
        options.add_external_initializers_from_files_in_memory([*self.weights], given, [part.nbytes for part in given])
        return self._opened(options)

    def sharing_session(self) -> tuple[Any, list[Any]]:
        """A session that reads the weights where they are, and what must be kept as long as it is used.

        It reorders no weights, which convolutions of many channels take longer for, and keeps no memory between its runs.
        """
        import onnxruntime

        options, names = _session_options(), [*self.weights]
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_cpu_mem_arena = False
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED  # all would reorder them too
        given = [onnxruntime.OrtValue.ortvalue_from_numpy(array_of(tensor.detach())) for tensor in self.weights.values()]
        options.add_external_initializers(names, given)  # which says their type and shape ...
        for name, value in zip(names, given, strict=True):
            options.add_initializer(name, value)  # ... and this that no copy is made
        return self._opened(options), given

    def _opened(self, options: Any) -> Any:
        import onnxruntime

        return onnxruntime.InferenceSession(self.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def to_bytes(self) -> bytes:
        """The model as a file, its weights inside."""
        whole = type(self.proto)()
        whole.CopyFrom(self.proto)
        for one in whole.graph.initializer:
            if one.name in self.weights:
                one.ClearField("external_data")
                one.ClearField("data_location")
                one.raw_data = _bytes_of(self.weights[one.name]).tobytes()
        return bytes(whole.SerializeToString())


def _session_options() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


SMALL_BYTES = 1 << 10
"""A weight below it may say a shape, which is looked for in the model itself."""
_IR_VERSION = 10
"""Of the models that are made here: every onnxruntime from 1.18 on reads it."""


def _named(name: str, tensor: Tensor) -> Any:
    """An initializer whose numbers are in a file of its own name, of which there is none."""
    from onnx import TensorProto, helper

    dtype = helper.np_dtype_to_tensor_dtype(array_of(tensor[:0] if tensor.dim() else tensor).dtype)
    found = TensorProto(name=name, data_type=dtype, dims=tensor.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", name), ("offset", "0"), ("length", str(tensor.nbytes))):
        found.external_data.add(key=key, value=value)
    return found


def _bytes_of(tensor: Tensor) -> Array:
    """A tensor's bytes; not copied where they lie in order."""
    return array_of(tensor.detach().contiguous().reshape(-1).view(torch.uint8))


def run(session: Any, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """What a session makes of these tensors."""
    return [torch.from_numpy(np.asarray(array)) for array in session.run(None, {k: array_of(v) for k, v in tensors.items()})]


def array_of(tensor: Tensor) -> Array:
    """A tensor's numbers as numpy has them, densely; not copied where they lie so already."""
    found: Array = tensor.detach().contiguous().numpy()
    return found


def _typed(value: Value) -> Any:
    from onnx import helper

    dtype = helper.np_dtype_to_tensor_dtype(array_of(torch.empty(0, dtype=value.dtype)).dtype)
    return helper.make_tensor_value_info(value.name, dtype, value.shape)


def subgraphs(node: Any) -> list[Any]:
    """The graphs inside a node: branches, the body of a loop."""
    return [graph for one in node.attribute for graph in ([one.g] if one.HasField("g") else one.graphs)]
