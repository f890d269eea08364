"""What scenarios are: their files, what does not fit, which of them is no worse than which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos_opt import InputError, Instance
from lmos_opt.scenarios.ordering import best_first, whole_weights
from lmos_opt.scenarios.records import Scenario, ScenariosFile
from lmos_opt.sources import Options, instance_of
from tests.lmos_opt.documents import chain_data

TWO = [{"weight": 3.0, "bandwidth": [0.5], "time": [1.0, 2.0]}, {"weight": 1.0, "bandwidth": [2.0], "time": [4.0, 1.0]}]
CHAIN = Instance.from_dict(chain_data())


def test_an_instance_with_scenarios_is_a_file_of_places_and_comes_back_equal():
    found = CHAIN.replace(scenarios=TWO)
    assert found.to_dict()["schema"] == "lmos.instance/2"
    assert Instance.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert "scenarios" not in CHAIN.to_dict()


def test_each_scenario_is_an_instance_with_its_times_and_rates():
    first, second = CHAIN.replace(scenarios=TWO, back_bytes_per_s=1e6).in_scenarios
    assert first.hops[0].bandwidth_bytes_per_s == 0.5 * CHAIN.bandwidth_bytes_per_s
    assert (second.hops[0].back_bytes_per_s, second.hops[0].rtt_s) == (2e6, CHAIN.rtt_s)
    layer = CHAIN.layers[1]
    assert (first.layers[1].t_s, second.layers[1].t_s) == ((layer.t_s[0], 2 * layer.t_s[1]), (4 * layer.t_s[0], layer.t_s[1]))
    assert not first.scenarios


def test_a_codecs_work_takes_longer_where_its_place_is_busy():
    sent = {"input": {"bytes": 10, "encode_s": 0.5, "decode_s": 0.25}}
    coded = CHAIN.replace(coding={"codec": "int8", "sent": sent}, scenarios=TWO)
    first, second = coded.in_scenarios
    assert (first.encode_s("input"), first.decode_s("input")) == (0.5, 0.5)
    assert (second.encode_s("input"), second.decode_s("input")) == (2.0, 0.25)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"bandwidth": [1.0, 1.0]}, r"scenarios\[0\].bandwidth: has 2 factors; expected 1, one for each hop"),
    ({"time": [1.0]}, r"scenarios\[0\].time: has 1 factor; expected 2, one for each place"),
    ({"bandwidth": [0.0]}, r"scenarios\[0\].bandwidth\[0\]: got 0.0"),
    ({"time": [1.0, -1.0]}, r"scenarios\[0\].time\[1\]: got -1.0"),
    ({"weight": 0.0}, r"scenarios\[0\].weight: got 0.0"),
    ({"speed": [1.0]}, r"scenarios\[0\].speed: "),
])  # fmt: skip
def test_what_does_not_fit_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        CHAIN.replace(scenarios=[wrong])


def test_a_factor_that_leads_beyond_what_an_instance_takes_is_named():
    with pytest.raises(InputError, match=r"scenarios\[1\]"):
        _ = CHAIN.replace(scenarios=[{}, {"bandwidth": [1e-6]}], bandwidth_bytes_per_s=1e-3).in_scenarios


def test_a_file_of_scenarios_gives_an_instance_its_own(tmp_path: Path):
    file = tmp_path / "busy.json"
    file.write_text(json.dumps({"schema": "lmos.scenarios/1", "scenarios": TWO}))
    assert ScenariosFile.load(file).at(CHAIN.hops, str(file)) == CHAIN.replace(scenarios=TWO).scenarios
    assert instance_of(CHAIN, Options(scenarios=str(file))) == CHAIN.replace(scenarios=TWO)
    file.write_text(json.dumps({"schema": "lmos.scenarios/1", "scenarios": []}))
    with pytest.raises(InputError, match=r"busy\.json: scenarios: "):
        ScenariosFile.load(file)


def test_weights_are_counted_as_their_digits_say():
    assert whole_weights([Scenario(weight=w) for w in (0.1, 0.2, 0.3)]) == [1, 2, 3]
    assert whole_weights([Scenario(weight=w) for w in (0.05,) * 3]) == [1, 1, 1]
    assert whole_weights([Scenario(weight=w) for w in (2.0, 0.5)]) == [4, 1]


def test_scenarios_are_ordered_where_each_is_no_worse_than_the_next():
    def of(*bandwidths: float) -> list[Scenario]:
        return [Scenario(bandwidth=(bandwidth,)) for bandwidth in bandwidths]

    assert best_first(of(1.0, 4.0, 2.0)) == [1, 2, 0]
    assert best_first([*of(0.5), Scenario(time=(0.5, 1.0)), Scenario()]) == [1, 2, 0]
    assert best_first([Scenario(bandwidth=(2.0,), time=(2.0, 1.0)), Scenario()]) is None
