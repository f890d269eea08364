"""Networks that are unlike most: each is split rightly, or refused in one line that says what to do, and left as it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from lmos_opt import InputError
from lmos_opt.errors import LmosError
from measurement import profile_network, trace_network
from measurement.errors import UntraceableError
from measurement.networks import network_digest
from measurement.profiling import profile_traced
from runner.parts.split import split_traced

pytestmark = pytest.mark.filterwarnings("ignore:.*quantization", "ignore:must run observer")
X = (2, 4)
quantize_dynamic = torch.ao.quantization.quantize_dynamic


class Net(nn.Module):
    """A network of one function and what it uses."""

    def __init__(self, forward: Callable[[Net, Tensor], object], **parts: object) -> None:
        super().__init__()
        self.function, self.lin = forward, nn.Linear(4, 4)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> object:
        return self.function(self, x)


class Unready(nn.Module):
    def __init__(self) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class NoModes(nn.Module):
    """Raises where it is put into a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def train(self, mode: bool = True) -> NoModes:
        raise RuntimeError("this has no modes")

    def forward(self, x: Tensor) -> Tensor:
        return self.lin(x)


class Merging(nn.Module):
    """Adds one weight to the other when it goes into eval mode, as adapters do."""

    def __init__(self) -> None:
        super().__init__()
        self.lin, self.more = nn.Linear(4, 4), nn.Parameter(torch.randn(4, 4))

    def train(self, mode: bool = True) -> Merging:
        if not mode and self.training:
            self.lin.weight.data += self.more.data
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin(x)


@dataclass
class Answer:
    y: Tensor


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU())


def drawing() -> nn.Module:
    return Net(lambda net, x: net.lin(x) + torch.rand(x.shape, generator=net.numbers.manual_seed(3)), numbers=torch.Generator())


def seeded() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return net.lin(x) + torch.rand_like(x)

    return Net(forward)


def counting() -> nn.Module:
    net = Net(lambda net, x: net.lin(x) + net.seen.add_(1))
    net.register_buffer("seen", torch.zeros(1))
    return net


def replacing() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.seen = net.seen + 1
        return net.lin(x) + net.seen

    net = Net(forward)
    net.register_buffer("seen", torch.zeros(1))
    return net


def third_time() -> nn.Module:
    """Two runs agree."""
    def forward(net: Net, x: Tensor) -> Tensor:
        net.runs += 1
        return net.lin(x) if net.runs < 3 else x

    return nn.Sequential(Net(forward, runs=0), nn.ReLU())


def alternating() -> nn.Module:
    """The run that is compared with and the run that is recorded agree."""
    def forward(net: Net, x: Tensor) -> Tensor:
        net.kept.more += 1
        return net.lin(x) if net.kept.more % 2 else x

    return Net(forward, kept=type("Kept", (), {"more": 0})())


def lengthening() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.seen.append(1)
        return net.lin(x) * len(net.seen)

    return Net(forward, seen=[])


def adding() -> nn.Module:
    """A tensor that is no buffer, in place."""
    return Net(lambda net, x: net.lin(x) + net.total.add_(1), total=torch.zeros(1))


def averaging() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.mean = (net.mean + net.lin(x).detach()) / 2
        return net.mean

    return Net(forward, mean=torch.zeros(1))


def halving() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.lin.weight.data.mul_(0.5)
        return net.lin(x)

    return Net(forward)


def swapping() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.lin.weight.data = net.lin.weight.data * 0.5
        return net.lin(x)

    return Net(forward)


def sparse() -> nn.Module:
    net = Net(lambda net, x: (net.table @ x.T).T)
    net.register_buffer("table", torch.eye(4).to_sparse())
    return net


def failing() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        net.lin.weight.data.mul_(0.5)
        net.lin.register_forward_hook(lambda *_: None)
        net.seen.append(x)
        net.kept.more = x
        raise KeyError("a key\nand more")

    return Net(forward, seen=[], kept=type("Kept", (), {"more": None})())


