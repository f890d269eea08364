"""A middle place: a server and an edge at once, between real processes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
import torch

from lmos_opt import Instance, Plan
from lmos_opt.paths import parse_path
from lmos_opt.plan import Setting, make_plan
from lmos_opt.rules.baselines import baseline
from measurement.tracing.calls import call
from runner.errors import RunnerError
from runner.parts.network import example_of, flat_outputs
from runner.places.connect import connect
from runner.places.edge import run_plan
from tests.runner.running import BRANCHED, TWO_OUTPUTS, Plans, ServerProcess, network_of, server_process, whole

DEVICES = ("rpi4", "jetson-orin-nano-cpu", "i7-8700", "paper-server")


class Chain(NamedTuple):
    """The servers of places 2 to 4, the nearest first."""

    servers: tuple[ServerProcess, ...]

    def of(self, n_places: int) -> tuple[str, int]:
        """Where the edge of so many places asks."""
        return self.servers[-(n_places - 1)].address


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("chain")
    with ExitStack() as stack:
        found: list[ServerProcess] = []
        for place in (4, 3, 2):
            onward = found[0].port if found else None
            found.insert(0, stack.enter_context(server_process(folder / f"place{place}.log", onward=onward)))
        yield Chain(tuple(found))
        for server in found:
            assert "Traceback" not in server.log.read_text()


def planned(plans: Plans, cuts: list[int]) -> Plan:
    """A plan over one more place than there are cuts, at these numbers of layers."""
    path = parse_path(" > 1Gbps > ".join(DEVICES[: len(cuts) + 1]))
    instance = Instance.from_profile(plans.profile, path=path)
    split = baseline(instance, f"cut:{','.join(map(str, cuts))}")
    assert split is not None
    setting = Setting.of(instance, edge="", server="", rule="cut")
    return make_plan(instance, split.places[0], later_layers=split.places[1:], setting=setting, profile=plans.profile)


@pytest.mark.process
@pytest.mark.parametrize("builder", [BRANCHED, TWO_OUTPUTS])
def test_outputs_are_those_of_the_whole_network(builder: str, chain: Chain, one_torch_thread: None) -> None:
    plans = Plans(builder)
    n = len(plans.instance.names)
    rng = random.Random(3)
    module = whole(planned(plans, [1, 2]))
    for cuts in ([0, 0], [0, n], [n // 2, n // 2], [n // 2, n], sorted(rng.choices(range(n + 1), k=2)),
                 sorted(rng.choices(range(n + 1), k=3))):  # fmt: skip
        plan = planned(plans, cuts)
        example = example_of(network_of(plan))
        with torch.inference_mode():
            expected = flat_outputs(call(module, example))
        with connect(plan, chain.of(len(cuts) + 1), networks=[builder]) as split:
            found = flat_outputs(split(example))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[path], expected[path]) for path in expected), cuts


@pytest.mark.process
def test_a_report_has_a_stage_a_place_and_a_hop(chain: Chain, plans: Plans) -> None:
    plan = planned(plans, [2, 4, 5])
    report = run_plan(plan, chain.of(4), networks=[BRANCHED], n=6, pipelined=True)
    assert list(report.measured) == list(plan.stages)
    assert list(report.measured)[:4] == ["t_place_1_s", "t_hop_1_s", "t_place_2_s", "t_hop_2_s"]
    assert report.lost == report.fallbacks == 0
    assert len(report.environment.beyond) == 2
    for image in report.per_image:
        assert len(image.beyond) == 2
        stages = sum(image.times(4)) + image.t_queue_s + image.t_server_queue_s + sum(span.t_queue_s for span in image.beyond)
        assert stages <= image.latency_s


@pytest.mark.process
def test_a_server_that_knows_no_next_place_says_so(chain: Chain, plans: Plans) -> None:
    with pytest.raises(RunnerError, match=r"the plan has 1 place after this one, and this server was told of none"):
        connect(planned(plans, [2, 4]), chain.servers[-1].address, networks=[BRANCHED])
