"""The server's half of the work: what it builds for strangers, and what it refuses to."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, fx, nn

from lmos_opt.plan import Plan
from lmos_opt.profile import TensorSpec
from measurement import engines
from measurement.engines import Loaded
from runner.client.remote import opening
from runner.faults.refusal import Refusal
from runner.machine import this_machine
from runner.parts.loading import LoadedNetwork
from runner.parts.part import Head, Tail
from runner.parts.split import split_module
from runner.places import served as served_module
from runner.places.edge import run_plan
from runner.places.served import ServedPlan, run_once
from runner.places.tail import LARGEST_INPUT_BYTES, Networks
from runner.watching.events import PeerOpened
from runner.wire.protocol import Infer, Open, repeated
from runner.wire.tensors import pack
from tests.measurement.engines.here import Here
from tests.runner.running import BRANCHED, Plans, network_of, one_thread, thread_server, whole

IMAGE = torch.zeros(1, 3, 8, 8)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plans(BRANCHED)(2)


def request(plan: Plan, **changes: object) -> Open:
    return opening(plan, network_of(plan)).model_copy(update=changes)


def refused(networks: Networks, asked: Open) -> tuple[str, str]:
    with pytest.raises(Refusal) as caught:
        networks.open(asked)
    return caught.value.code, str(caught.value)


def test_a_network_of_a_users_own_code_is_built_only_where_it_is_named(plan: Plan) -> None:
    with one_thread():
        assert refused(Networks(), request(plan))[0] == "refused"
        assert Networks([BRANCHED]).open(request(plan)).request_bytes > 0


def test_who_comes_back_does_not_wait_for_the_network_to_be_traced(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    networks, other = Networks([BRANCHED]), Plans(BRANCHED)(3)
    with one_thread():
        networks.open(request(plan))
        monkeypatch.setattr("runner.places.tail.trace_checked", None)  # nobody calls it
        networks.open(request(plan))
        networks.open(request(other))
        wrong = network_of(plan).model_copy(update={"digest": "sha256:" + "0" * 64})
        assert refused(networks, opening(plan, wrong))[0] == "refused"  # another digest is looked at again


def test_other_digests_than_those_of_the_servers_plans_are_refused_before_anything_is_built(plan: Plan) -> None:
    code, reason = refused(Networks([BRANCHED], digests=["sha256:" + "0" * 64]), request(plan))
    assert code == "digest"
    assert "is of none of the plans that this server runs" in reason


@pytest.mark.parametrize("shape", [(1, 3, 2000, 2000), (0, 3, 8, 8), (1,) * 17])
def test_an_input_that_strangers_may_not_ask_for(plan: Plan, shape: tuple[int, ...]) -> None:
    code, reason = refused(Networks([BRANCHED]), request(plan, input_tensors={"input": TensorSpec(shape=shape, dtype="float32")}))
    assert code == "refused"
    assert f"up to {LARGEST_INPUT_BYTES} bytes are" in reason


@pytest.mark.parametrize("weights", ["file:/etc/passwd", "http://x/y", "seeded:-1"])
def test_a_path_or_an_address_that_a_peer_names_is_never_opened(plan: Plan, weights: str) -> None:
    asked = request(plan)
    asked = asked.model_copy(update={"network": asked.network.model_copy(update={"weights": weights})})
    assert refused(Networks([BRANCHED]), asked)[0] == "refused"


class TestServedPlan:
    """One peer's tail."""

    @pytest.fixture
    def halves(self) -> tuple[nn.Module, Head, Tail]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten()).eval()
        return network, *split_module(network, ["0"], IMAGE)

    def test_it_answers_with_the_networks_own_output(self, halves: tuple[nn.Module, Head, Tail]) -> None:
        network, head, tail = halves
        served = ServedPlan(run_once(head, tail, IMAGE, engines.get("torch")), threading.Lock())
        image = torch.randn(1, 3, 8, 8)
        with torch.inference_mode():
            tensors, parts = pack(head(image))
            answer = served.begin(Infer(id=1, tensors=tensors, scalars={}), memoryview(b"".join(parts)))()
            assert b"".join(answer.parts) == network(image).numpy().tobytes()
        assert answer.took.t_server_s > 0
        assert (served.request_bytes, served.result_bytes) == (288, 288)

    def test_other_tensors_or_sizes_than_the_cuts_are_refused(self, halves: tuple[nn.Module, Head, Tail]) -> None:
        _, head, tail = halves
        served = ServedPlan(run_once(head, tail, IMAGE, engines.get("torch")), threading.Lock())
        tensors, parts = pack(head(IMAGE))
        payload = memoryview(b"".join(parts))
        with pytest.raises(Refusal, match=r"tensor '0': got none, expected float32\[1, 2, 6, 6\]"):
            served.begin(Infer(id=1, tensors=(), scalars={}), payload)
        with pytest.raises(Refusal, match=r"sizes: got \{.n.: 3\}, expected \{\}; .* exported again \(lmos export\)$"):
            served.begin(Infer(id=1, tensors=tensors, scalars={"n": 3}), payload)


class Unsqueezed(nn.Module):
    """Changes the shape of what it is given, in place."""

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze_(0).flatten().unsqueeze_(0)


class Whole(nn.Module):
    """Stays one layer, so that nobody sees what it does to its input on other numbers than the example's."""


class Replaced(Whole):
    """Gives its input other memory."""

    def forward(self, x: Tensor) -> Tensor:
        x.data = x.data * 2
        return x + 1