def named(name: str) -> nn.Module:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(name, nn.Linear(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self._modules[name](x)

    return Named()


def statically_quantized() -> nn.Module:
    stubs = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
    net = nn.Sequential(stubs[0], nn.Linear(4, 4), stubs[1]).eval()
    net.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
    prepared = torch.ao.quantization.prepare(net)
    prepared(torch.randn(X))
    return torch.ao.quantization.convert(prepared)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "scripted": (lambda: nn.Sequential(nn.Linear(4, 4), torch.jit.script(nn.Linear(4, 4))),
                 r"its part '1' is a TorchScript module .*use the nn.Module that it was scripted from"),
    "scripted root": (lambda: torch.jit.script(nn.Linear(4, 4)), "it is a TorchScript module"),
    "lazy": (lazy, "its part '0' is a LazyLinear that has no weights yet; run the network once on an example first"),
    "unready": (Unready, r"its __init__ must call super\(\).__init__\(\) first"),
    "unready inside": (lambda: nn.Sequential(nn.Linear(4, 4), Unready()), "its part '1' is a Unready that was not made ready"),
    "generator": (drawing, "it draws from a torch.Generator of its own"),
    "seeded": (seeded, "the graph draws random numbers, others each time"),
    "dropout": (lambda: Net(lambda net, x: F.dropout(net.lin(x), 0.5, True)), "not deterministic.*draw random numbers outside"),
    "counting": (counting, r"its forward changes its own parameters or buffers in eval mode \(seen\)"),
    "replacing": (replacing, r"changes its own parameters or buffers in eval mode \(seen\)"),
    "third time": (third_time, "its forward changes its own attribute 0.runs, and computes something else the next time; let it"),
    "alternating": (alternating, r"changes its own attribute kept\.more, and computes something else"),
    "lengthening": (lengthening, "changes its own attribute seen, and computes something else"),
    "adding": (adding, "changes its own attribute total, and computes something else"),
    "averaging": (averaging, "changes its own attribute mean, and computes something else"),
    "halving": (halving, r"changes its own parameters or buffers in eval mode \(lin.weight\)"),
    "swapping": (swapping, r"changes its own parameters or buffers in eval mode \(lin.weight\)"),
    "merging": (lambda: nn.Sequential(Merging(), nn.ReLU()), "its eval.. changes 0.lin.weight; call eval.. on it first"),
    "sparse": (sparse, r"table is a tensor of layout sparse_coo; make it dense first \(to_dense\(\)\)"),
    "branching": (lambda: Net(lambda net, x: net.lin(x) if x.sum() > 0 else x), "by the numbers in its tensors.*torch.where"),
    "failing": (failing, "fails on an input of shape .2, 4.: KeyError: 'a key"),
    "leaving": (lambda: Net(lambda net, x: sys.exit(3)), "fails on an input of shape .2, 4.: SystemExit: 3"),
    "nothing": (lambda: Net(lambda net, x: None), "its output holds no tensor; wrap it"),
    "text": (lambda: Net(lambda net, x: "yes"), "its output holds no tensor; wrap it"),
    "array": (lambda: Net(lambda net, x: net.lin(x).numpy()), "its output holds a ndarray; expected tensors.*wrap it"),
    "dataclass": (lambda: Net(lambda net, x: Answer(net.lin(x))), "holds a Answer; expected tensors.*register_dataclass"),
    "nested": (lambda: Net(lambda net, x: torch.nested.nested_tensor([x[0], x[1, :2]])), "a nested one; let it return plain ones"),
    "empty": (nn.Sequential, "it computes nothing"),
    "two inputs": (lambda: nn.Bilinear(4, 4, 2), "missing 1 required positional argument: 'input2'"),
    "no forward": (nn.Module, 'missing the required "forward" function'),
    "eight bits": (lambda: Net(lambda net, x: net.lin(x).to(torch.float8_e4m3fn).float()),
                   "has the dtype float8_e4m3fn, which cannot be sent"),
    "quantized": (statically_quantized, "dtype quint8, which cannot be sent; quantize_dynamic keeps"),
    "name with a blank": (lambda: named(" conv"), "a layer is called ' conv'; expected printable text.*rename"),
    "name of two lines": (lambda: named("a\nb"), r"it calls a part 'a\\nb'; expected printable text.*rename"),
    "long name": (lambda: named("x" * 600), "characters: rename it"),
    "half a character": (lambda: named("a\ud800"), "expected printable text"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_fault_15_a_network_that_cannot_be_split_is_refused_in_a_line_that_says_what_to_do_and_left_as_it_was(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    build, message = REFUSED[name]
    module = build()
    before, generators = _state(module), _generators()
    with pytest.raises(LmosError, match=message) as raised:
        trace_network(module, torch.ones(X))
    assert isinstance(raised.value, InputError | UntraceableError)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2
    assert _state(module) == before
    assert _generators() == generators
    assert capfd.readouterr().err == ""


def tied() -> nn.Module:
    net = Net(lambda net, x: net.out(net.lin(x)), out=nn.Linear(4, 4, bias=False))
    net.out.weight = nn.Parameter(net.lin.weight.data)
    return net


def remembering() -> nn.Module:
    def forward(net: Net, x: Tensor) -> Tensor:
        net.seen.append(y := net.lin(x))
        net.last["y"] = y
        net.runs += 1
        return y

    return Net(forward, seen=[], last={}, runs=0)


def hooked() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[0].register_forward_hook(lambda module, inputs, output: output * 2)
    net[1].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    return net


def twice() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(inplace=True), layer)


SPLIT: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "quantized dynamically": (lambda: quantize_dynamic(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), {nn.Linear}),
                              (32 + 32 + 16) + (16 + 8 + 16)),
    "tied": (tied, 80),
    "twice": (twice, 80),
    "weight norm": (lambda: nn.Sequential(weight_norm(nn.Linear(4, 6)), nn.ReLU()), 4 * (24 + 6 + 6)),
    "spectral norm": (lambda: nn.Sequential(spectral_norm(nn.Linear(4, 4)), nn.ReLU()), 4 * (16 + 4 + 4 + 4)),
    "remembering": (remembering, 80),
    "hooked": (hooked, 160),
    "compiled": (lambda: nn.Sequential(nn.Linear(4, 4), torch.compile(nn.Linear(4, 4), backend="eager")), 160),
    "parallel": (lambda: nn.DataParallel(nn.Sequential(nn.Linear(4, 4))), 80),
    "no modes": (lambda: nn.Sequential(nn.Dropout(), NoModes()), 80),
    "conditional": (lambda: Net(lambda net, x: torch.cond(x.sum() > 0, lambda y: y * 2, lambda y: y - 1, (net.lin(x),))), 80),
    "called input": (lambda: named("input"), 80),
    "called [red]": (lambda: named("[red]"), 80),
    "mixed result": (lambda: Net(lambda net, x: {"y": net.lin(x), "none": None, "text": "a", "n": 3}), 80),
    "a weight as result": (lambda: Net(lambda net, x: (net.lin.weight, net.lin(x))), 80),
    "nothing left": (lambda: Net(lambda net, x: torch.cat([net.lin(x)[:0], net.lin(x)])), 80),
    "doubly in place": (lambda: Net(lambda net, x: net.lin(x).relu_().add_(1)), 80),
}  # fmt: skip


@pytest.mark.parametrize("name", SPLIT)
def test_fault_07_and_15_an_odd_network_is_split_rightly_with_its_weights_counted_and_left_as_it_was(name: str) -> None:
    torch.manual_seed(0)
    build, n_bytes = SPLIT[name]
    module, x = build(), torch.randn(X)
    before, generators = _state(module), _generators()
    traced = trace_network(module, x)
    profile = profile_traced(traced)
    assert _state(module) == before
    assert _generators() == generators
    assert sum(layer.weight_bytes for layer in profile.layers) == n_bytes
    for part in module.modules():
        part.training = False
    names = [layer.name for layer in traced.layers]
    with torch.inference_mode():
        expected = module(x.clone())
        for cut in range(len(names) + 1):
            head, tail = split_traced(traced, names[:cut])
            _assert_same(tail(head(x.clone())), expected)


def test_fault_07_packed_weights_count_and_tell_networks_apart() -> None:
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return quantize_dynamic(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)), {nn.Linear})

    profile = profile_network(build(0), torch.randn(1, 64))
    # whole numbers of a byte, a bias of four, a scale and a zero point of eight each
    assert [layer.weight_bytes for layer in profile.layers] == [64 * 256 + 4 * 256 + 16, 0, 256 * 10 + 4 * 10 + 16]
    assert [layer.macs for layer in profile.layers] == [64 * 256, 0, 256 * 10]
    assert profile.unknown_operations == ()
    digests = [network_digest(build(seed), ()) for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_fault_07_half_precision_and_recurrent_packed_weights_count() -> None:
    half = quantize_dynamic(nn.Sequential(nn.Linear(64, 32)), {nn.Linear}, dtype=torch.float16)
    assert [layer.weight_bytes for layer in profile_network(half, torch.randn(1, 64)).layers] == [2 * 64 * 32 + 4 * 32]
    lstm = quantize_dynamic(nn.ModuleDict({"lstm": nn.LSTM(8, 4)}), {nn.LSTM})["lstm"]
    profile = profile_network(Net(lambda net, x: net.lstm(x)[0], lstm=lstm), torch.randn(3, 2, 8))
    assert 16 * (8 + 4) + 4 * 32 <= profile.layers[0].weight_bytes < 1.5 * (16 * (8 + 4) + 4 * 2 * 32)


def test_fault_07_operations_without_a_formula_are_listed_with_their_layer() -> None:
    profile = profile_network(Net(lambda net, x: torch.fft.fft(net.lin(x)).real), torch.randn(X))
    assert {layer.name: layer.unknown_operations for layer in profile.layers if layer.unknown_operations} == {
        "fft_fft": ("aten._fft_r2c",)}  # fmt: skip
    assert [layer["name"] for layer in profile.to_dict()["layers"] if "unknown_operations" in layer] == ["fft_fft"]
    assert type(profile).from_dict(profile.to_dict()) == profile
    assert profile_network(nn.Sequential(weight_norm(nn.Linear(4, 4))), torch.randn(X)).unknown_operations == ()


@pytest.mark.parametrize("build", [lambda layer: layer, lambda layer: nn.TransformerEncoder(layer, 1)])
def test_fault_15_a_transformer_encoder_may_be_the_whole_network(build: Callable[[nn.Module], nn.Module]) -> None:
    module, x = build(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)).eval(), torch.randn(2, 5, 8)
    traced = trace_network(module, x)
    (layer,) = traced.layers
    for edge in ([], [layer.name]):
        head, tail = split_traced(traced, edge)
        with torch.inference_mode():
            assert torch.equal(tail(head(x)), module(x))
    assert sum(v.weight_bytes for v in profile_traced(traced).layers) == sum(p.nbytes for p in module.parameters())


