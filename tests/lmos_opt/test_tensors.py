"""What a network takes: its inputs by name in profiles and plans, and calls put together from them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from lmos_opt import InputError, NetworkProfile
from lmos_opt.data import bundled, bundled_names
from lmos_opt.tensors import InputSpec, arguments_of, put_together
from tests.lmos_opt.documents import profile_data

IDS, MASK = {"shape": [1, 128], "dtype": "int64", "low": 0, "high": 30521}, {"shape": [1, 128], "dtype": "bool"}


def with_inputs(inputs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A profile file whose first layer reads these inputs."""
    data = copy.deepcopy(profile_data())
    del data["input"]
    data["layers"][0]["inputs"] = list(inputs)
    return data | {"input_tensors": inputs} | changes


def test_one_input_of_the_usual_name_stands_under_input_alone():
    profile = NetworkProfile.from_dict(profile_data())
    assert (profile.inputs, profile.input) == ({"input": (1, 3, 8, 8)}, profile.input_tensors["input"])
    assert profile.to_dict()["input"] == profile_data()["input"]
    assert {"input_tensors", "arguments"}.isdisjoint(profile.to_dict())


@pytest.mark.parametrize("name", bundled_names("profiles"))
def test_bundled_profiles_are_written_as_they_are(name):
    data = json.loads(bundled("profiles", name, "network").read_text())
    assert json.dumps(NetworkProfile.from_dict(data).to_dict()) == json.dumps(data)


def test_several_inputs_have_names_and_come_back_from_the_file():
    profile = NetworkProfile.from_dict(with_inputs({"input.ids": IDS, "input.mask": MASK}))
    assert profile.inputs == {"input.ids": (1, 128), "input.mask": (1, 128)}
    assert profile.input is None
    assert NetworkProfile.from_dict(json.loads(profile.to_json())) == profile
    assert profile.to_dict()["input_tensors"] == {"input.ids": IDS, "input.mask": MASK}
    assert arguments_of(profile) == {"ids": {"tensor": "input.ids"}, "mask": {"tensor": "input.mask"}}


def test_a_call_is_put_together_from_constants_lists_tuples_and_dicts():
    nested = {"a": {"tensor": "input.x.a"}, "b": [{"tuple": [{"tensor": "input.x.b.0.0"}, 3]}]}
    call = {"x": {"dict": nested}, "flag": True, "how": "mean"}
    profile = NetworkProfile.from_dict(with_inputs({"input.x.a": IDS, "input.x.b.0.0": MASK}, arguments=call))
    assert profile.to_dict()["arguments"] == call
    made = {key: put_together(value, str.upper) for key, value in arguments_of(profile).items()}
    assert made == {"x": {"a": "INPUT.X.A", "b": [("INPUT.X.B.0.0", 3)]}, "flag": True, "how": "mean"}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (with_inputs({"input.ids": IDS}, input=MASK), "input: stands beside input_tensors"),
        (with_inputs({}), "input: is missing"),
        (with_inputs({"input.ids": IDS | {"low": 5, "high": 1}}), r"input_tensors\.input\.ids\.low: to high is 5 to 1"),
        (with_inputs({"input.ids": {"shape": [1], "dtype": "int64", "low": 5}}), r"input_tensors\.input\.ids\.high: is missing"),
        (with_inputs({"input.ids": IDS}, arguments={"ids": {"tensor": "input.id"}}), "arguments: name 'input.id', which"),
        (with_inputs({"input.ids": IDS}, arguments={}), "arguments: names no input 'input.ids'"),
        (with_inputs({"input.ids": IDS}, arguments={"a": [{"tensor": "input.ids"}], "b": {"tensor": "input.ids"}}),
         "arguments: name 'input.ids' twice"),
        (with_inputs({"input.ids": IDS}, arguments={"ids": {"list": []}}), r"arguments\.ids: expected a constant, a list, or"),
        (with_inputs({"split": IDS}), r"layers\[0\]\.name: 'split' is reserved"),
    ],
)  # fmt: skip
def test_inputs_that_contradict_are_refused(data, complaint):
    with pytest.raises(InputError, match=f"^x.json: {complaint}"):
        NetworkProfile.from_dict(data, "x.json")


def test_arguments_that_are_nested_without_end_are_refused():
    deep: Any = {"tensor": "input.ids"}
    for _ in range(40):
        deep = [deep]
    with pytest.raises(InputError, match=r"is nested too deeply$"):
        NetworkProfile.from_dict(with_inputs({"input.ids": IDS}, arguments={"ids": deep}), "x.json")


def test_a_range_is_of_whole_numbers():
    with pytest.raises(ValueError, match="expected a range of whole numbers"):
        InputSpec(shape=(1,), dtype="float32", low=0, high=1)