class Turned(Whole):
    """Turns its input, depending on its numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.transpose_(2, 3) if x.sum() > 0 else x).flatten(1)


@pytest.mark.parametrize("layers", [(nn.ReLU(inplace=True), nn.Flatten()), (nn.Flatten(),), (Unsqueezed(), nn.ReLU(inplace=True)),
                                    (nn.BatchNorm2d(2), nn.Hardswish(inplace=True)), (Replaced(),), (Turned(),)])
def test_questions_that_come_into_the_same_memory_get_their_own_answers(layers: tuple[nn.Module, ...]) -> None:
    """Tensors over that memory are made once. Layers that write into what they are given, and answers that are views of it, leave
    nothing behind for the next question."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), *layers).eval()
    opaque = [name for name, layer in network.named_children() if isinstance(layer, Whole)]
    head, tail = split_module(network, ["0"], IMAGE, opaque=opaque)
    served = ServedPlan(run_once(head, tail, IMAGE, engines.get("torch")), threading.Lock())
    memory = memoryview(bytearray(served.request_bytes))
    with torch.inference_mode():
        for number in range(6):
            image = torch.randn(1, 3, 8, 8)
            for payload in (memory, memory, memoryview(bytearray(memory))):
                tensors, parts = pack(head(image))
                payload[:] = b"".join(parts)
                answer = served.begin(repeated.infer(number, tensors, {}), payload)()  # as it comes: with the very same headers
                assert b"".join(answer.parts) == network(image.clone()).numpy().tobytes()
                assert payload == b"".join(parts)


class Rounds(Here):
    """Keeps numbers short."""


def test_what_an_engine_s_rounding_changes_is_told(plan: Plan) -> None:
    with one_thread():
        served = Networks([BRANCHED], engine=Rounds("bfloat16")).open(request(plan))
        assert served.error is not None
        assert 0 < served.error < 0.1
        assert Networks([BRANCHED]).open(request(plan)).error is None


def test_a_server_holds_no_weights_beside_those_that_its_engine_has(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    held, load = [], served_module.load_planned

    def noted(*args: Any, **kwargs: Any) -> LoadedNetwork:
        found = load(*args, **kwargs)
        held.extend(weakref.ref(tensor) for tensor in found.hollow.module.parameters())
        return found

    monkeypatch.setattr(served_module, "load_planned", noted)
    networks = Networks([BRANCHED], engine=engines.get("onnxruntime"))
    with one_thread(), torch.inference_mode():
        for cut in (plan, Plans(BRANCHED)(3)):
            head, tail = split_module(whole(cut), cut.edge_layers, IMAGE)
            served = networks.open(request(cut))
            gc.collect()
            assert held
            assert all(ref() is None for ref in held)
            crossing = head(torch.rand(1, 3, 8, 8))
            tensors, parts = pack(crossing)
            answer = served.begin(Infer(id=1, tensors=tensors, scalars={}), memoryview(b"".join(parts)))()
            found = torch.frombuffer(bytearray(b"".join(answer.parts)), dtype=torch.float32)
            torch.testing.assert_close(found, tail(crossing).flatten())


class Noted(Here):
    """Cannot do as it usually does."""

    def load(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        found = super().load(part, example)
        found.notes = ("runs slowly",)
        return found


@pytest.mark.parametrize(("edge", "later"), [(1, (2, 3)), (4, (3,))], ids=["between", "last"])
def test_what_an_engine_says_is_told_of_every_place_of_a_path(plan: Plan, edge: int, later: tuple[int, ...]) -> None:
    names, ends = Plans(BRANCHED).instance.names, [edge, *(edge + sum(later[:k]) for k in range(1, len(later)))]
    layers = tuple(names[begin:end] for begin, end in zip(ends, [*ends[1:], None], strict=True))
    asked = request(plan, edge_layers=names[:edge], later_layers=layers)
    with one_thread():
        onward = Mock() if len(later) > 1 else None
        served = Networks([BRANCHED], engine=Noted("bfloat16")).open(asked, onward)
        assert served.error is not None
        assert 0 < served.error < 0.1
        assert served.remarks == (f"rounding changes outputs by up to {served.error:.2g} of the largest", "runs slowly")
        assert Networks([BRANCHED]).open(asked, onward).remarks == ()
    told = this_machine(1, "torch:here bfloat16 on cpu").remarked(served.remarks).versions["engine"]
    assert told == f"torch:here bfloat16 on cpu; {'; '.join(served.remarks)}"
    said = PeerOpened(peer="a", session="s", network="n", weights="w", digest="d", cut=1, t_open_s=1.0, remarks=served.remarks)
    assert said.text.endswith(f"; {'; '.join(served.remarks)}")


def test_what_an_engine_says_of_the_edge_stands_in_the_report(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with one_thread(), thread_server() as address:
        monkeypatch.setattr(engines, "get", lambda name, precision="float32": Noted("bfloat16"))
        report = run_plan(plan, address, networks=[BRANCHED], n=1, engine="torch:here")
    told = report.environment.edge.versions["engine"]
    assert told.startswith("torch:here bfloat16 on cpu; rounding changes outputs by up to 0.0")
    assert told.endswith("; runs slowly")


def test_peers_that_ask_for_the_same_share_one_part(plan: Plan) -> None:
    with one_thread():
        networks = Networks([BRANCHED])
        first, second = networks.open(request(plan)), networks.open(request(plan))
        assert first._part is second._part
