"""What tensors are called on their way: no two are called the same, whatever a network's author called its layers."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
import torch
from runner_networks import Colliding
from torch import Tensor, nn

from lmos.cli import main
from lmos_opt import InputError, Plan
from lmos_opt.graph import tensor_names
from measurement import trace_network
from runner.images import find_images
from runner.parts.exporting import export_plan, largest_difference, random_image, run_onnx
from runner.parts.network import class_of, flat_outputs
from runner.parts.split import split_traced
from tests import warm
from tests.runner.running import HERE, Plans, whole

COLLIDING = "runner_networks:colliding"
EDGE = ("conv", "chunk", "chunk.0")


class Named(nn.Module):
    """Layers whose own names look like an index behind a name."""

    NAMES = ("chunk[0]", "chunk[1]", "chunk[0][0]", "chunk_0")

    def __init__(self) -> None:
        super().__init__()
        for name in self.NAMES:
            self.add_module(name, nn.Linear(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.sin().chunk(2, 1)
        parts = [getattr(self, name)(x[:, k % 3 : k % 3 + 2]) for k, name in enumerate(self.NAMES)]
        return torch.stack([a, b, *parts]).cumsum(0)


class Picture(nn.Module):
    """Layers called as an exported file's input and output are."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.output, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = self.image(x)
        return self.last(self.output(first) + first[:, :, 1:-1, 1:-1])


def picture() -> nn.Module:
    return Picture()


def test_fault_05_names_of_tensors_are_apart_for_all_names_of_layers() -> None:
    layers = ["".join(parts) for n in range(1, 5) for parts in product(("a", "[0]", "[1]", ".0"), repeat=n)]
    for counts in ((1,), (2,), (12,), (1, 2)):
        names = [name for k, layer in enumerate(layers) for name in tensor_names(layer, counts[k % len(counts)])]
        assert len(set(names)) == len(names)
    assert tensor_names("conv.0", 1) == ("conv.0",)
    assert tensor_names("chunk", 2) == ("chunk[0]", "chunk[1]")


@pytest.mark.parametrize(("module", "shape"), [(Named(), (2, 4)), (Colliding(), (2, 4, 8, 8))])
def test_fault_05_halves_give_the_whole_networks_output_whatever_layers_are_called(module: nn.Module,
                                                                                   shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    traced = trace_network(module, x)
    names = [layer.name for layer in traced.layers]
    with torch.inference_mode():
        expected = module(x)
        for cut in range(len(names) + 1):
            head, tail = split_traced(traced, names[:cut])
            assert torch.equal(tail(head(x)), expected), names[:cut]


@contextmanager
def served(folder: Path, network: str) -> Iterator[str]:
    """`lmos serve` in a process of its own; its address."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "lmos", "serve", "--listen", "127.0.0.1:0", "--network", network, "--log-format", "json"]
    with log.open("w") as errors, warm.begun(command, cwd=HERE, stderr=errors) as process:
        while not (address := re.search(r'"address": "([0-9.:]+)"', log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield address[1]


@pytest.mark.process
def test_fault_05_plan_serve_and_run_give_the_whole_networks_classes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    profile, plan, report = (str(tmp_path / name) for name in ("profile.json", "plan.json", "report.json"))
    assert main(["profile", COLLIDING, "--input", "4x8x8", "-o", profile]) == 0
    assert main(["plan", profile, "--select", "cut:3", "-o", plan]) == 0
    assert Plan.load(plan).edge_layers == EDGE
    assert [tensor.name for tensor in Plan.load(plan).crossing] == ["chunk[0]", "chunk[1]", "chunk.0"]
    with served(tmp_path, COLLIDING) as address:
        for file in (plan, _with_names_of_before(plan, "chunk.0", "chunk.1", "other")):
            assert main(["run", file, "--server", address, "--network", COLLIDING, "-n", "8", "-o", report]) == 0
            found = json.loads(Path(report).read_text())
            assert [image["class"] for image in found["per_image"]] == _expected(Plan.load(plan))
            assert found["lost"] == found["fallbacks"] == 0
    capfd.readouterr()


def test_fault_05_a_plan_that_does_not_say_which_tensor_is_which_is_refused(tmp_path: Path,
                                                                           capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    Plans(COLLIDING, shape=(1, 4, 8, 8))(3).save(plan)
    ambiguous = _with_names_of_before(str(plan), "chunk.0", "chunk.1", "chunk.0")
    with pytest.raises(InputError, match=r"crossing\[2\].name: 'chunk.0' is the name of crossing\[0\] too.*make the plan again"):
        Plan.load(ambiguous)
    assert main(["run", ambiguous, "--network", COLLIDING]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_fault_05_results_with_keys_that_look_like_paths_are_apart() -> None:
    Pair = namedtuple("Pair", "a b")
    k = iter(range(100))
    found = flat_outputs({
        "a.b": _number(k), "a": {"b": _number(k), "b[0]": _number(k), "": _number(k)}, 0: _number(k), "0": _number(k),
        "a[0]": _number(k), "p": Pair(_number(k), [_number(k)]), " ": _number(k), "\n": _number(k), "a'": {"": _number(k)},
    })  # fmt: skip
    assert [int(tensor) for tensor in found.values()] == list(range(12))
    assert all(name.isprintable() for name in found)
    assert {"output['a.b']", "output.a.b", "output[0]", "output.0", "output.p.b.0"} <= set(found)


def test_fault_05_an_exported_half_has_different_names_for_what_goes_in_and_out(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network = f"{__name__}:picture"
    plan = Plans(network, shape=(1, 3, 12, 12))(2)
    assert [tensor.name for tensor in plan.crossing] == ["image", "output"]
    head, tail = export_plan(plan, tmp_path, networks=[network])
    assert (head.inputs, head.outputs) == (("image_",), ("image", "output"))
    assert (tail.inputs, tail.outputs) == (("image", "output"), ("output_",))
    image = random_image(Plans(network, shape=(1, 3, 12, 12)).profile.input)
    crossing = dict(zip(head.outputs, run_onnx(head.path, {"image_": image}), strict=True))
    assert largest_difference(run_onnx(tail.path, crossing), [whole(plan)(image).detach()]) < 1e-4


def _with_names_of_before(plan: str, *names: str) -> str:
    """The plan with these names of crossing tensors, as a version wrote it that numbered them `name.0`, `name.1`."""
    data = json.loads(Path(plan).read_text())
    for tensor, name in zip(data["crossing"], names, strict=True):
        tensor["name"] = name
    before = Path(plan).with_name("before.json")
    before.write_text(json.dumps(data))
    return str(before)


def _expected(plan: Plan) -> list[int]:
    assert plan.network is not None
    pictures, module = find_images(plan.network, None, 8), whole(plan)
    with torch.inference_mode():
        return [class_of(flat_outputs(module(pictures.load(k)))) for k in range(8)]


def _number(k: Iterator[int]) -> Tensor:
    return torch.tensor(next(k))
