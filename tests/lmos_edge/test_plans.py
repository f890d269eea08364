"""Plans and exports read without pydantic: what the runner reads of them, and every fault one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lmos_edge.plans import Plan
from lmos_edge.programs import Exported, Program
from lmos_opt import InputError
from lmos_opt import Plan as RunnersPlan
from runner.client.remote import opening
from runner.wire.protocol import Open
from tests.lmos_edge.conftest import Export
from tests.runner.running import network_of

SESSION = "0123456789abcdef" * 2


def changed(file: Path, to: Path, **changes: object) -> Path:
    """A copy of a JSON file in which values are others, by their path with dots."""
    data = json.loads(file.read_text())
    for path, value in changes.items():
        *folders, key = path.split(".")
        place: Any = data
        for folder in folders:
            place = place[folder]
        if value is None and key not in {"network", "preprocessing"}:
            del place[key]
        else:
            place[key] = value
    to.write_text(json.dumps(data))
    return to


def test_a_server_is_asked_as_the_runner_asks(export: Export) -> None:
    plan = Plan.load(export.file)
    ours = Open.model_validate(plan.opening(SESSION))
    assert ours == opening(export.plan, network_of(export.plan), SESSION)
    assert [(name, spec.shape, spec.bytes) for name, spec in plan.crossing.items()] == [
        (tensor.name, tensor.shape, tensor.bytes) for tensor in export.plan.crossing
    ]


def test_a_plan_over_three_places_asks_for_the_others_too(export: Export, tmp_path: Path) -> None:
    two = json.loads(export.file.read_text())
    layers = [*RunnersPlan.load(export.file).edge_layers]
    places = {"name": "box", "memory_limit_bytes": None}
    hop = {"bandwidth_bytes_per_s": 1e6, "back_bytes_per_s": None, "rtt_s": 0.0}
    data = {key: value for key, value in two.items() if key not in {"edge_layers", "x1", "x2"}}
    stages = ["t_place_1_s", "t_hop_1_s", "t_place_2_s", "t_hop_2_s", "t_place_3_s", "latency_s", "edge_memory_bytes"]
    data.update(schema="lmos.plan/2", places=[layers[:1], layers[1:], ["last"]], crossing=[two["crossing"], two["crossing"]],
                predicted=dict.fromkeys(stages, 1.0),
                setting={"places": [places] * 3, "hops": [hop] * 2, "memory_model": "sum", "rule": "cut:1,2"})  # fmt: skip
    (tmp_path / "plan.json").write_text(json.dumps(data))
    plan = Plan.load(tmp_path / "plan.json")
    theirs = RunnersPlan.load(tmp_path / "plan.json")
    assert Open.model_validate(plan.opening(SESSION)) == opening(theirs, network_of(theirs), SESSION)
    assert (plan.n_places, plan.offloads) == (3, True)


@pytest.mark.parametrize(("path", "value", "said"), [
    ("schema", "lmos.plan/9", "schema: got 'lmos.plan/9', expected one of lmos.plan/1, lmos.plan/2"),
    ("network", None, "network: is null: this plan was made from numbers alone, which cannot be run"),
    ("network.digest", 7, "network.digest: got 7, expected a text"),
    ("network.input.shape", "x", "network.input.shape: got 'x', expected a list of whole numbers"),
    ("crossing", [{"name": "a", "shape": [1], "dtype": "float31"}], "crossing[0].dtype: got 'float31', expected one of"),
    ("codec", "zstd", "codec: got 'zstd', expected one of raw, fp16, int8"),
    ("predicted.latency_s", None, "predicted.latency_s: is missing"),
    ("predicted.latency_s", "1", "predicted.latency_s: got '1', expected a finite number"),
    ("predicted.latency_s", 10**400, "predicted.latency_s: got 1000"),
    ("setting.memory_limit_bytes", -1, "setting.memory_limit_bytes: got -1, expected a whole number of at least 0"),
    ("crossing", [{"name": f"t{k}", "shape": [1], "dtype": "int8"} for k in range(4097)], "crossing: 4097 tensors cross; at most"),
    ("edge_layers", None, "edge_layers: is missing"),
    ("network.granularity", "layer", "network.granularity: got 'layer', expected one of module, paper"),
    ("x1", 7, "x1: got 7, but edge_layers are 3"),
    ("x2", 0, "x2: got 0, but relu, left crosses"),
])  # fmt: skip
def test_what_is_wrong_with_a_plan_is_one_line(export: Export, tmp_path: Path, path: str, value: object, said: str) -> None:
    file = changed(export.file, tmp_path / "plan.json", **{path: value})
    with pytest.raises(InputError) as caught:
        Plan.load(file)
    assert str(caught.value).startswith(f"{file}: {said}")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100_000])
def test_a_file_that_is_no_plan_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError):
        Plan.load(tmp_path / "plan.json")
    with pytest.raises(InputError, match="no such file"):
        Plan.load(tmp_path / "none.json")


def test_a_head_of_another_network_or_split_is_refused(export: Export, tmp_path: Path) -> None:
    for what, changes in (("network", {"network.digest": "sha256:0"}), ("split", {"edge_layers": ["conv1"], "x1": 1})):
        other = changed(export.file, tmp_path / "plan.json", **changes)
        with pytest.raises(InputError, match=rf"is the export of another {what} than the plan's; export"):
            Exported.of(Plan.load(other), export.head)


@pytest.mark.parametrize(("path", "value", "said"), [
    ("parts.head", None, "parts.head: is missing: it runs the plan's layers at the edge; export the plan again"),
    ("parts.head.inputs", {"image": "picture"}, "parts.head.inputs.image: got 'picture', expected one of input"),
    ("parts.head.result", ["left"], "parts.head.outputs: are relu, left, the last 1 of them of the result; in the plan relu, left"),
    ("parts.head.result", ["a", "b", "c"], "parts.head.outputs: are relu, left, the last 3 of them of the result"),
    ("parts.whole.result", [], "parts.whole.outputs: are output, the last 0 of them of the result; in the plan nothing crosses"),
])  # fmt: skip
def test_an_export_that_says_what_cannot_be_of_the_plan_is_one_line(export: Export, tmp_path: Path, path: str, value: object,
                                                                   said: str) -> None:  # fmt: skip
    file = changed(export.folder / "export.json", tmp_path / "export.json", **{path: value})
    with pytest.raises(InputError) as caught:
        Exported.of(Plan.load(export.file), tmp_path)
    assert str(caught.value).startswith(f"{file}: {said}")


def test_a_plan_that_crosses_nothing_any_more_is_not_the_heads(export: Export, tmp_path: Path) -> None:
    plan = Plan.load(changed(export.file, tmp_path / "plan.json", crossing=[], x2=0))
    with pytest.raises(InputError, match=r"outputs: are relu, left, .*; in the plan nothing crosses"):
        Exported.of(plan, export.folder)


def test_a_changed_head_is_refused_before_it_is_loaded(export: Export, tmp_path: Path) -> None:
    (tmp_path / "export.json").write_bytes((export.folder / "export.json").read_bytes())
    data = export.head.read_bytes()
    (tmp_path / "head.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    exported = Exported.of(Plan.load(export.file), tmp_path)
    assert exported.head is not None
    with pytest.raises(InputError, match=r"is not the file that export\.json speaks of: its SHA-256 is"):
        Program(exported.head, 1)


def test_a_head_alone_and_another_part_are_refused(export: Export, tmp_path: Path) -> None:
    plan = Plan.load(export.file)
    with pytest.raises(InputError, match=r"^--head: is missing"):
        Exported.of(plan, None)
    (tmp_path / "head.onnx").write_bytes(export.head.read_bytes())
    with pytest.raises(InputError, match=r"has no export.json beside it; copy all that 'lmos export' wrote"):
        Exported.of(plan, tmp_path / "head.onnx")
    with pytest.raises(InputError, match=r"is not the plan's first part, which export.json calls head.onnx"):
        Exported.of(plan, export.folder / "whole.onnx")
    changed(export.folder / "export.json", tmp_path / "export.json", **{"parts.head.file": "../head.onnx"})
    with pytest.raises(InputError, match=r"parts.head.file: got '../head.onnx', expected a file's name"):
        Exported.of(plan, tmp_path)
