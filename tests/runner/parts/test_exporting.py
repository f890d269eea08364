"""The halves of plans in other runtimes: what onnxruntime and torch.export make of them, beside torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lmos.cli import main
from lmos_edge.plans import Plan as EdgePlan
from lmos_edge.programs import Exported, Program
from lmos_opt import InputError, Instance, Plan
from lmos_opt.plan import Setting, make_plan
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import trace_network
from runner.parts.exporting import (
    IMAGE,
    ExportedPart,
    ExportError,
    export_plan,
    largest_difference,
    random_image,
    run_onnx,
)
from runner.parts.network import flat_outputs
from tests.runner.running import BRANCHED, FOUR_CHANNELS, NETWORKS, TWO_OUTPUTS, Plans, network_of, whole

pytest.importorskip("onnxruntime")
WORST = 1e-4
SKIPPED = f"{__name__}:skipped"


class Skipped(nn.Module):
    """A layer beside its own input, and names that an exporter uses too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(image)) + image


def skipped() -> nn.Module:
    return Skipped()


def through_both(folder: Path, plan: Plan) -> float:
    """The image through the files, beside the whole network in torch: the largest relative difference of the outputs."""
    image = random_image(network_of(plan).input)
    found = run_onnx(folder / "head.onnx", {IMAGE: image}) if plan.x1 else [image]
    if plan.x2:
        names = [tensor.name for tensor in plan.crossing]
        found = run_onnx(folder / "tail.onnx", dict(zip(names, found, strict=True)))
    with torch.no_grad():
        return largest_difference(found, flat_outputs(whole(plan)(image)).values())


@pytest.mark.parametrize("cut", [0, 8, -1])
def test_onnx_computes_what_torch_does_on_the_plans_crossing_tensors(plans: Plans, cut: int, tmp_path: Path) -> None:
    plan = plans(cut)
    written = export_plan(plan, tmp_path, networks=NETWORKS)
    assert {half.part for half in written} == ({"head"} if plan.x1 else set()) | ({"tail"} if plan.x2 else set())
    assert max(half.difference for half in written) < WORST
    assert through_both(tmp_path, plan) < WORST
    assert Plan.load(tmp_path / "plan.json") == plan
    parts = json.loads((tmp_path / "export.json").read_text())["parts"]
    assert parts.get("head", {}).get("sizes") == ({"size": 1} if cut == 8 else None)  # of a tensor that only the edge has
    assert (written[0].inputs, written[-1].outputs) == ((IMAGE if plan.x1 else "input",), ("output",))
    if plan.x1 and plan.x2:
        assert written[0].outputs == written[1].inputs == tuple(tensor.name for tensor in plan.crossing)


def test_an_output_that_was_made_at_the_edge_is_among_the_heads_and_not_the_tails(tmp_path: Path) -> None:
    head, tail = export_plan(Plans(TWO_OUTPUTS)(2), tmp_path, networks=NETWORKS)
    assert head.outputs == ("features", "output.aux")
    assert tail.inputs == ("features",)
    assert tail.outputs == ("output.logits",)


def test_an_image_that_crosses_beside_other_tensors_is_among_the_heads_outputs(tmp_path: Path) -> None:
    plan = Plans(SKIPPED, shape=(1, 3, 8, 8))(1)
    assert [tensor.name for tensor in plan.crossing] == ["input", "conv"]
    export_plan(plan, tmp_path, networks=[SKIPPED])
    assert through_both(tmp_path, plan) < WORST


class Echo(nn.Module):
    """It returns its own input beside what it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"seen": image, "made": self.conv(image)}


def echo() -> nn.Module:
    return Echo()


def test_an_input_that_the_network_returns_is_of_the_head_where_no_layer_is_at_the_edge(tmp_path: Path) -> None:
    network = f"{__name__}:echo"
    plan = Plans(network, shape=(1, 3, 8, 8))(0)
    head, tail = export_plan(plan, tmp_path, networks=[network])
    assert (head.result, tail.result) == (("output.seen",), ("output.made",))
    exported = Exported.of(EdgePlan.load(tmp_path / "plan.json"), tmp_path)
    assert exported.head is not None
    image = random_image(network_of(plan).input).numpy()
    _, kept = Program(exported.head, 1).run({"input": image})
    assert np.array_equal(kept["output.seen"], image)


class Numbered(nn.Module):
    """Its layers have the names that an exporter, and what numbers its values, give to values of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.val_3, self.value_0 = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.val_3(x)
        return (self.value_0(first) + first).flatten(1)


def numbered() -> nn.Module:
    return Numbered()


def test_a_crossing_tensor_may_have_a_name_that_an_exporter_gives_too(tmp_path: Path) -> None:
    network = f"{__name__}:numbered"
    plan = Plans(network, shape=(1, 3, 8, 8))(2)
    assert [tensor.name for tensor in plan.crossing] == ["val_3", "value_0"]
    export_plan(plan, tmp_path, networks=[network])
    assert through_both(tmp_path, plan) < WORST


