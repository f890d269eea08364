"""Networks with several inputs: by commands, what is refused, and exported (through two processes: `test_published`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lmos.cli import main
from lmos_opt import InputError, Instance, Plan
from lmos_opt.plan import make_plan
from measurement import trace
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import trace_network
from runner import connect
from runner.errors import RunnerError
from runner.parts.exporting import export_plan
from runner.places.edge import run_plan
from tests.runner.input_networks import NETWORKS
from tests.runner.places.test_edge import SHORT
from tests.runner.running import SETTING, ServerProcess

pytestmark = pytest.mark.process


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


def test_fault_17_what_fails_at_the_server_and_here_is_one_input_with_both_reasons(
    server: ServerProcess, one_torch_thread: None
) -> None:
    """A word that the vocabulary does not have: the network itself raises, wherever it runs."""
    builder = "input_networks:gru"
    module = build_network(builder, "seeded:0", allow_code=True)
    ids = NETWORKS["gru"]()[1]
    network = trace(module, ids)
    instance = Instance.from_profile(profile := profile_built(builder, "seeded:0", module, network))
    plan = make_plan(instance, [], setting=SETTING, profile=profile)
    with connect(plan, server.address, module=network, timeouts=SHORT) as split:
        stream = split.map([ids, torch.full_like(ids, 99), ids], depth=2)
        with torch.inference_mode():
            assert torch.equal(next(stream), module(ids))
        with pytest.raises(RunnerError, match=r"the part failed: IndexError.*; and at the edge: .*out of range"):
            next(stream)
        with torch.inference_mode():
            assert torch.equal(split(ids), module(ids))
        report = split.report()
    assert report.lost >= 1
    assert report.failed[0].file == "input:2"


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
