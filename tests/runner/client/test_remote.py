"""Codecs between two processes: the same classes in fewer bytes, and clear refusals."""

from __future__ import annotations

from queue import Queue

import pytest
import torch

from lmos.commands.run import how_it_went
from lmos_opt import InputError, Plan
from measurement import codecs
from runner.client import remote as remotes
from runner.errors import PeerError
from runner.parts.part import Crossing
from runner.places.edge import run_plan
from runner.watching.events import Events, PeerLeft
from runner.wire import agreed_codec
from runner.wire.protocol import Infer
from runner.wire.shaping import Shape
from runner.wire.tensors import pack
from runner.wire.timeouts import Timeouts
from tests.runner.asking import AskingClient
from tests.runner.running import BRANCHED, Plans, ServerProcess, network_of, thread_server

SHORT = Timeouts(connect_s=5, ready_s=60, result_s=20)
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def under(codec: str, plan: Plan) -> Plan:
    return Plan.from_dict({**plan.to_dict(), "codec": codec})


@pytest.mark.parametrize(("codec", "cut"), [("int8", 0), ("int8", 21), ("zstd", 21), ("jpeg:90", 0)])
def test_what_a_codec_does_stands_in_the_report(server: ServerProcess, squeezenet: Plans, codec: str, cut: int) -> None:
    """Classes, bytes, times and the change of outputs, in two processes."""
    plan = under(codec, squeezenet(cut))
    report = run_plan(plan, server.address, n=3, timeouts=SHORT)
    found = report.codec
    assert found is not None
    assert found.codec == codec
    assert found.raw_bytes == sum(tensor.bytes for tensor in plan.crossing)
    assert found.compared is not None
    assert found.compared.pictures == 3
    if codec == "jpeg:90":
        assert found.compared.top1_agree == 2  # as a JPEG, the first picture's tabby is an Egyptian cat
        assert found.ratio < 0.06
    else:
        assert found.compared.top1_agree == 3
        assert (found.compared.max_logit_difference == 0) == (codec == "zstd")
        assert found.ratio <= (0.27 if codec == "int8" else 0.95)
    assert report.lost == report.fallbacks == 0
    beside = [image.latency_s - (image.t_edge_s + image.t_tx_s + image.t_server_s) for image in report.per_image]
    assert min(beside) >= 0  # how much there is beside the stages, lmos bench runner looks at: a busy machine adds to it
    for image in report.per_image:
        assert 0 < image.t_encode_s < image.t_edge_s
        assert 0 < image.t_decode_s < image.t_server_s
        assert image.sent_bytes is not None
        assert image.sent_bytes < found.raw_bytes
    assert type(report).from_dict(report.to_dict()) == report
    assert f"{codec} sent" in how_it_went(report)


def test_without_a_codec_nothing_is_compared(server: ServerProcess, squeezenet: Plans) -> None:
    report = run_plan(squeezenet(21), server.address, n=2, timeouts=SHORT)
    assert report.codec is None
    for image in report.per_image:
        assert image.sent_bytes == sum(tensor.bytes for tensor in report.plan.crossing)
        assert image.t_encode_s == image.t_decode_s == 0
    report = run_plan(under("int8", squeezenet(21)), server.address, n=2, timeouts=SHORT, compared=0, pipelined=True)
    assert report.codec is not None
    assert report.codec.compared is None
    with pytest.raises(InputError, match="jpeg:75: is for the image alone"):
        run_plan(under("jpeg:75", squeezenet(21)), server.address, n=1, timeouts=SHORT)


def test_a_server_without_the_codec_is_refused_before_it_is_asked(
    server: ServerProcess, squeezenet: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes.codecs, "capability", lambda codec: "codec:newer")
    with pytest.raises(PeerError, match=r"server cannot do codec:newer \(its codecs: fp16, int4, int8, jpeg, raw, zint, zstd\)"):
        run_plan(under("int8", squeezenet(4)), server.address, n=1, timeouts=SHORT)


