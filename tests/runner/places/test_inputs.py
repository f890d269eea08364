"""Networks with inputs of any structure through two processes: the answer over the socket is the whole network's, to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only

from lmos.cli import main
from lmos_opt import InputError, Instance, Plan
from lmos_opt.plan import make_plan
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import trace_network
from measurement.tracing.calls import call
from runner import connect
from runner.parts.exporting import export_plan
from runner.parts.split import split_module
from runner.places.edge import run_plan
from tests.runner.asking import AskingClient
from tests.runner.input_networks import NETWORKS
from tests.runner.places.test_edge import SHORT
from tests.runner.running import SETTING, WITH_INPUTS, ServerProcess, network_of

pytestmark = pytest.mark.process


@pytest.mark.parametrize("builder", WITH_INPUTS)
def test_the_output_over_the_wire_is_the_whole_networks(server: ServerProcess, one_torch_thread: None, builder: str) -> None:
    module = build_network(builder, "seeded:0", allow_code=True)
    _, example = NETWORKS[builder.partition(":")[2]]()
    traced = trace_network(module, example)
    profile = profile_built(builder, "seeded:0", module, traced)
    instance = Instance.from_profile(profile)
    made = make_plan(instance, instance.names[: len(instance.names) // 2], setting=SETTING, profile=profile)
    plan = Plan.from_dict(json.loads(made.to_json()))
    head, tail = split_module(module, plan.edge_layers, example)
    with torch.inference_mode(), AskingClient(server.address, None, SHORT) as remote:
        remote.open(plan, network_of(plan))
        remote.wait_until_ready()
        crossing = call(head, example)
        assert [(t.name, t.bytes) for t in plan.crossing] == [(k, t.nbytes) for k, t in crossing.items()]
        found = remote.infer(1, crossing).outputs
        expected = [leaf for leaf in tree_leaves(call(module, example)) if isinstance(leaf, torch.Tensor)]
        everything = {**found, **crossing.kept}
        assert len(everything) == len(expected)
        assert all(any(torch.equal(one, leaf) for one in everything.values() if one.dtype == leaf.dtype) for leaf in expected)


def test_commands_profile_plan_and_run_a_network_with_several_inputs(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    builder = "input_networks:bert"
    inputs = ["--input", "ids=12:int64:0..49", "--input", "mask=12:int64:0..1"]
    assert main(["profile", builder, *inputs, "-o", "profile.json"]) == 0
    assert json.loads(Path("profile.json").read_text())["input_tensors"] == {
        "input.ids": {"shape": [1, 12], "dtype": "int64", "low": 0, "high": 49},
        "input.mask": {"shape": [1, 12], "dtype": "int64", "low": 0, "high": 1},
    }
    assert main(["plan", "profile.json", "--select", "cut:3", "-o", "plan.json"]) == 0
    report = run_plan(Plan.load("plan.json"), server.address, n=2, networks=[builder], timeouts=SHORT)
    assert (report.images, report.lost) == (2, 0)


@pytest.mark.parametrize("builder", WITH_INPUTS)
def test_ones_own_arguments_go_through_as_the_network_takes_them(
    server: ServerProcess, one_torch_thread: None, builder: str
) -> None:
    """Called and mapped, as tensors and as arrays; the structure that comes back is the network's."""
    module = build_network(builder, "seeded:0", allow_code=True)
    _, example = NETWORKS[builder.partition(":")[2]]()
    profile = profile_built(builder, "seeded:0", module, trace_network(module, example))
    instance = Instance.from_profile(profile)
    plan = make_plan(instance, instance.names[: len(instance.names) // 2], setting=SETTING, profile=profile)
    with torch.inference_mode():
        expected = call(module, example)
    arrays = tree_map_only(torch.Tensor, lambda one: one.numpy(), example)
    with connect(plan, server.address, networks=[builder], timeouts=SHORT) as split:
        for found in (call(split, example), *split.map([example, arrays], depth=2)):
            leaves, structure = tree_flatten(found)
            wanted, same = tree_flatten(expected)
            assert structure == same
            assert all(torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
                       for one, other in zip(leaves, wanted, strict=True))  # fmt: skip


def test_an_input_of_several_that_is_wrong_is_named(server: ServerProcess) -> None:
    builder = "input_networks:bert"
    module = build_network(builder, "seeded:0", allow_code=True)
    _, example = NETWORKS["bert"]()
    profile = profile_built(builder, "seeded:0", module, trace_network(module, example))
    instance = Instance.from_profile(profile)
    plan = make_plan(instance, instance.names[:3], setting=SETTING, profile=profile)
    names = [name.removeprefix("input.") for name in profile.input_tensors]
    good = {name: torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))
            for name, spec in zip(names, profile.input_tensors.values(), strict=True)}  # fmt: skip
    with connect(plan, server.address, networks=[builder], timeouts=SHORT) as split:
        split(**good)
        for wrong, reason in (({names[1]: good[names[1]].float()}, f"input.{names[1]}: is .* float32; the plan is for .* int64"),
                              ({names[1]: good[names[1]][:, :3]}, f"input.{names[1]}: is 1x3 int64; the plan is for"),
                              ({"other": 1}, "input: cannot be called with the example: .*other")):
            with pytest.raises(InputError, match=reason):
                split(**{**good, **wrong})


@pytest.mark.parametrize("name", ["gru", "clip"])
def test_fault_16_networks_of_words_and_of_several_inputs_are_exported(tmp_path: Path, name: str) -> None:
    builder = f"input_networks:{name}"
    module = build_network(builder, "seeded:0", allow_code=True)
    profile = profile_built(builder, "seeded:0", module, trace_network(module, NETWORKS[name]()[1]))
    instance = Instance.from_profile(profile)
    plan = make_plan(instance, instance.names[:1], setting=SETTING, profile=profile)
    head, tail = export_plan(plan, tmp_path, "onnx" if name == "clip" else "torch", networks=[builder])
    assert set(head.inputs) == ({"image"} if name == "gru" else {"input.ids", "input.picture_"})
    assert max(head.difference, tail.difference) < 1e-5
