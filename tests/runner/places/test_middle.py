"""A middle place: a server and an edge at once, between real processes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
import torch

from lmos_opt import InputError, Instance, Plan
from lmos_opt.paths import parse_path
from lmos_opt.plan import Setting, make_plan
from lmos_opt.rules.baselines import baseline
from measurement.codec_choice import chosen, named
from measurement.tracing.calls import call
from runner.errors import RunnerError
from runner.parts.network import example_of, flat_outputs
from runner.parts.part import Crossing
from runner.parts.split import split_module
from runner.places.connect import connect
from runner.places.edge import run_plan
from runner.wire.tensors import pack, unpack_read
from tests.runner.running import BRANCHED, SEEING, TWO_OUTPUTS, Plans, ServerProcess, network_of, server_process, whole

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


def planned(plans: Plans, cuts: list[int], *codecs: str) -> Plan:
    """A plan over one more place than there are cuts, at these numbers of layers."""
    path = parse_path(" > 1Gbps > ".join(DEVICES[: len(cuts) + 1]))
    instance = Instance.from_profile(plans.profile, path=path, codec=chosen(codecs))
    split = baseline(instance, f"cut:{','.join(map(str, cuts))}")
    assert split is not None
    setting = Setting.of(instance, edge="", server="", rule="cut")
    return make_plan(instance, split.places[0], later_layers=split.places[1:], setting=setting, profile=plans.profile)


@pytest.mark.process
@pytest.mark.parametrize(("builder", "shape"), [
    (BRANCHED, (1, 3, 8, 8)), (TWO_OUTPUTS, (1, 3, 8, 8)),
    (SEEING[0], (1, 3, 6, 5)),  # a middle place keeps the first output, and the padding behind it is not that behind the second
])  # fmt: skip
def test_outputs_are_those_of_the_whole_network(builder: str, shape: tuple[int, ...], chain: Chain, one_torch_thread: None) -> None:
    plans = Plans(builder, shape=shape)
    n = len(plans.instance.names)
    rng = random.Random(3)
    module = whole(planned(plans, [1, 2]))
    for cuts in ([0, 0], [0, n], [n // 2, n // 2], [n // 2, n], [1, n - 1], [n // 2, n, n], sorted(rng.choices(range(n + 1), k=2)),
                 sorted(rng.choices(range(n + 1), k=3))):  # fmt: skip
        plan = planned(plans, cuts)
        example = example_of(network_of(plan))
        with torch.inference_mode():
            expected = flat_outputs(call(module, example))
        with connect(plan, chain.of(len(cuts) + 1), networks=[builder]) as split:
            found = flat_outputs(split(example))
            assert not split.report().fallbacks, cuts
            assert len(split.report().environment.beyond) == sum(cut < n for cut in cuts[1:])
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[path], expected[path]) for path in expected), cuts


@pytest.mark.process
@pytest.mark.parametrize(("asked", "cuts"), [
    (["int8"], [1, 3]), (["int8"], [1, 1, 4]), (["fp16"], [0, 2]), (["fp16", "first=int8", "left=raw"], [1, 3]),
    (["int8", "relu=raw"], [2, 3, 4]), (["relu=int8"], [2, 3, 4]),
])  # fmt: skip
def test_tensors_are_encoded_once_where_they_are_made(asked: list[str], cuts: list[int], chain: Chain, plans: Plans,
                                                      one_torch_thread: None) -> None:  # fmt: skip
    """Each in its own codec. Encoding what a middle place relays a second time would end in other bits."""
    plan, image = planned(plans, cuts, *asked), torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    layers, used = [plan.edge_layers, *plan.later_layers], named(plan.codec, plan.codecs)
    with torch.inference_mode():
        first, *later = split_module(whole(plan), places=layers, example_input=torch.zeros(1, 3, 8, 8))
        crossing = first(image)
        for part in later:
            headers, parts = pack(crossing, used, crossing.encoded)
            payload = memoryview(bytearray(b"".join(parts)))
            tensors, encoded = unpack_read(headers, payload, used, [header.name for header in headers])
            crossing = part(Crossing(tensors, crossing.scalars, crossing.kept, encoded))
    with connect(plan, chain.of(len(cuts) + 1), networks=[BRANCHED]) as split:
        assert torch.equal(split(image), crossing)
        report = split.report()
    assert report.codec is not None
    assert report.codec.codec == plan.codec_words
    assert report.codec.raw_bytes == sum(tensor.bytes for hop in plan.hops for tensor in hop)
    (result,) = report.per_image
    assert report.codec.sent_bytes.p50 == (result.sent_bytes or 0) + sum(span.sent_bytes or 0 for span in result.beyond)
    for span, crosses in zip(result.beyond, plan.hops[1:], strict=True):
        padding_bytes = (span.sent_bytes or 0) - sum(tensor.wire_bytes or 0 for tensor in crosses)
        assert 0 <= padding_bytes < 64 * len(crosses)  # each tensor begins at a multiple of 64
        assert span.t_decode_s + span.t_encode_s <= span.t_server_s


@pytest.mark.process
def test_a_codec_for_a_tensor_that_the_network_has_not_is_refused(chain: Chain, plans: Plans) -> None:
    plan = planned(plans, [1, 3]).model_copy(update={"codecs": {"frist": "int8"}})
    with pytest.raises(InputError, match=r"^plan\.codecs: 'frist' \(to be sent in int8\) names no tensor of the network; did you"):
        connect(plan, chain.of(3), networks=[BRANCHED])


@pytest.mark.process
def test_what_a_codec_changes_along_places_is_told(chain: Chain, plans: Plans) -> None:
    report = run_plan(planned(plans, [1, 3], "int8"), chain.of(3), networks=[BRANCHED], n=2, compared=2)
    assert report.codec is not None
    assert report.codec.compared is not None
    assert report.codec.compared.pictures == 2
    assert 0 < report.codec.compared.max_logit_difference < 1


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
