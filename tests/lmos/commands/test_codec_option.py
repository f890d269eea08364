"""`--codec` of profile, front, plan and policy: what is known, what is measured on the spot, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos.cli import main
from lmos.profiles import make_profile, measure_codecs
from lmos_opt import Instance, NetworkProfile, Plan
from lmos_opt.graph import INPUT
from tests.lmos_opt.documents import chain_data
from tests.runner.running import SQUEEZENET


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Plan:
    assert main(["plan", *arguments, "--json"]) == 0
    return Plan.from_dict(json.loads(capsys.readouterr().out))


@pytest.fixture(scope="module")
def measured() -> NetworkProfile:
    profile = make_profile(SQUEEZENET, "bundled:squeezenet1_1", "module", (3, 112, 112))
    return measure_codecs(profile, ["zstd", "int8", "jpeg:80"], 1)


def test_what_a_codec_makes_of_every_output_is_measured(measured: NetworkProfile) -> None:
    assert measured.codecs is not None
    assert NetworkProfile.from_dict(measured.to_dict()) == measured
    raw = {INPUT: measured.input.bytes, **{layer.name: layer.output_bytes for layer in measured.layers}}
    zstd, int8 = measured.codecs["zstd"].sent, measured.codecs["int8"].sent
    assert set(zstd) == set(int8) == set(raw)
    for name, n_bytes in raw.items():
        assert zstd[name].bytes < 0.95 * n_bytes
        assert 0.25 <= int8[name].bytes / n_bytes <= 0.27
        assert min(zstd[name].encode_s, zstd[name].decode_s, int8[name].encode_s, int8[name].decode_s) > 0
    assert zstd["features.1"].bytes < 0.6 * raw["features.1"]  # after a ReLU half of it is zero
    assert set(measured.codecs["jpeg:80"].sent) == {INPUT}
    assert measured.codecs["jpeg:80"].sent[INPUT].bytes < 0.05 * raw[INPUT]
    assert str(measured.codecs["zstd"].about["images"]).endswith("bundled pictures")


def test_plans_count_what_was_measured(measured: NetworkProfile, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [layer.model_copy(update={"t_local_s": 0.001}) for layer in measured.layers]
    measured.model_copy(update={"layers": tuple(layers)}).save("p.json")
    assert measured.codecs is not None
    for codec, cut in (("zstd", "cut:5"), ("int8", "cut:0"), ("jpeg:80", "cut:0")):
        plan = plan_of(capsys, "p.json", "--edge", "local", "--server", "local", "--codec", codec, "--select", cut)
        sent = measured.codecs[codec].sent[plan.crossing[0].name]
        assert plan.codec == codec
        assert [tensor.wire_bytes for tensor in plan.crossing] == [sent.bytes]
        assert plan.predicted["t_edge_s"] == pytest.approx(0.001 * plan.x1 + sent.encode_s)
        assert plan.predicted["t_server_s"] == pytest.approx(0.001 * plan.x2 + sent.decode_s)
        assert plan.predicted["t_tx_s"] == pytest.approx(sent.bytes / 1.25e6)


def test_a_codec_that_must_be_measured_is_measured_on_the_spot(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(capsys, "squeezenet1_1", "--codec", "jpeg:75", "--select", "cut:0")
    assert plan.crossing[0].wire_bytes is not None
    assert plan.crossing[0].wire_bytes < 0.05 * plan.crossing[0].bytes


def test_a_layer_gets_a_codec_of_its_own(measured: NetworkProfile, capsys: pytest.CaptureFixture[str]) -> None:
    measured.save("p.json")
    assert measured.codecs is not None
    picture = plan_of(capsys, "p.json", "--codec", "int8", "--codec", "input=jpeg:80", "--select", "cut:0")
    assert (picture.codec, picture.codecs) == ("int8", {INPUT: "jpeg:80"})
    assert picture.crossing[0].wire_bytes == measured.codecs["jpeg:80"].sent[INPUT].bytes
    later = plan_of(capsys, "p.json", "--codec", "int8", "--codec", "input=jpeg:80", "--select", "cut:5")  # no picture crosses
    assert [tensor.wire_bytes for tensor in later.crossing] == [measured.codecs["int8"].sent[later.crossing[0].name].bytes]
    assert main(["front", "p.json", "--codec", "int8", "--codec", "input=jpeg:80"]) == 0
    assert "codec int8, input in jpeg:80" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("arguments", "reason"), [
    (["front", "p.json", "--codec", "int8", "--codec", "fp16"], "--codec: int8 and fp16 cannot both be for all"),
    (["front", "p.json", "--codec", "nobody=fp16"], "has no layer or input 'nobody'"),
    (["plan", "squeezenet1_1", "--codec", "int9", "--select", "cut:0"], "codec: 'int9' is not a codec; there are fp16, int4, int8"),
    (["front", "alexnet", "--codec", "jpeg"], "codec: jpeg: expected a quality from 1 to 100"),
    (["front", "toy.json", "--codec", "int8"], "--codec: an instance file has no shapes of tensors"),
    (["plan", "p.json", "--codec", "jpeg:80", "--select", "cut:5"],
     "jpeg:80: is for the image alone, and this split sends 'features.3.squeeze_activation'; choose the split that sends"),
    (["front", "nobody.json", "--codec", "zstd"], "holds no measured sizes, which depend on the tensors' numbers, under the codec"),
])  # fmt: skip
def test_refusals_are_one_line(
    arguments: list[str], reason: str, measured: NetworkProfile, capsys: pytest.CaptureFixture[str]
) -> None:
    Instance.from_dict(chain_data()).save("toy.json")
    measured.save("p.json")
    measured.model_copy(update={"network": None, "codecs": None}).save("nobody.json")
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert reason in err
    assert err.count("\n") == 1


def test_an_instance_file_speaks_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    coding = {"codec": "int8", "sent": {"input": {"bytes": 1000}, "a": {"bytes": 500, "encode_s": 0.5}}}
    Instance.from_dict({**chain_data(), "coding": coding}).save("toy.json")
    plan = plan_of(capsys, "toy.json", "--select", "cut:1")
    assert (plan.codec, plan.crossing[0].wire_bytes) == ("int8", 500)
    raw = plan_of(capsys, "toy.json", "--codec", "raw", "--select", "cut:1")
    assert (raw.codec, raw.crossing[0].wire_bytes) == ("raw", None)
    assert plan.predicted["t_edge_s"] == raw.predicted["t_edge_s"] + 0.5
    assert main(["front", "toy.json"]) == 0
    assert "codec int8" in " ".join(capsys.readouterr().out.split())


def test_a_policy_knows_the_codec(capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for codec in ("raw", "int8"):
        assert main(["policy", "alexnet", "--codec", codec, "--select", "min_latency", "--json"]) == 0
        found[codec] = json.loads(capsys.readouterr().out)["stretches"]
    for stretches in found.values():
        assert stretches[-1]["x1"] == 0
    assert found["int8"][-1]["crossing_bytes"] < 0.27 * found["raw"][-1]["crossing_bytes"]
    assert found["int8"][-1]["low"] < found["raw"][-1]["low"]