def test_an_edge_without_torch_knows_the_files_by_their_index_and_runs_them(tmp_path: Path) -> None:
    plan = Plans(TWO_OUTPUTS)(2)
    written = export_plan(plan, tmp_path, networks=NETWORKS, whole=True)
    assert [part.part for part in written] == ["head", "tail", "whole"]
    index = json.loads((tmp_path / "export.json").read_text())
    for part in written:
        kept = index["parts"][part.part]
        assert kept["sha256"] == hashlib.sha256(part.path.read_bytes()).hexdigest()
        assert (kept["outputs"], kept["result"]) == ([*part.outputs], [*part.result])
    assert [part.result for part in written] == [("output.aux",), ("output.logits",), ("output.aux", "output.logits")]
    assert index["parts"]["whole"]["memory_bytes"] > 0
    edge = EdgePlan.load(tmp_path / "plan.json")
    exported = Exported.of(edge, tmp_path)
    assert exported.head is not None
    assert exported.whole is not None
    image = random_image(network_of(plan).input)
    with torch.no_grad():
        expected = flat_outputs(whole(plan)(image))
    crossing, kept_here = Program(exported.head, 1).run({"input": image.numpy()})
    assert [*crossing] == ["features"]
    _, everything = Program(exported.whole, 1).run({"input": image.numpy()})
    for path, array in {**everything, **kept_here}.items():
        assert largest_difference([torch.from_numpy(array)], [expected[path]]) < WORST


def test_torch_export_gives_torchs_bits(plans: Plans, tmp_path: Path) -> None:
    plan = plans(3)
    export_plan(plan, tmp_path, "torch", networks=NETWORKS)
    image = random_image(network_of(plan).input)
    head, tail = (torch.export.load(tmp_path / f"{half}.pt2").module() for half in ("head", "tail"))
    assert torch.equal(tail(*head(image))[0], whole(plan)(image))


PATH = "rpi4 > 10Mbps > jetson-orin-nano-cpu > 1Gbps > i7-8700 > 1Gbps > i7-8700"


def along(plans: Plans, *numbers: int) -> Plan:
    """The first of so many layers up to each place but the last."""
    instance = Instance.from_profile(plans.profile, path=" > ".join(PATH.split(" > ")[: 2 * len(numbers) + 1]))
    ends = [0, *numbers, len(instance.names)]
    first, *later = (instance.names[low:high] for low, high in pairwise(ends))
    setting = Setting.of(instance, edge="rpi4", server="i7-8700", rule="cut")
    return make_plan(instance, first, later_layers=later, setting=setting, profile=plans.profile)


def through_all(written: Sequence[ExportedPart], plan: Plan, run: Callable[[Path, dict[str, torch.Tensor]], Sequence[torch.Tensor]]
                ) -> dict[str, torch.Tensor]:  # fmt: skip
    """The network's result from the files alone: each takes what the image and the files before it are known by."""
    image, known = random_image(network_of(plan).input), dict[str, torch.Tensor]()
    for part in written:
        given = {name: known.get(name, image) for name in part.inputs}
        assert given.keys() - known.keys() <= {IMAGE, "input"}
        known |= zip(part.outputs, run(part.path, given), strict=True)
    return known


@pytest.mark.parametrize(("network", "numbers", "parts"), [
    (BRANCHED, (1, 3), ("place_1", "place_2", "place_3")),
    (BRANCHED, (0, 2, 2), ("place_2", "place_4")),
    (TWO_OUTPUTS, (2, 3, -1), ("place_1", "place_2", "place_3")),
    (SKIPPED, (1, 2), ("place_1", "place_2", "place_3")),
    (FOUR_CHANNELS, (-1, -1), ("place_1",)),
])  # fmt: skip
def test_each_place_of_more_than_two_has_a_file_and_together_they_are_the_network(
        network: str, numbers: tuple[int, ...], parts: tuple[str, ...], tmp_path: Path) -> None:
    shape = (1, 4, 8, 8) if network == FOUR_CHANNELS else (1, 3, 8, 8)
    plans = Plans(network, shape=shape)
    n_layers = len(plans.instance.names)
    plan = along(plans, *(number if number >= 0 else n_layers for number in numbers))
    written = export_plan(plan, tmp_path, "torch", networks=[network])
    assert tuple(part.part for part in written) == parts
    found = through_all(written, plan, lambda path, given: torch.export.load(path).module()(*given.values()))
    with torch.no_grad():
        expected = flat_outputs(whole(plan)(random_image(network_of(plan).input)))
    assert all(torch.equal(found[path], tensor) for path, tensor in expected.items())
    assert Plan.load(tmp_path / "plan.json") == plan


def test_onnx_of_three_places_hands_on_what_passes_the_second(tmp_path: Path) -> None:
    plan = along(Plans(SKIPPED), 1, 2)
    assert [[tensor.name for tensor in hop] for hop in plan.hops] == [["input", "conv"], ["input", "relu"]]
    first, second, third = export_plan(plan, tmp_path, networks=[SKIPPED])
    assert (second.inputs, second.outputs) == (("conv",), ("relu",))
    assert third.inputs == ("input", "relu")
    assert max(part.difference for part in (first, second, third)) < WORST
    with torch.no_grad():
        expected = whole(plan)(random_image(network_of(plan).input))
    assert largest_difference([through_all((first, second, third), plan, run_onnx)["output"]], [expected]) < WORST


