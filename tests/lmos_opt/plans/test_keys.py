"""Plans over more than two places: what they hold, their files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.plan import CrossingTensor, Plan, Setting, make_plan, not_sendable
from lmos_opt.plans.keys import in_places
from lmos_opt.policies.policy import Stretch
from lmos_opt.policies.policy_maps import bandwidth_policy

PATH = ({"name": "phone", "memory_limit_bytes": 900}, {"name": "box", "memory_limit_bytes": None},
        {"name": "cloud", "memory_limit_bytes": None})  # fmt: skip
HOPS = ({"bandwidth_bytes_per_s": 100.0, "back_bytes_per_s": 50.0, "rtt_s": 0.5},
        {"bandwidth_bytes_per_s": 1000.0, "back_bytes_per_s": None, "rtt_s": 0.25})  # fmt: skip
INSTANCE = {
    "schema": "lmos.instance/2", "name": "toy", "inputs": {"input": 64}, "places": PATH, "hops": HOPS,
    "layers": [
        {"name": "a", "inputs": ["input"], "t_s": [1.0, 0.5, 0.125], "weight_bytes": 8, "output_bytes": 32, "returned": True},
        {"name": "b", "inputs": ["a", "input"], "t_s": [2.0, 1.0, 0.25], "weight_bytes": 8, "output_bytes": 16},
        {"name": "c", "inputs": ["b", "input"], "t_s": [4.0, 2.0, 0.5], "weight_bytes": 8, "output_bytes": 10, "returned": True},
    ],
}  # fmt: skip


def made(places: Any = (("a",), ("b",), ("c",)), **options: Any) -> Plan:
    instance = Instance.from_dict(json.loads(json.dumps(INSTANCE)))
    setting = Setting.of(instance, edge="", server="", rule="knee")
    return make_plan(instance, places[0], later_layers=places[1:], setting=setting, **options)


def changed(**changes: Any) -> dict[str, Any]:
    return {**made().to_dict(), **changes}


def test_a_plan_of_three_places_has_a_time_a_place_and_a_hop() -> None:
    plan = made()
    assert plan.predicted == pytest.approx({
        "t_place_1_s": 1.0, "t_hop_1_s": 96 / 100 + 0.5 + 10 / 50, "t_place_2_s": 1.0, "t_hop_2_s": 80 / 1000 + 0.25,
        "t_place_3_s": 0.5, "latency_s": 1 + 1.66 + 1 + 0.33 + 0.5, "edge_memory_bytes": 8 + 32 + 64,
    })  # fmt: skip
    assert [[tensor.name for tensor in hop] for hop in plan.hops] == [["input", "a"], ["input", "b"]]
    assert (plan.n_places, plan.counts, plan.offloads) == (3, (1, 1, 1), True)


def test_its_file_has_places_and_crossing_and_reads_back_equal(tmp_path: Path) -> None:
    plan = made(values={"latency": 4.49, "place_time:2": 1.0})
    plan.save(tmp_path / "plan.json")
    data = json.loads((tmp_path / "plan.json").read_text())
    assert data["schema"] == "lmos.plan/2"
    assert data["places"] == [["a"], ["b"], ["c"]]
    assert [[tensor["name"] for tensor in hop] for hop in data["crossing"]] == [["input", "a"], ["input", "b"]]
    assert data["setting"]["places"] == list(PATH)
    assert data["setting"]["hops"] == list(HOPS)
    assert not data.keys() & {"edge_layers", "x1", "x2", "later_layers", "later_crossing"}
    assert not data["setting"].keys() & {"edge", "server", "bandwidth_bytes_per_s", "memory_limit_bytes"}
    again = Plan.load(tmp_path / "plan.json")
    assert again == plan
    assert again.to_json() == plan.to_json()
    assert (again.setting.edge, again.setting.server, again.setting.memory_limit_bytes) == ("phone", "cloud", 900)


def test_a_stage_that_the_users_own_decide_is_the_points_own() -> None:
    plan = made(values={"latency": 9.0, "place_time:2": 3.0})
    assert plan.predicted["t_place_2_s"] == 3.0
    assert set(plan.unpredicted) == {"t_place_1_s", "t_hop_1_s", "t_hop_2_s", "t_place_3_s"}


def test_a_policy_for_each_hop_stands_in_the_file(tmp_path: Path) -> None:
    plan = made()
    instance = Instance.from_dict(json.loads(json.dumps(INSTANCE)))
    second = bandwidth_policy(instance, "min_latency", 100.0, 1e6, hop=2)
    plan = plan.model_copy(update={"later_policies": (second,)})
    assert plan.policies == (None, second)
    data = plan.to_dict()
    assert [policy and policy["over"] for policy in data["policies"]] == [None, "bandwidth:2"]
    assert "policies" not in made().to_dict()
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    for policies, message in (([data["policies"][1], None], "policies[0].over: got 'bandwidth:2', expected 'bandwidth'"),
                              ([None], "policies: expected a policy, or null, for each hop"),
                              ({}, "policies: expected a policy, or null, for each hop")):  # fmt: skip
        with pytest.raises(InputError) as caught:
            Plan.from_dict({**data, "policies": policies})
        assert message in str(caught.value)
    with pytest.raises(InputError, match="policy: is not a key of this schema"):
        Plan.from_dict({**data, "policy": data["policies"][1]})
    one = {**data["policies"][1], "over": "bandwidth", "stretches": [two_places(second.stretches[0])]}
    with pytest.raises(InputError, match=r"policies\[0\]\.stretches\[0\]: is of 2 places; this plan has 3"):
        Plan.from_dict({**data, "policies": [one, None]})


def two_places(stretch: Stretch) -> dict[str, Any]:
    """A stretch as a file of two places has it."""
    keys = ("low", "high", "fixed_s", "crossing_bytes", "memory_bytes")
    return {**{key: getattr(stretch, key) for key in keys}, "edge_layers": ["a"], "x1": 1, "x2": 2}


def test_two_places_are_written_as_before() -> None:
    two = {**INSTANCE, "places": PATH[:2], "hops": HOPS[:1],
           "layers": [{**layer, "t_s": layer["t_s"][:2]} for layer in INSTANCE["layers"]]}  # type: ignore[attr-defined]
    instance = Instance.from_dict(json.loads(json.dumps(two)))
    plan = make_plan(instance, ["a"], setting=Setting.of(instance, edge="phone", server="box", rule="knee"))
    data = plan.to_dict()
    assert data["schema"] == "lmos.plan/1"
    assert list(data) == ["schema", "network", "edge_layers", "x1", "x2", "crossing", "codec", "predicted", "setting",
                          "predicted_interval"]  # fmt: skip
    assert (plan.n_places, plan.counts, plan.hops) == (2, (1, 2), (plan.crossing,))


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"places": [["a"], ["b", "c"]]}, "places: expected at least three lists of layers"),
    ({"places": None}, "places: is missing"),
    ({"places": [["a"], ["b"], "c"]}, "places: expected at least three lists of layers"),
    ({"places": [["a"], [3], ["c"]]}, r"places\[1\]\[0\]: got 3"),
    ({"crossing": [[]]}, "crossing: expected a list of tensors for each of 2 hops"),
    ({"crossing": [[], [{"name": "b"}]]}, r"crossing\[1\]\[0\].shape: is missing"),
    ({"crossing": [[{"name": "b"}], []]}, r"crossing\[0\]\[0\].shape: is missing"),
    ({"edge_layers": ["a"]}, "edge_layers: is not a key of this schema"),
    ({"predicted": {"latency_s": 1.0}}, "predicted.t_place_1_s: is missing"),
    ({"schema": "lmos.plan/1"}, "places: is not a key of this schema"),
])  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_where_it_stands(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Plan.from_dict(changed(**changes), "plan.json")


def test_each_hop_has_to_be_sendable() -> None:
    large = CrossingTensor(name="b", shape=(2**31,), dtype="uint8", bytes=2**31)
    plan = made().model_copy(update={"later_crossing": ((large,),)})
    assert not_sendable(made()) is None
    assert "tensor 'b' of 2147483648 bytes" in str(not_sendable(plan))


def test_paths_of_fields_are_those_of_the_file() -> None:
    fields = ("edge_layers[1]", "later_layers[0][2]", "crossing[0].name", "later_crossing[1][0]")
    assert [in_places(path) for path in fields] == ["places[0][1]", "places[1][2]", "crossing[0][0].name", "crossing[2][0]"]
