"""ONNX files as networks: their graph, work and bytes, every cut beside onnxruntime's own answer, and what is refused."""

from __future__ import annotations

import itertools
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import runner
from lmos_opt import InputError
from measurement import trace
from measurement.engines import get
from measurement.networks import build_network, network_digest
from measurement.onnx_files.reading import inputs_of, read_onnx
from measurement.sources import example_of
from runner.memory import private_bytes, release, returned_at_once
from runner.parts.computed import compute_s, computed_on
from runner.parts.exported import WHOLE
from runner.parts.exporting import Whole, export_part
from tests import warm

WEIGHTS = np.random.default_rng(0)
VERSION = helper.make_opsetid("", 17)


def stored(name, *shape):
    return numpy_helper.from_array(WEIGHTS.normal(size=shape).astype(np.float32), name)


def saved(path, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, "net", inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[VERSION])
    model.ir_version = 9
    onnx.save(model, str(path))
    return path


def floats(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.fixture(scope="module")
def branching(tmp_path_factory):
    """A convolution, two branches that meet again, a shape computed by nodes, and a product; the batch has a name alone."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="/stem/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="/stem/Relu"),
        helper.make_node("Conv", ["r", "d"], ["left"], name="/left.0/Conv", group=4, kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["r"], ["right"]),
        helper.make_node("Concat", ["left", "right"], ["both"], name="join", axis=1),
        helper.make_node("Shape", ["both"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["flat"], axis=0),
        helper.make_node("Reshape", ["both", "flat"], ["row"], name="reshape"),
        helper.make_node("Gemm", ["row", "g"], ["scores"], name="classify", transB=1),
        helper.make_node("Split", ["scores"], ["first", "second"], name="split", axis=1),
    ]
    constants = [stored("w", 4, 3, 3, 3), stored("b", 4), stored("d", 4, 1, 1, 1), stored("g", 6, 200),
                 numpy_helper.from_array(np.array([0]), "zero"), numpy_helper.from_array(np.array([-1]), "rest")]  # fmt: skip
    return saved(tmp_path_factory.mktemp("onnx") / "branching.onnx", nodes, [floats("x", "N", 3, 5, 5)],
                 [floats("first", 1, 3), floats("second", 1, 3)], constants)  # fmt: skip


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    """Integers of 8 bits with their scales, as static quantization leaves them."""
    whole = numpy_helper.from_array(WEIGHTS.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), "whole")
    of_weights = [0.01, 0.02, 0.03, 0.04]
    numbers = [numpy_helper.from_array(np.array(value, dtype), name) for name, value, dtype in (
        ("scale", 0.02, np.float32), ("zero", 3, np.uint8), ("by", of_weights, np.float32), ("none", [0] * 4, np.int8))]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        helper.make_node("DequantizeLinear", ["whole", "by", "none"], ["weight"], axis=0),
        helper.make_node("Conv", ["y", "weight"], ["z"]),
    ]
    return saved(tmp_path_factory.mktemp("onnx") / "scaled.onnx", nodes, [floats("x", 1, 3, 5, 5)], [floats("z", 1, 4, 3, 3)],
                 [whole, *numbers])  # fmt: skip


def by_onnxruntime(path, **arrays):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip((one.name for one in session.get_outputs()), session.run(None, arrays), strict=True))


def every_cut(traced):
    names = [layer.name for layer in traced.layers]
    for count in range(len(names) + 1):
        for edge in itertools.combinations(names, count):
            if all(set(layer.inputs) - {"input"} <= set(edge) for layer in traced.layers if layer.name in edge):
                yield edge


def test_every_cut_gives_the_files_own_answer(branching):
    network, x = read_onnx(branching), torch.randn(1, 3, 5, 5)
    whole, wanted = network(x), by_onnxruntime(branching, x=x.numpy())
    assert list(whole) == ["first", "second"]
    assert all(np.allclose(whole[name].numpy(), wanted[name], atol=1e-5) for name in wanted)
    traced, cuts = trace(network, x), 0
    for edge in every_cut(traced):
        head, tail = runner.split(traced, edge)
        found = tail(head(x))
        assert all(torch.equal(found[name], whole[name]) for name in wanted), edge
        cuts += 1
    assert cuts == 13  # a chain of 8 layers but for two branches, and two items at its end


def test_graph_work_and_bytes_are_the_files(branching):
    profile = trace(read_onnx(branching), torch.randn(1, 3, 5, 5)).profile()
    found = {layer.name: layer for layer in profile.layers}
    assert list(found) == ["stem/Conv", "stem/Relu", "left/0/Conv", "Sigmoid_3", "join", "reshape", "classify", "split", "getitem",
                           "getitem_1"]  # fmt: skip
    assert found["join"].inputs == ("left/0/Conv", "Sigmoid_3")
    assert [layer.macs for layer in profile.layers] == [4 * 27 * 25, 0, 4 * 25, 0, 0, 0, 6 * 200, 0, 0, 0]
    assert found["left/0/Conv"].work[0].kind == "conv2d_depthwise"
    assert found["stem/Conv"].weight_bytes == 4 * (4 * 27 + 4)
    assert found["classify"].weight_bytes == 4 * 6 * 200
    assert profile.unknown_operations == ()


def test_weights_of_8_bits_count_as_such_and_cross_as_such(scaled):
    network, x = read_onnx(scaled), torch.randn(1, 3, 5, 5)
    traced = trace(network, x)
    profile = traced.profile()
    assert [layer.kind for layer in profile.layers] == ["quantize_linear", "dequantize_linear", "conv"]
    assert profile.layers[-1].weight_bytes == 4 * 27 + 4 * 4 + 4  # integers, scales, zero points
    head, tail = runner.split(traced, ["QuantizeLinear_0"])
    crossing = head(x)
    assert crossing["QuantizeLinear_0"].dtype is torch.uint8
    wanted = by_onnxruntime(scaled, x=x.numpy())["z"]
    assert np.allclose(tail(crossing).numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("file", ["branching", "scaled"])
def test_onnxruntime_computes_a_part_as_a_whole(file, request):
    path = request.getfixturevalue(file)
    network, x = read_onnx(path), torch.randn(1, 3, 5, 5)
    traced, engine = trace(network, x), get("onnxruntime")
    for edge in every_cut(traced):
        head, tail = runner.split(traced, edge)
        crossing = head(x)
        there = computed_on(engine, head, head.arguments([x]))(x)
        assert list(there) == list(crossing)
        assert all(torch.allclose(there[name].float(), crossing[name].float(), atol=1e-4) for name in crossing)
        found, wanted = computed_on(engine, tail, tail.incoming.arguments(crossing))(crossing), tail(crossing)
        leaves = zip(found.values(), wanted.values(), strict=True) if isinstance(found, dict) else [(found, wanted)]
        assert all(torch.allclose(one, other, atol=1e-4) for one, other in leaves), edge


class Attends(torch.nn.Module):
    """Its last layer returns a tensor and None."""

    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, 4), torch.nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        torch._assert(x.shape[2] == 4, "4 numbers a word")
        x = self.first(x).relu()
        return self.last(x, x, x, need_weights=False)


def test_onnxruntime_computes_a_part_of_torchs():
    torch.manual_seed(0)
    net, x = Attends().eval(), torch.randn(1, 3, 4)
    with torch.inference_mode():
        wanted, _ = net(x)
        head, _ = runner.split_module(net, [], x)  # which has the check alone
        assert torch.equal(computed_on(get("onnxruntime"), head, [x])(x)["input"], x)
        for edge in (["first"], ["first", "relu", "last"]):
            head, tail = runner.split_module(net, edge, x)
            crossing = head(x)
            part = computed_on(get("onnxruntime"), tail, tail.incoming.arguments(crossing))
            for found, nothing in (tail(crossing), part(crossing)):
                assert torch.allclose(found, wanted, atol=1e-5)
                assert nothing is None
            assert (compute_s(part) > 0) == (len(edge) == 1)


@pytest.mark.parametrize("file", ["branching", "scaled"])
def test_parts_are_exported_as_the_files_own_operators(file, request, tmp_path):
    path = request.getfixturevalue(file)
    traced = trace(read_onnx(path), torch.randn(1, 3, 5, 5))
    x = torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        for edge in list(every_cut(traced))[1:-1]:
            head, tail = runner.split(traced, edge)
            crossing = dict(head(x))
            names = {"image": x}, crossing
            for name, part, arguments in zip(("head", "tail"), (head, tail), names, strict=True):
                found = export_part(name, part, arguments, tmp_path, "onnx")
                assert found.difference < 1e-5
            assert [one.name for one in onnx.load(str(tmp_path / "head.onnx")).graph.output][: len(crossing)] == list(crossing)
            kinds = {node.op_type for half in ("head", "tail") for node in onnx.load(str(tmp_path / f"{half}.onnx")).graph.node}
            assert kinds - {"Identity"} <= {node.op_type for node in onnx.load(str(path)).graph.node}


def test_a_whole_file_is_exported_as_its_own_operators(branching, tmp_path):
    network, x = read_onnx(branching), torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        found = export_part(WHOLE, Whole(network, trace(network, x).call), {"image": x}, tmp_path, "onnx")
        assert found.difference < 1e-5
        assert (found.inputs, found.outputs) == (("image",), ("output.first", "output.second"))
    again, wanted = (by_onnxruntime(path, **{name: x.numpy()}) for path, name in ((found.path, "image"), (branching, "x")))
    assert all(np.allclose(again[f"output.{name}"], wanted[name], atol=1e-5) for name in wanted)


@pytest.mark.parametrize("size", ["width", -1])
def test_a_free_size_is_refused_with_the_command_that_gives_it_one(size, tmp_path):
    path = saved(tmp_path / "free.onnx", [helper.make_node("Relu", ["x"], ["y"])], [floats("x", "N", 3, 8, size)],
                 [floats("y", "N", 3, 8, size)])  # fmt: skip
    with pytest.raises(InputError, match=r"'x' has the size (width|\?) in dimension 3; .* --input_shape 1,3,8,N FILE NEW_FILE"):
        read_onnx(path)


def test_a_source_like_any_other(branching, tmp_path):
    name = f"onnx:{branching}"
    network = build_network(name, "onnx:initializers")
    assert example_of(name, network).shape == (1, 3, 5, 5)
    assert inputs_of(network)["x"].shape == (1, 3, 5, 5)
    digests = set()
    for slope in (0.1, 0.1, 0.2):  # no weights: what differs is an attribute alone
        nodes = [helper.make_node("LeakyRelu", ["x"], ["y"], name="act", alpha=slope)]
        path = saved(tmp_path / "act.onnx", nodes, [floats("x", 1, 3)], [floats("y", 1, 3)])
        digests.add(network_digest(read_onnx(path), ()))
    assert len(digests) == 2


def test_branches_of_the_files_own_are_one_layer(tmp_path):
    def branch(k):
        return helper.make_graph([helper.make_node("Mul", ["x", f"by{k}"], [f"y{k}"])], f"b{k}", [], [floats(f"y{k}", 1, 3)])

    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "bound"], ["large"]),
        helper.make_node("If", ["large"], ["y"], name="choose", then_branch=branch(0), else_branch=branch(1)),
        helper.make_node("Relu", ["y"], ["z"]),
    ]
    constants = [stored("by0", 1), stored("by1", 1), numpy_helper.from_array(np.float32(0.5), "bound")]
    path = saved(tmp_path / "if.onnx", nodes, [floats("x", 1, 3)], [floats("z", 1, 3)], constants)
    network = read_onnx(path)
    traced = trace(network, torch.zeros(1, 3))
    for x in (torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([[0.9, -0.2, 0.3]])):
        wanted = by_onnxruntime(path, x=x.numpy())["z"]
        for edge in every_cut(traced):
            head, tail = runner.split(traced, edge)
            crossing = head(x)
            assert np.allclose(tail(crossing).numpy(), wanted)
            assert np.allclose(computed_on(get("onnxruntime"), tail, tail.incoming.arguments(crossing))(crossing).numpy(), wanted)


def test_functions_of_a_file_and_names_that_python_or_torch_use(tmp_path):
    """A function that calls another, an output without a shape, an input and layers whose names mean something else here."""
    twice = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [VERSION])
    four = helper.make_function("own", "Four", ["a"], ["b"], [helper.make_node("Twice", ["a"], ["c"], domain="own"),
                                helper.make_node("Twice", ["c"], ["b"], domain="own")],
                                [VERSION, helper.make_opsetid("own", 1)])  # fmt: skip
    nodes = [
        helper.make_node("Four", ["class"], ["h"], domain="own"),
        helper.make_node("Relu", ["h"], ["r"], name="forward"),
        helper.make_node("Neg", ["r"], ["n"], name="self"),
        helper.make_node("Add", ["n", "self"], ["y"], name="graph"),
    ]
    graph = helper.make_graph(nodes, "net", [floats("class", 1, 3), floats("self", 1, 3)], [floats("y")])
    graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(helper.make_model(graph, opset_imports=[VERSION, helper.make_opsetid("own", 1)], functions=[twice, four],
                                ir_version=9), str(tmp_path / "net.onnx"))  # fmt: skip
    given = {"_class": torch.tensor([[1.0, -2.0, 3.0]]), "_self": torch.ones(1, 3)}
    traced = trace(read_onnx(tmp_path / "net.onnx"), given)
    assert [layer.kind for layer in traced.layers] == ["add", "add", "relu", "neg", "add"]
    for count in range(6):
        head, tail = runner.split(traced, [layer.name for layer in traced.layers][:count])
        assert tail(head(**given)).tolist() == [[-3.0, 1.0, -11.0]]


def refused(path):
    with pytest.raises(InputError) as caught:
        read_onnx(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_cannot_be_cut_is_refused_in_a_line(tmp_path):
    assert "no such file" in refused(tmp_path / "none.onnx")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "junk.onnx").write_bytes(b"junk" * 9)
    assert "is not an ONNX file that can be read" in refused(tmp_path / "junk.onnx")
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    path = saved(tmp_path / "open.onnx", relu, [floats("x", "N", 3, "height", 5)], [floats("y", "N", 3, "height", 5)])
    assert "its input 'x' has the size height in dimension 2; expected a number" in refused(path)
    noise = [helper.make_node("RandomNormalLike", ["x"], ["y"], name="noise")]
    assert "draws random numbers (RandomNormalLike 'noise')" in refused(saved(tmp_path / "n.onnx", noise, [floats("x", 2)],
                                                                           [floats("y", 2)]))  # fmt: skip
    texts = helper.make_tensor_value_info("x", TensorProto.STRING, [2])
    path = saved(tmp_path / "t.onnx", [helper.make_node("Identity", ["x"], ["y"])], [texts],
                 [helper.make_tensor_value_info("y", TensorProto.STRING, [2])])  # fmt: skip
    assert "its input 'x' has the dtype" in refused(path)
    weight = onnx.SparseTensorProto(values=stored("w", 1), indices=numpy_helper.from_array(np.array([3])), dims=[2, 2])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "net", [floats("x", 1, 2)], [floats("y", 1, 2)],
                              sparse_initializer=[weight])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[VERSION], ir_version=9), str(path))
    assert "its constant 'w' is sparse" in refused(path)
    short = helper.make_tensor("w", TensorProto.BFLOAT16, [2], [1.0, 2.0])
    nodes = [helper.make_node("Cast", ["w"], ["v"], to=TensorProto.FLOAT), helper.make_node("Mul", ["x", "v"], ["y"])]
    assert "its constant 'w' has the dtype bfloat16" in refused(saved(path, nodes, [floats("x", 2)], [floats("y", 2)], [short]))
    counting = [helper.make_node("NonZero", ["x"], ["y"])]
    found = read_onnx(saved(path, counting, [floats("x", 2)], [helper.make_tensor_value_info("y", TensorProto.INT64, [1, "n"])]))
    with pytest.raises(InputError, match=r"operator NonZero: its output 'y' has the shape \[1, 2\], and \[1, 0\] for zeros"):
        found(torch.ones(2))
    with pytest.raises(InputError, match="has its weights in the file"):
        build_network(f"onnx:{tmp_path / 'open.onnx'}", "seeded:0")


@pytest.mark.parametrize(("operator", "shape", "takes", "gives"), [
    ("MatMul", (2048, 4096), (1, 2048), (1, 4096)), ("Conv", (1024, 1024, 3, 3), (1, 1024, 3, 3), (1, 1024, 1, 1)),
])  # fmt: skip
def test_a_network_keeps_its_weights_once_and_not_the_file(tmp_path, operator, shape, takes, gives):
    """In a process of its own: what earlier tests freed would be used again."""
    weight = numpy_helper.from_array(np.ones(shape, np.float32), "w")
    path = saved(tmp_path / "net.onnx", [helper.make_node(operator, ["x", "w"], ["y"])], [floats("x", *takes)],
                 [floats("y", *gives)], [weight])  # fmt: skip
    with ProcessPoolExecutor(1, mp_context=warm.context()) as processes:
        held, after_run = processes.submit(_memory_of, path, takes).result()
    assert 0.9 * weight.ByteSize() < held < 1.4 * weight.ByteSize()
    assert after_run < 1.4 * weight.ByteSize()  # the layer's session reads them where they are


def _memory_of(path, takes):
    import onnxruntime  # noqa: F401

    with returned_at_once():
        release()
        before = private_bytes()
        network = read_onnx(path)
        release()
        held = private_bytes() - before
        network(torch.ones(takes))
        release()
        return held, private_bytes() - before
