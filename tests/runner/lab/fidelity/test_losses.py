"""Losses, tensor by tensor and of a whole split, beside what their definition gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmos_opt import InputError, Instance, Plan, pareto_front
from lmos_opt.plan import make_plan
from lmos_opt.plans.proportion import upper_end
from lmos_opt.profile import NetworkProfile
from measurement import codecs
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import TracedNetwork, trace_network
from runner.images import Images
from runner.images.labelled import Labelled
from runner.lab.fidelity import numbers_of, parse_part
from runner.lab.fidelity.judging import Expected, Tally, error_of
from runner.lab.fidelity.losses import Share, measure_losses
from runner.lab.fidelity.splits import check_apart, measure_split
from runner.parts.network import class_in
from runner.parts.split import split_traced
from runner.wire.tensors import pack, unpack
from tests.runner.running import BRANCHED, SETTING

EVERYTHING = Share(part="all")


def drawn(k: int) -> Tensor:
    return torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(k))


@pytest.fixture(scope="module")
def branched() -> tuple[NetworkProfile, TracedNetwork]:
    module = build_network(BRANCHED, "seeded:0", allow_code=True)
    traced = trace_network(module, drawn(0))
    return profile_built(BRANCHED, "seeded:0", module, traced), traced


def inputs(n: int = 8, right: object = None) -> Labelled:
    return Labelled(Images("numbers", [f"n{k}" for k in range(n)], drawn), right)  # type: ignore[arg-type]


def by_hand(traced: TracedNetwork, edge: tuple[str, ...], tensor: str, codec: str, n: int = 8) -> float:
    """The share of changed classes, from a cut where the tensor crosses, and everything behind it is at the server."""
    head, tail = split_traced(traced, edge)
    changed = 0
    with torch.inference_mode():
        for k in range(n):
            crossing = head(drawn(k))
            headers, parts = pack({tensor: crossing[tensor]}, codecs.get(codec))
            arrived = unpack(headers, memoryview(bytearray(b"".join(parts))), codecs.get(codec))
            whole = tail(crossing)
            crossing.update(arrived)
            changed += class_in(tail(crossing)) != class_in(whole)
    return changed / n


def test_losses_are_what_their_definition_gives(branched):
    profile, traced = branched
    wanted = [codecs.get(name) for name in ("int8", "zint:2", "zint:3", "zstd")]
    found = measure_losses(profile, traced, wanted, inputs(), EVERYTHING, confidence=0.95)
    assert found.calibration.criterion == "classes"
    assert found.calibration.inputs == 8
    assert set(found.losses["zstd"].values()) == {0.0}
    names = [layer.name for layer in traced.layers]
    for k in range(len(names)):
        tensor = (*traced.input_tensors, *names)[k]
        for codec in ("zint:2", "zint:3"):
            assert found.losses[codec][tensor] == by_hand(traced, tuple(names[:k]), tensor, codec)
    assert max(found.losses["zint:2"].values()) > max(found.losses["int8"].values())
    assert names[-1] not in found.losses["int8"]  # it never crosses
    assert found.calibration.confidence == 0.95
    assert found.upper["zint:2"] == {name: upper_end(round(8 * loss), 8) for name, loss in found.losses["zint:2"].items()}
    assert set(found.upper["zstd"].values()) == {0.0}  # it changes no bit of any input
    means = measure_losses(profile, traced, wanted[:1], inputs(), EVERYTHING)
    assert means.upper is means.calibration.confidence is None
    assert means.counted_with == {"int8": found.losses["int8"]}


def test_of_labels_a_loss_is_what_was_right_and_is_no_longer(branched):
    profile, traced = branched
    module = traced.module.eval()
    with torch.inference_mode():
        right = tuple(frozenset((class_in(module(drawn(k))) if k % 2 else 99,)) for k in range(8))
    both = [measure_losses(profile, traced, [codecs.get("zint:2")], inputs(8, labels), EVERYTHING) for labels in (right, None)]
    assert [one.calibration.criterion for one in both] == ["labels", "classes"]
    assert both[0].calibration.right == 0.5
    assert all(both[0].losses["zint:2"][name] <= loss for name, loss in both[1].losses["zint:2"].items())
    assert any(both[0].losses["zint:2"][name] < loss for name, loss in both[1].losses["zint:2"].items())


def test_ctrl_c_keeps_what_was_measured(branched):
    profile, traced = branched

    def load(k: int) -> Tensor:
        if k == 3:
            raise KeyboardInterrupt
        return drawn(k)

    some = Labelled(Images("numbers", [str(k) for k in range(6)], load), None)
    found = measure_losses(profile, traced, [codecs.get("int8")], some, EVERYTHING)
    assert (found.calibration.inputs, found.calibration.complete) == (3, False)
    some = Labelled(Images("numbers", ["0"], lambda k: load(3)), None)
    with pytest.raises(KeyboardInterrupt):
        measure_losses(profile, traced, [codecs.get("int8")], some, EVERYTHING)


@pytest.fixture(scope="module")
def measured(branched) -> NetworkProfile:
    profile, traced = branched
    names = ("fp16", "int8", "int4")
    fidelity = measure_losses(profile, traced, [codecs.get(name) for name in names], inputs(), Share(seed=3), confidence=0.95)
    return profile.model_copy(update={"fidelity": fidelity})


def test_the_search_chooses_a_codec_for_each_tensor_within_a_loss(measured, branched):
    among = [codecs.get(name) for name in measured.fidelity.losses]
    instance = Instance.from_profile(measured, among=among, edge="rpi4", server="i7-8700", bandwidth="500kbps")
    assert {choice.name for choice in instance.codecs["input"]} <= {"raw", "fp16", "int8", "int4"}
    for choices in instance.codecs.values():  # what is nowhere better than another is left out
        assert len({choice.bytes for choice in choices}) == len(choices)
        by_bytes = [one.loss for one in sorted(choices, key=lambda one: one.bytes)]
        assert by_bytes == sorted(by_bytes, reverse=True)
    with pytest.raises(InputError, match=r"stands beside codecs to choose among"):
        Instance.from_profile(measured, among=among, codec=codecs.get("int8"))
    with pytest.raises(InputError, match=r"does not say what is lost under zint:2; .*--fidelity IMAGES"):
        Instance.from_profile(measured, among=[codecs.get("zint:2")])
    front = pareto_front(instance, ["tx_bytes", "memory"], limits={"fidelity_loss": 0.0})
    assert all(instance.codecs[u][[c.name for c in instance.codecs[u]].index(c)].loss == 0
               for point in front.points for u, c in (point.codecs or {}).items())
    point = front.points[len(front.points) // 2]
    plan = make_plan(instance, point.edge_layers or (), setting=SETTING, profile=measured, codecs=point.codecs)
    assert plan.predicted["fidelity_loss"] == 0
    assert plan.calibration == measured.fidelity.calibration
    assert Plan.from_dict(plan.to_dict()) == plan


def test_a_splits_true_loss_stands_beside_its_estimate(measured, branched):
    _, traced = branched
    instance = Instance.from_profile(measured, among=[codecs.get("int4")])
    names = [layer.name for layer in traced.layers]
    plan = make_plan(instance, names[:3], setting=SETTING, profile=measured,
                     codecs=dict.fromkeys(instance.crossing(frozenset(names[:3])), "int4"))
    losses = measured.fidelity.upper["int4"]
    found = measure_split(plan, traced, inputs(), Share(seed=3, part="held-out"))
    assert found.estimated == pytest.approx(sum(losses[name] for name in instance.crossing(frozenset(names[:3]))))
    assert found.on.inputs == 4
    assert found.low <= found.measured <= found.high
    assert 0 < found.error < 1
    assert 0.14 < found.sent_bytes / found.raw_bytes < 0.15
    alone = plan.model_copy(update={"codecs": {}})
    assert measure_split(alone, traced, inputs(), Share(part="all")).error == 0


def test_along_three_places_a_tensor_is_encoded_once(measured, branched):
    _, traced = branched
    names = [layer.name for layer in traced.layers]
    instance = Instance.from_profile(measured, path="rpi4 > 1Mbps > rpi4 > 1Mbps > i7-8700", codec=codecs.get("int4"))
    setting = SETTING.model_copy(update={"places": instance.places, "hops": instance.hops})
    three = make_plan(instance, names[:2], later_layers=[names[2:3], names[3:]], setting=setting, profile=measured)
    report = measure_split(three, traced, inputs(4), EVERYTHING)
    assert report.counts == (2, 1, len(names) - 3)
    assert report.estimated is None
    assert 0 < report.error < 1


def test_calibration_and_held_out_inputs_are_apart(measured, branched):
    names = [f"n{k}" for k in range(11)]
    first, rest = numbers_of(names, "calibration", 5), numbers_of(names, "held-out", 5)
    assert sorted(first + rest) == numbers_of(names, "all", 5) == list(range(11))
    assert (len(first), len(rest)) == (6, 5)
    assert numbers_of(names, "calibration", 6) != first
    with pytest.raises(InputError, match="expected at least two"):
        numbers_of(["one"], "held-out", 0)
    with pytest.raises(InputError, match=r"--part: 'other' is not one of calibration, held-out, all"):
        parse_part("other", "--part")
    instance = Instance.from_profile(measured, among=[codecs.get("int4")])
    plan = make_plan(instance, [], setting=SETTING, profile=measured, codecs={"input": "int4"})
    assert check_apart(plan, Share(seed=3, part="held-out"), inputs()) is None
    assert "has inputs that the estimate was made from" in str(check_apart(plan, EVERYTHING, inputs()))
    with pytest.raises(InputError, match=r"--seed: is 4, but losses were measured on the half that seed 3 gives"):
        check_apart(plan, Share(seed=4, part="held-out"), inputs())
    other = Labelled(Images("others", ["a", "b"], drawn), None)
    assert check_apart(plan, Share(seed=4, part="held-out"), other) is None


def test_what_counts_as_a_loss():
    ones, nothing = {"output": torch.ones(1, 4, 2)}, {"output": torch.full((1, 4, 2), float("nan"))}
    assert error_of(ones, {"output": torch.full((1, 4, 2), 1.1)}) == pytest.approx(0.1)
    assert error_of(ones, nothing) == error_of(ones, {}) == error_of(ones, {"output": torch.ones(3)}) == 1
    assert error_of(nothing, nothing) == error_of(ones, ones) == 0
    huge = {"output": torch.full((1, 4, 2), 1e38)}
    assert error_of({"output": torch.full((1, 4, 2), 1e-38)}, huge) == 1e6
    assert error_of({"output": torch.zeros(1, 4, 2)}, ones) == 1
    tally = Tally("outputs")
    tally.add(Expected(ones), {"output": torch.full((1, 4, 2), 1.5)})
    tally.add(Expected(ones), None)
    assert tally.loss == pytest.approx(0.25)
