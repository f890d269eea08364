"""What all engines promise, on those that can be had here; a GPU's own tests are skipped without one."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from torch import fx, nn

from lmos_opt import InputError
from measurement import engines, trace
from measurement.engines.devices import TorchDevice, tensors_in
from measurement.engines.moving import Kept, moved
from runner.parts.computed import compute_s, computed_on
from runner.parts.split import split
from tests.measurement.engines.here import Here

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
ON_DEVICES = [Here, pytest.param(lambda precision="float32": engines.get("torch:cuda", precision), marks=needs_gpu, id="cuda")]


class Net(nn.Module):
    """Names the processor in its graph, works in place, shares a parameter, and has an attribute that is a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.relu = nn.ReLU(inplace=True)
        self.plain = torch.arange(8.0)

    def forward(self, x):
        ramp = torch.arange(8, device="cpu") + self.plain
        return self.second(self.relu(self.first(x)) + ramp), x.sum()


@pytest.fixture(scope="module")
def traced():
    torch.manual_seed(0)
    return trace(Net().eval(), torch.randn(2, 8))


def test_each_file_is_an_engine_by_its_name():
    files = {path.stem for path in Path(engines.__file__).parent.glob("*_*.py")} - {"__init__"}
    assert engines.names() == sorted(name.replace("_", ":", 1) for name in files)
    assert engines.get("torch").name == engines.get("torch:cpu").name == engines.DEFAULT