def test_an_operation_without_a_translation_is_one_clear_line(plans: Plans, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("\nno translation of aten.fancy\nmore")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(ExportError, match=r"the head cannot be exported: no translation of aten\.fancy$"):
        export_plan(plans(3), tmp_path, networks=NETWORKS)
    assert not list(tmp_path.iterdir())


def test_another_format_and_strange_code_are_refused(plans: Plans, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'tflite' is not one of onnx, torch"):
        export_plan(plans(3), tmp_path, "tflite", networks=NETWORKS)
    with pytest.raises(Exception, match="names code to run, which nobody allowed here"):
        export_plan(plans(3), tmp_path)


def test_the_command_says_by_how_much_it_differs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Plans(FOUR_CHANNELS, shape=(1, 4, 8, 8))(1).save(tmp_path / "plan.json")
    assert main(["export", str(tmp_path / "plan.json"), "-o", str(tmp_path / "out"), "--network", FOUR_CHANNELS, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [half["half"] for half in found] == ["head", "tail"]
    assert all(half["difference"] < WORST and Path(half["file"]).stat().st_size for half in found)


class Unread(nn.Module):
    """Its last layer is needed by nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.first(x)
        self.last(x)
        return found


def unread() -> nn.Module:
    return Unread()


@pytest.mark.parametrize("to", ["onnx", "torch"])
def test_a_part_that_returns_nothing_has_no_file_and_one_line_says_so(
    to: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network, file = f"{__name__}:unread", tmp_path / "plan.json"
    module = build_network(network, "seeded:0", allow_code=True)
    _plan_of("unread", module, torch.zeros(1, 4), 1).save(file)
    assert main(["export", str(file), "-o", str(tmp_path / "out"), "--network", network, "--to", to, "--json"]) == 0
    out, err = capfd.readouterr()
    assert [(part["half"], part["outputs"]) for part in json.loads(out)] == [("head", ["input", "output"])]
    assert err == "lmos: tail has no file: it would return nothing, and no other part needs its layers\n"
    assert [*json.loads((tmp_path / "out" / "export.json").read_text())["parts"]] == ["head"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v2", "resnet18", "shufflenet_v2_x0_5", "googlenet"])
def test_ten_cuts_of_five_networks(name: str, tmp_path: Path) -> None:
    """Prints the largest relative difference of any half, and of the output through both: run with -s to see it."""
    plans = Plans(f"torchvision:{name}", shape=(1, 3, 224, 224))
    count = len(plans.instance.names)
    worst = 0.0
    for k in range(10):
        plan = plans(k * count // 9)
        halves = export_plan(plan, tmp_path / str(k))
        worst = max(worst, *(half.difference for half in halves), through_both(tmp_path / str(k), plan))
    print(f"{name}: 10 cuts, largest relative difference {worst:.2e}")
    assert worst < WORST


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(10, 4), nn.Linear(4, 3)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.last(self.table(words).mean(1))


class Spectrum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.fft.fft(self.first(x)).real)


def _plan_of(name: str, module: nn.Module, example: torch.Tensor, cut: int) -> Plan:
    plans = object.__new__(Plans)
    plans.profile = profile_built(f"{__name__}:{name}", "seeded:0", module, trace_network(module, example))
    plans.instance = Instance.from_profile(plans.profile)
    return plans(cut)


def words() -> nn.Module:
    return Words()


def spectrum() -> nn.Module:
    return Spectrum()


def test_fault_16_a_network_of_indices_is_exported(tmp_path: Path) -> None:
    network = f"{__name__}:words"
    module = build_network(network, "seeded:0", allow_code=True)
    written = export_plan(_plan_of("words", module, torch.zeros(1, 5, dtype=torch.int64), 1), tmp_path, networks=[network])
    assert [half.part for half in written] == ["head", "tail"]
    assert max(half.difference for half in written) < WORST


def test_fault_16_a_complex_tensor_is_refused_for_onnx_with_a_way_out(tmp_path: Path) -> None:
    network = f"{__name__}:spectrum"
    module = build_network(network, "seeded:0", allow_code=True)
    plan = _plan_of("spectrum", module, torch.zeros(1, 4), 2)
    assert [tensor.dtype for tensor in plan.crossing] == ["complex64"]
    with pytest.raises(ExportError, match="the tensor 'fft_fft' is complex, which ONNX does not know; use --to torch"):
        export_plan(plan, tmp_path, networks=[network])
    assert max(half.difference for half in export_plan(plan, tmp_path, "torch", networks=[network])) < WORST


def test_fault_16_numbers_that_are_none_on_one_side_alone_differ() -> None:
    nan, one = torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 1.0])
    assert largest_difference([nan], [nan]) == 0.0
    assert largest_difference([nan], [one]) == largest_difference([one], [nan]) == float("inf")
    assert largest_difference([torch.tensor([True])], [torch.tensor([False])]) == 1.0
