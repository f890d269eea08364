"""What `lmos policy` says and writes, and the baselines of others through `lmos plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lmos.cli import main
from lmos_opt import Instance, Plan, Policy
from lmos_opt.policies.contexts import context_policy
from tests.lmos_opt.documents import chain_data, diamond_data, listed
from tests.lmos_opt.policies.test_contexts import END, START, at


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Instance.from_dict(chain_data()).save("toy.json")
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def cells(out: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]


def test_the_table_for_people(capsys):
    """By hand: at 4000/3 and 16000/3 bytes a second; latencies 1.75, 1 + 1000/B, .4375 + 4000/B."""
    out = printed(capsys, "policy", "toy.json", "--select", "min_latency", "--range", "8kbps..8Mbps")
    assert out.startswith("toy: rule min_latency over bandwidth, 2 changes\n")
    assert cells(out) == [
        ["0.008 Mbps", "0.01066667 Mbps", "3", "0", "1.750 s", "1.750 s", "63.1 kB", "0 B", "c"],
        ["0.01066667 Mbps", "0.04266667 Mbps", "2", "1", "1.750 s", "1.188 s", "13.1 kB", "1.0 kB", "b"],
        ["0.04266667 Mbps", "8 Mbps", "0", "3", "1.188 s", "441.50 ms", "0 B", "4.0 kB", "(none)"],
    ]


def test_the_json_on_standard_output_is_the_file(folder, capsys):
    out = printed(capsys, "policy", "toy.json", "--select", "slack:50", "-o", "policy.json", "--json")
    assert out == (folder / "policy.json").read_text()
    found = Policy.load("policy.json")
    assert (found.over, found.rule, found.low, found.high) == ("bandwidth", "slack:50", 125000.0, 25e6)
    assert set(json.loads(out)) == {"schema", "instance", "rule", "over", "memory_model", "proper_split",
                                    "bandwidth_bytes_per_s", "memory_limit_bytes", "stretches"}  # fmt: skip


def test_over_memory(capsys):
    out = printed(capsys, "policy", "toy.json", "--select", "budget:0.7", "--over", "memory", "--proper-split", "-o", "p.csv")
    assert cells(out) == [
        ["0 B", "12100 B", "-", "-", "-", "-", "-", "-", "no split is admitted"],
        ["12100 B", "13100 B", "1", "2", "633.00 ms", "633.00 ms", "12.1 kB", "8.0 kB", "a"],
    ]
    assert list(pd.read_csv("p.csv")["low"]) == [0, 12100]
    out = printed(capsys, "policy", "toy.json", "--select", "lmos", "--over", "memory", "--bandwidth", "80Mbps", "--json")
    found = Policy.from_dict(json.loads(out))
    assert (found.bandwidth_bytes_per_s, found.memory_limit_bytes, found.breakpoints) == (1e7, None, (12100, 13100, 63140))


def test_options_change_the_question(capsys):
    arguments = ["policy", "toy.json", "--select", "lmos", "--memory", "13.1kB", "--memory-model", "peak", "--rtt", "20ms"]
    found = Policy.from_dict(json.loads(printed(capsys, *arguments, "--json")))
    assert (found.memory_limit_bytes, found.memory_model) == (13100, "peak")
    assert found.at("10Mbps").x1 == 1  # by peak, cuts 1 and 2 need the same, and cut 1 is faster there
    assert found.at("10Mbps").fixed_s == 0.25 + 0.375 + 0.02


def test_pictures(folder, capsys):
    pytest.importorskip("matplotlib")
    printed(capsys, "policy", "toy.json", "--select", "knee", "--plot", "p.png")
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert listed(folder) == ["p.png", "toy.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--select", "best"], "'best' is not a selection rule"),
        (["--select", "knee", "--over", "rtt"], "--over: 'rtt' is not one of bandwidth, bandwidth:HOP, memory"),
        (["--select", "knee", "--range", "1Mbps"], "--range: '1Mbps' is not a range; expected LOW..HIGH"),
        (["--select", "knee", "--range", "1Mbps..2Mbps..3Mbps"], "is not a range"),
        (["--select", "knee", "--range", "1..2"], "range: '1' is not a rate"),
        (["--select", "knee", "--range", "9Mbps..2Mbps"], "9Mbps to 2Mbps is empty"),
        (["--select", "knee", "--range", "5e-324B/s..1Gbps"], "range: 5e-324B/s to 1Gbps is not within 1e-06 to 1e+15 B/s"),
        (["--select", "knee", "--over", "memory", "--range", "9MB..2MB"], "9MB to 2MB is empty"),
        (["--select", "knee", "--over", "memory", "--range", "0..1e999B"], "range: 1e999B is larger than 9007199254740992 bytes"),
        (["--select", "knee", "--bandwidth", "9Mbps"], "--bandwidth: is what the policy is over"),
        (["--select", "knee", "--over", "memory", "--memory", "9MB"], "--memory: is what the policy is over"),
        (["--select", "knee", "--solver", "abacus"], "'abacus' is not a solver"),
        (["--select", "knee", "--memory-model", "most"], "--memory-model: 'most' is not one of sum, peak"),
        (["--select", "knee", "-o", "p.parquet"], "p.parquet: has the suffix '.parquet'; expected one of .json, .csv"),
        (["--select", "knee", "--plot", "p.gif"], "p.gif: has the suffix '.gif'"),
        ([], "--select"),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_written(arguments, message, folder, capsys):
    assert main(["policy", "toy.json", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert listed(folder) == ["toy.json"]


def test_a_rule_that_nothing_meets_ends_with_3(capsys):
    assert main(["policy", "toy.json", "--select", "budget:1ms"]) == 3
    assert capsys.readouterr().err.startswith("lmos: toy: infeasible: rule budget:1ms at every bandwidth")


@pytest.mark.parametrize(("rule", "bandwidth", "x1"), [("DADS", "8Mbps", 0), ("Neurosurgeon", "40kbps", 2), ("DADS", "8kbps", 3)])
def test_the_baselines_of_others_make_plans(rule, bandwidth, x1, capsys):
    plan = Plan.from_dict(json.loads(printed(capsys, "plan", "toy.json", "--select", rule, "--bandwidth", bandwidth, "--json")))
    assert (plan.x1, plan.setting.rule) == (x1, rule)


def test_the_baselines_of_others_know_no_limit_and_say_so(capsys):
    assert main(["plan", "toy.json", "--select", "DADS", "--bandwidth", "8kbps", "--memory", "13kB"]) == 3
    assert "the split needs 63140 B" in capsys.readouterr().err
    Instance.from_dict(diamond_data()).save("diamond.json")
    assert main(["plan", "diamond.json", "--select", "Neurosurgeon"]) == 2
    assert "cuts chains only" in capsys.readouterr().err


def test_over_the_context_of_a_decoder(capsys):
    """Two files of one decoder; the split changes where the first place's memory is full."""
    limits = (34_000, None)
    for name, context in (("near", START), ("far", END)):
        at(0, context, limits).save(f"{name}.json")
    asked = ("policy", "near.json", "--select", "min_latency", "--over", "context")
    rows = cells(printed(capsys, *asked, "--later", "far.json", "-o", "p.json", "--plot", "p.svg"))
    found = Policy.load("p.json")
    assert found == context_policy(at(0, START, limits), at(0, END, limits))
    assert (rows[0][0], rows[-1][1], len(rows)) == ("100 tokens", "125 tokens", len(found.stretches))
    for wrong, message in (
        ((*asked, "--range", "1..2"), "--later: is missing; --over context needs a decoder"),
        ((*asked, "--later", "far.json", "--range", "1..2"), "--range: is given by the two profiles"),
        ((*asked[:3], "knee", *asked[4:], "--later", "far.json"), "--select: over a context there is min_latency"),
        ((*asked, "--later", "near.json"), "contexts: are not those of two instances"),
        ((*asked[:4], "--later", "far.json"), "--later: is for --over context"),
        (("policy", "hf:nowhere", *asked[2:]), "--range: says between which contexts"),
        (("policy", "hf:nowhere", *asked[2:], "--range", "9..3"), "--range: 9..3 is empty"),
    ):
        assert main([*wrong]) == 2
        assert message in capsys.readouterr().err