@pytest.mark.parametrize(("name", "precision", "said"), [
    ("tensorrt", "float32", "'tensorrt' is not an engine; there are onnxruntime:cpu, torch:cpu"),
    ("torch:tpu", "float32", "'torch:tpu' is not an engine"),
    ("torch", "float16", "'float16' is not a precision of torch:cpu; expected float32"),
    ("torch", "float32+channels_last", r"'float32\+channels_last' is not a precision of torch:cpu; expected float32"),
    pytest.param("torch:cuda", "float32", "torch sees no GPU here",
                 marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")),
    pytest.param("torch:mps", "float32", "torch sees no GPU of Apple's",
                 marks=pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is a GPU")),
])  # fmt: skip
def test_an_engine_that_cannot_be_had_is_refused(name, precision, said):
    with pytest.raises(InputError, match=said):
        engines.get(name, precision)


def test_the_processor_gives_the_bits_of_the_whole_network_and_its_time(traced):
    given = torch.randn(2, 8)
    head, tail = split(traced, [traced.layers[0].name])
    with torch.inference_mode():
        crossing = head(given)
        wanted = tail(crossing)
        found = computed_on(engines.get("torch"), tail, tail.incoming.arguments(crossing))
        assert all(torch.equal(one, other) for one, other in zip(found(crossing), wanted, strict=True))
    assert compute_s(found) > 0
    assert compute_s(tail) == 0


@pytest.mark.parametrize("make", ON_DEVICES)
def test_a_device_gives_the_same_numbers_in_main_memory(traced, make):
    engine: TorchDevice = make()
    head, tail = split(traced, [])
    with torch.inference_mode():
        first, second = head(torch.randn(2, 8)), head(torch.randn(2, 8))
        found = computed_on(engine, tail, tail.incoming.arguments(first))
        for crossing in (first, second, first):
            wanted, got = tensors_in(tail(crossing)), tensors_in(found(crossing))
            assert all(one.device.type == "cpu" for one in got)
            for one, other in zip(got, wanted, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert compute_s(found) > 0


@pytest.mark.parametrize("make", ON_DEVICES)
def test_answers_have_memory_of_their_own(traced, make):
    head, tail = split(traced, [])
    with torch.inference_mode():
        one, other = head(torch.ones(2, 8)), head(torch.zeros(2, 8))
        found = computed_on(make(), tail, tail.incoming.arguments(one))
        kept = tensors_in(found(one))
        copies = [tensor.clone() for tensor in kept]
        found(other)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(kept, copies, strict=True))


@pytest.mark.parametrize("make", ON_DEVICES)
def test_short_numbers_come_back_long_and_nearly_right(traced, make):
    engine = make("bfloat16")
    head, tail = split(traced, [])
    with torch.inference_mode():
        crossing = head(torch.randn(2, 8))
        wanted = tail(crossing)
        got = computed_on(engine, tail, tail.incoming.arguments(crossing))(crossing)
    for one, other in zip(tensors_in(got), tensors_in(wanted), strict=True):
        assert one.dtype is torch.float32
        assert 0 < float((one - other).abs().max() / other.abs().max()) < 0.05


@pytest.mark.parametrize("make", ON_DEVICES)
def test_channels_last_is_how_pictures_lie_there_and_not_in_what_comes_back(make):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    example = torch.randn(1, 3, 8, 8)
    part = fx.symbolic_trace(module)
    engine = make("float32+channels_last")
    assert engine.moved(part).get_submodule("0").weight.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found = engine.load(part, (example,))(example)
        torch.testing.assert_close(found, module(example))
    assert found.is_contiguous()
    assert "float32+channels_last" in engine.text


@pytest.mark.parametrize("precision", ["float32+sideways", "float8+channels_last"])
def test_an_unknown_layout_or_precision_says_what_there_is(precision):
    with pytest.raises(InputError, match=r"expected float32, float16, bfloat16, each also with \+channels_last"):
        Here(precision)


def test_a_moved_part_is_all_there_and_the_original_is_untouched(traced):
    _, tail = split(traced, [])
    before = {name: (tensor.device, id(tensor)) for name, tensor in tail.body.named_parameters()}
    there = moved(tail.body, Kept(torch.device("meta")))
    assert {tensor.device.type for tensor in (*there.parameters(), *there.buffers())} == {"meta"}
    assert there.get_submodule("second").weight is there.get_submodule("first").weight
    assert not any(device == torch.device("cpu") for node in there.graph.nodes for device in node.kwargs.values())
    out = there(torch.empty(2, 8, device="meta"))
    assert {tensor.device.type for tensor in tensors_in(out)} == {"meta"}
    assert before == {name: (tensor.device, id(tensor)) for name, tensor in tail.body.named_parameters()}


class Stubborn(nn.Module):
    """Makes a tensor of the processor where no graph names it."""

    def forward(self, x):
        return x + _hidden(x)


def _hidden(x):
    return torch.zeros(x.shape[-1], device=torch.empty(0).device)


fx.wrap("_hidden")


def test_a_part_that_cannot_be_there_is_refused():
    body = fx.symbolic_trace(Stubborn())

    class OnMeta(Here):
        where = "meta"

    with pytest.raises(InputError, match="the network cannot be computed there"):
        OnMeta().load(body, (torch.ones(3),))


@needs_gpu
def test_a_part_that_reads_numbers_back_runs_without_a_graph():
    def asks(x):
        return x * float(x.sum().item())

    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output((graph.call_function(asks, (x,)),))
    part = engines.get("torch:cuda").load(fx.GraphModule(nn.Module(), graph), (torch.ones(3),))
    assert torch.equal(part(torch.ones(3))[0], torch.full((3,), 3.0))
    assert "it cannot be one CUDA graph" in part.notes[0]


@needs_gpu
def test_shapes_have_a_graph_each_and_the_oldest_goes():
    part = engines.get("torch:cuda").load(fx.symbolic_trace(nn.Linear(4, 2)), (torch.ones(1, 4),))
    for n in (1, 2, 3, 4, 5, 6, 1):
        assert part(torch.ones(n, 4)).shape == (n, 2)


@needs_gpu
def test_tensors_on_a_gpu_are_counted():
    engine = engines.get("torch:cuda")
    part = engine.load(fx.symbolic_trace(nn.Linear(1000, 1000)), (torch.ones(1, 1000),))
    assert engine.held_bytes() >= 4_000_000
    assert part is not None


class Halves(nn.Module):
    """Ends with an operation that gives two tensors at once."""

    def forward(self, x):
        return torch.chunk(x.relu(), 2, dim=1), x + 1


def test_an_interruption_that_breaks_the_exporter_is_one(monkeypatch):
    def exporter(part, example):
        try:
            raise KeyboardInterrupt
        finally:
            raise AssertionError("the mode stack is empty")

    monkeypatch.setattr("measurement.engines.onnxruntime_cpu.exported", exporter)
    with pytest.raises(KeyboardInterrupt):
        engines.get("onnxruntime").load(fx.symbolic_trace(nn.ReLU()), (torch.zeros(1),))


def test_onnxruntime_computes_a_part_that_ends_with_several_tensors_of_one_operation():
    pytest.importorskip("onnxruntime")
    part, example = fx.symbolic_trace(Halves()), torch.randn(2, 8)
    (first, second), more = engines.get("onnxruntime").begun(part, [example])(example)
    (wanted, other), last = Halves()(example)
    for found, expected in ((first, wanted), (second, other), (more, last)):
        torch.testing.assert_close(found, expected)


def test_onnxruntime_computes_parts_between_which_numbers_cross_for_the_shapes_they_were_made_for():
    pytest.importorskip("onnxruntime")

    def first(x):
        rows, columns = x.size(0), x.size(1) // 2
        return x.relu(), rows, columns

    def last(x, rows, columns):
        return x.view(rows, 2, columns).transpose(1, 2) + 1

    example, engine = torch.randn(3, 8), engines.get("onnxruntime")
    crossing = engine.begun(fx.symbolic_trace(first), [example])(example)
    assert crossing[1:] == (3, 4)
    part = engine.begun(fx.symbolic_trace(last), crossing)
    torch.testing.assert_close(part(*crossing), last(*first(example)))
    with pytest.raises(InputError, match="the part was made for rows = 3, got 1"):
        part(crossing[0], 1, 12)


def test_onnxruntime_has_weights_of_its_own_and_nobody_holds_the_parts():
    pytest.importorskip("onnxruntime")
    example, engine = torch.randn(1, 3, 8, 8), engines.get("onnxruntime")
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(576, 8)).eval()
    with torch.inference_mode():
        wanted = module(example)
        found = engine.load(fx.symbolic_trace(module), [example])
        held = [weakref.ref(tensor) for tensor in (*module.parameters(), *module.buffers())]
        del module
        gc.collect()
        assert engine.has_own_weights
        assert held
        assert all(ref() is None for ref in held)
        torch.testing.assert_close(found(example), wanted)