def test_a_server_that_knows_one_codec_alone_is_not_asked_for_several(
    server: ServerProcess, squeezenet: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan.from_dict({**squeezenet(4).to_dict(), "codecs": {"input": "int8"}})
    monkeypatch.setattr(agreed_codec, "CODECS", "newer")
    monkeypatch.setattr(remotes, "CODECS", "newer")
    with pytest.raises(PeerError, match=r"the server knows plans of one codec alone; this one has several"):
        run_plan(plan, server.address, n=1, timeouts=SHORT)


def test_each_tensor_may_have_its_own_codec(server: ServerProcess, squeezenet: Plans) -> None:
    plan = squeezenet(21)
    first, *others = (tensor.name for tensor in plan.crossing)
    one = Plan.from_dict({**plan.to_dict(), "codecs": {first: "int8"}})
    assert (one.codec, one.encodes) == ("raw", True)
    reports = [run_plan(asked, server.address, n=2, timeouts=SHORT, compared=1) for asked in (plan, one, under("int8", plan))]
    raw, some, every = ([image.sent_bytes or 0 for image in report.per_image] for report in reports)
    assert reports[1].codec is not None
    assert reports[1].codec.codec == f"{first} in int8"
    assert raw[0] > some[0]
    assert some[0] > every[0] if others else some == every
    assert [image.class_ for image in reports[1].per_image] == [image.class_ for image in reports[0].per_image]


def test_what_the_server_does_not_know_it_refuses(server: ServerProcess, squeezenet: Plans) -> None:
    plan = squeezenet(4)
    for codec, reason in (("int9", "'int9' is not a codec; there are fp16"), ("jpeg:0", "jpeg:0: expected a quality")):
        request = remotes.opening(plan, network_of(plan)).model_copy(update={"codec": codec})
        with AskingClient(server.address, None, SHORT) as remote, pytest.MonkeyPatch.context() as patched:
            patched.setattr(remotes.codecs, "capability", lambda codec: "codec:raw")
            remote.begin_open(request)
            with pytest.raises(PeerError, match=reason):
                remote.wait_until_ready()
    with pytest.raises(InputError, match="'int9' is not a codec"):
        run_plan(under("int9", plan), server.address, n=1, timeouts=SHORT)
    with pytest.raises(InputError, match="jpeg:5: is for networks that take one picture"):
        run_plan(under("jpeg:5", Plans(f"{BRANCHED.partition(':')[0]}:four_channels", shape=(1, 4, 8, 8))(0)), server.address, n=1)


def test_bytes_that_cannot_be_decoded_are_refused_in_one_line(server: ServerProcess, squeezenet: Plans) -> None:
    plan = squeezenet(0)
    image = torch.randn(1, 3, 224, 224).relu()
    for codec in ("zstd", "jpeg:90", "int8"):
        headers, payload = pack(Crossing({"input": image}), codecs.get(codec).for_network(network_of(plan), network_of(plan).input))
        damaged = bytearray(b"".join(payload))
        damaged[:4] = b"\xff\xff\xff\xff"
        with AskingClient(server.address, None, SHORT) as remote:
            remote.open(under(codec, plan), network_of(plan))
            remote.wait_until_ready()
            remote.ask(Infer(id=1, tensors=headers, scalars={}), [memoryview(damaged)])
            with pytest.raises(PeerError, match="refuses: tensor 'input': ") as raised:
                remote._answer(20)
        assert (raised.value.code, raised.value.request) == ("tensors", 1)


def test_encoded_tensors_are_refused_where_none_were_agreed_on(server: ServerProcess, squeezenet: Plans) -> None:
    plan = squeezenet(0)
    headers, payload = pack(Crossing({"input": torch.randn(1, 3, 224, 224)}), codecs.get("int8"))
    with AskingClient(server.address, None, SHORT) as remote:
        remote.open(plan, network_of(plan))
        remote.wait_until_ready()
        remote.ask(Infer(id=1, tensors=headers, scalars={}), payload)
        with pytest.raises(PeerError, match="tensor 'input' comes encoded, and tensors travel as they are here"):
            remote._answer(20)


def test_the_server_is_told_of_the_end_over_a_link_with_a_delay(squeezenet: Plans) -> None:
    left: Queue[str] = Queue()
    events = Events([lambda event: left.put(event.how) if isinstance(event, PeerLeft) else None])
    with thread_server([], events=events) as address:
        run_plan(squeezenet(21), address, n=1, timeouts=SHORT, shape=Shape(rate_bytes_per_s=1e8, delay_s=0.05))
        assert left.get(timeout=20) == "done"
