"""What is made of parts on another engine, at cuts of a small network, and what is said where they differ. (That parts on
onnxruntime make what torch's make is `tests/measurement`'s: each one has to be exported first.)"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from torch import nn

from lmos.bench.engine_agreement import Agreement, Subject, agreement
from lmos.cli import main
from lmos.commands import bench_parts
from measurement import engines
from measurement.profiling import profile_built
from measurement.tracing import trace_network


@pytest.fixture(scope="module")
def subject() -> Subject:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5)).eval()
    inputs = [torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)]
    traced = trace_network(module, inputs[0], "module")
    return Subject("small", module, traced, profile_built("small", "seeded:0", module, traced), inputs)


def test_parts_that_make_the_same_numbers_agree(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, torchs = [], engines.get("torch")
    monkeypatch.setattr(engines, "get", lambda name: asked.append(name) or torchs)
    found = agreement(subject, 3, lambda what: None)
    assert replace(found, spread=0.0) == Agreement("small", 5, 3, 0.0, 0.0, 2, 2, 0.0)
    one, other = (subject.module(given).detach() for given in subject.inputs)
    assert found.spread == pytest.approx(float((one - other).abs().max() / other.abs().max()))
    assert asked == ["onnxruntime"]


def test_parts_that_make_other_numbers_are_seen(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(type(engines.get("torch"))):  # type: ignore[misc]
        def load(self, part: nn.Module, example: object) -> nn.Module:
            changed = deepcopy(part)
            for weights in changed.parameters():
                weights.data *= -1.5
            return changed

    wrong = Wrong("float32")
    monkeypatch.setattr(engines, "get", lambda name: wrong)
    found = agreement(subject, 3, lambda what: None)
    assert found.crossing_error > 0.1
    assert found.output_error > 0.1


@pytest.mark.parametrize(("changed", "said"), [
    ({}, None), ({"output_error": 2e-4}, "off by 0.0002"), ({"crossing_error": 3e-4}, "off by 0.0003"),
    ({"same_classes": 4}, "4 of 5 classes"), ({"same_classes": None}, None),
])  # fmt: skip
def test_the_command_fails_where_numbers_or_classes_differ(changed: dict[str, object], said: str | None,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    kept = Agreement("small", 5, 2, 1e-6, 1e-6, 5, 5, 0.5)
    monkeypatch.setattr(Subject, "of", lambda name: name)
    monkeypatch.setattr("lmos.bench.engine_agreement.agreement", lambda *asked: replace(kept, **changed))  # type: ignore[arg-type]
    if said is None:
        bench_parts.run("small", 2, False, as_json=True)
    else:
        with pytest.raises(bench_parts.Differ, match=said):
            bench_parts.run("small", 2, False, as_json=False)


def test_an_interruption_leaves_what_is_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    done = Mock(side_effect=[Agreement("small", 5, 2, 1e-6, 2e-6, 5, 5, 0.5), KeyboardInterrupt])
    monkeypatch.setattr(Subject, "of", lambda name: name)
    monkeypatch.setattr("lmos.bench.engine_agreement.agreement", done)
    assert main(["bench", "parts", "--networks", "small,large,another", "--json"]) == 1
    said = capsys.readouterr()
    assert said.err == ("lmos: small: 2 cuts, outputs off by 2.0e-06, same classes on 5 of 5\n"
                        "lmos: interrupted after 1 of 3 networks\n")  # fmt: skip
    found = json.loads(said.out)
    assert ([one["network"] for one in found["networks"]], found["complete"]) == (["small"], False)


def test_outputs_that_are_alike_for_all_inputs_are_said_to_be(monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr(Subject, "of", lambda name: name)
    for spread, is_said in ((0.0, True), (0.5, False)):
        monkeypatch.setattr("lmos.bench.engine_agreement.agreement",
                            lambda *asked, spread=spread: Agreement("small", 5, 2, 1e-6, 1e-6, 5, 5, spread))  # fmt: skip
        bench_parts.run("small", 2, False, as_json=False)
        assert ("all outputs alike" in " ".join(capsys.readouterr().out.split())) is is_said
