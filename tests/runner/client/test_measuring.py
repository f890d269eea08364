"""A server is asked for its machine's times of a network, under the rules that it serves by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lmos.cli import main
from lmos_opt import InputError, Instance
from lmos_opt.plan import PlannedNetwork
from runner.client.measuring import timed_at
from runner.errors import RunnerError
from runner.wire.access import Access
from tests.runner.places.test_middle import planned
from tests.runner.running import Plans, network_of, thread_server

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture
def network(plans: Plans) -> PlannedNetwork:
    return network_of(planned(plans, [1, 2]))


def test_the_servers_times_stand_in_the_profile(plans: Plans, network: PlannedNetwork, tmp_path: Path) -> None:
    with thread_server() as address:
        found = timed_at(plans.profile, network, address, budget_s=0.2)
    assert found.is_timed
    assert [layer.name for layer in found.layers] == [layer.name for layer in plans.profile.layers]
    assert found.timing is not None
    assert (found.timing.torch, found.timing.budget_s) == (torch.__version__, 0.2)
    found.save(tmp_path / "box.json")
    path = f"rpi4 > 20Mbps > {tmp_path / 'box.json'} > 1Gbps > i7-8700"
    instance = Instance.from_profile(plans.profile, path=path)
    assert [place.name for place in instance.places] == ["rpi4", "box", "i7-8700"]
    assert [layer.t_s[1] for layer in instance.layers] == [layer.t_local_s for layer in found.layers]


def test_whoever_may_not_be_served_is_not_told_times(plans: Plans, network: PlannedNetwork) -> None:
    other = network.model_copy(update={"digest": "sha256:" + "0" * 64})
    code = network.model_copy(update={"builder": "os:getcwd"})
    with thread_server(token="a token of sixteen") as address:
        for asked, access, reason in ((network, Access("another of sixteen"), "token is wrong"),
                                      (other, Access("a token of sixteen"), "digest"),
                                      (code, Access("a token of sixteen"), "nobody allowed here")):  # fmt: skip
            with pytest.raises(RunnerError, match=reason):
                timed_at(plans.profile, asked, address, access, budget_s=0.1)


def test_a_profile_that_is_no_machines_is_refused(plans: Plans, tmp_path: Path) -> None:
    plans.profile.save(tmp_path / "plain.json")
    with pytest.raises(InputError, match="holds no measured times"):
        Instance.from_profile(plans.profile, path=f"rpi4 > 20Mbps > {tmp_path / 'plain.json'} > 1Gbps > i7-8700")


def test_the_command_writes_the_servers_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "box.json"
    with thread_server() as (host, port):
        assert main(["profile", "squeezenet1_1", "--at", f"{host}:{port}", "--budget", "0.2s", "-o", str(file)]) == 0
        assert main(["profile", "squeezenet1_1", "--at", f"{host}:{port}", "--time"]) == 2
    assert "choose one of them" in capsys.readouterr().err
    assert all(layer["t_local_s"] > 0 for layer in json.loads(file.read_text())["layers"])
    assert main(["front", "squeezenet1_1", "--path", f"rpi4 > 20Mbps > {file} > 1Gbps > i7-8700"]) == 0
