"""Networks that were written to fool the split: aliases changed in place, odd results, numbers that decide shapes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from lmos_opt.errors import LmosError
from measurement.profiling import profile_traced
from measurement.tracing import trace_network
from runner.parts.split import split_traced


class Net(nn.Module):
    """A network whose forward is the given function of its two linear layers and the input."""

    def __init__(self, forward: Callable[[Net, Tensor], object]) -> None:
        super().__init__()
        self.a, self.b, self.calls, self._forward = nn.Linear(4, 4), nn.Linear(4, 4), 0, forward

    def forward(self, x: Tensor) -> object:
        return self._forward(self, x)


def view_changed_after_use(net: Net, x: Tensor) -> object:
    y = net.a(x)
    view, used = y[:, :2], torch.relu(y)
    view.mul_(3)
    return y + used


def base_changed_behind_a_view(net: Net, x: Tensor) -> object:
    y = net.a(x)
    view, other = y.view(-1), net.b(x)
    y.add_(other)
    return view * 2


def chunks_changed(net: Net, x: Tensor) -> object:
    a, b = net.a(x).chunk(2, 1)
    a.add_(b)
    b.mul_(a)
    return torch.cat([a, b], 1)


def detached_and_changed(net: Net, x: Tensor) -> object:
    y = net.a(x)
    y.detach().add_(1)
    return y


def data_changed(net: Net, x: Tensor) -> object:
    y = net.a(x)
    y.data.mul_(2)
    return y.relu()


def slices_set(net: Net, x: Tensor) -> object:
    y = torch.zeros(2, 4)
    y[:, :2] = net.a(x)[:, :2]
    y[0] += 1
    return y


def one_tensor_thrice(net: Net, x: Tensor) -> object:
    y = net.a(x)
    return {"a": y, "b": [y, (y,)]}


def counting(net: Net, x: Tensor) -> object:
    net.calls += 1
    return net.a(x) * net.calls


SPLIT: dict[str, Callable[[Net, Tensor], object]] = {
    "view changed after use": view_changed_after_use,
    "base changed behind a view": base_changed_behind_a_view,
    "chunks changed": chunks_changed,
    "detached and changed": detached_and_changed,
    "data changed": data_changed,
    "slices set": slices_set,
    "one tensor thrice": one_tensor_thrice,
    "input changed": lambda net, x: net.a(x.add_(1)),
    "a view of the input": lambda net, x: (x[:, 1:], net.a(x)),
    "strides of zero": lambda net, x: net.a(x)[:, :1].expand(2, 4) + net.a(x),
    "a conjugate not yet made": lambda net, x: torch.complex(net.a(x), x).conj().imag,
    "a shape by the numbers": lambda net, x: net.b(x)[net.a(x) > 0],
    "a number of the input": lambda net, x: net.a(x) * x.max().item(),
    "nothing in it": lambda net, x: net.a(x)[:, :0],
    "not a number": lambda net, x: net.a(x) / 0 * 0,
}


@pytest.mark.parametrize("name", SPLIT)
def test_a_trap_network_gives_its_own_output_at_every_cut_on_other_inputs_too(name: str) -> None:
    torch.manual_seed(0)
    module, example = Net(SPLIT[name]).eval(), torch.randn(2, 4)
    kept = example.clone()
    traced = trace_network(module, example)
    profile_traced(traced)
    assert torch.equal(example, kept)
    names = [layer.name for layer in traced.layers]
    for x in (example, torch.randn(2, 4)):
        for cut in range(len(names) + 1):
            head, tail = split_traced(traced, names[:cut])
            with torch.inference_mode():
                expected, found = copy.deepcopy(module)(x.clone()), tail(head(x.clone()))
            for a, b in zip(_tensors(found), _tensors(expected), strict=True):
                assert a.dtype == b.dtype
                torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def test_a_network_whose_calls_count_is_refused() -> None:
    with pytest.raises(LmosError, match="its forward changes its own attribute calls"):
        trace_network(Net(counting).eval(), torch.ones(2, 4))


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        assert isinstance(value, dict | list | tuple)
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