def test_fault_15_an_example_of_an_unknown_kind_is_refused() -> None:
    x = torch.ones(X)
    for example, what in ((x.to(torch.float8_e4m3fn), "dtype float8"), (x.to_sparse(), "layout sparse_coo")):
        with pytest.raises(InputError, match=what):
            trace_network(nn.Linear(4, 4), example)


def _state(module: nn.Module) -> object:
    """What can be seen of a network from outside, numbers included."""
    found: dict[str, object] = {}
    paths, parts = [""], [module]
    for path, part in zip(paths, parts, strict=False):  # both of which grow
        for key, value in vars(part).items():
            inside: object = list(map(id, value)) if isinstance(value, list) else None
            if isinstance(value, dict):
                inside = [(k, id(v)) for k, v in value.items()]
            elif hasattr(value, "more"):
                inside = id(value.more)
            if isinstance(value, Tensor):
                inside = value.tolist()
            found[f"{path}/{key}"] = value if key == "training" else (id(value), inside)
        for key, child in (vars(part).get("_modules") or {}).items():
            paths.append(f"{path}/{key}")
            parts.append(child)
        for table in ("_parameters", "_buffers"):
            for key, tensor in (vars(part).get(table) or {}).items():
                if tensor is not None and not nn.parameter.is_lazy(tensor):
                    found[f"{path}/{key} numbers"] = (tensor.to_dense().tolist(), tensor.requires_grad, id(tensor.grad))
    return found


def _generators() -> object:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


def _assert_same(found: object, expected: object) -> None:
    left, right = torch.utils._pytree.tree_flatten(found), torch.utils._pytree.tree_flatten(expected)
    assert left[1] == right[1]
    for a, b in zip(left[0], right[0], strict=True):
        assert torch.equal(a, b) if isinstance(a, Tensor) else a == b
