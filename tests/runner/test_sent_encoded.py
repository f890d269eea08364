"""Codecs between two processes: the same classes in fewer bytes, and clear refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from running import BRANCHED, SQUEEZENET, Plans, ServerProcess, network_of, one_thread, server_process

from lmos_opt import InputError, Plan
from measurement import codecs
from runner import remote as remotes
from runner.edge import run_plan
from runner.errors import PeerError
from runner.protocol import Infer
from runner.remote import Remote, Timeouts
from runner.split import Crossing
from runner.tensors import pack

SHORT = Timeouts(connect_s=5, ready_s=60, result_s=20)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("codecs") / "log") as process:
        yield process
        assert "Traceback" not in process.log.read_text()


@pytest.fixture(scope="module")
def squeezenet() -> Plans:
    return Plans(SQUEEZENET, "bundled:squeezenet1_1", (1, 3, 224, 224))


def under(codec: str, plan: Plan) -> Plan:
    return Plan.from_dict({**plan.to_dict(), "codec": codec})


@pytest.mark.parametrize(("codec", "cut"), [("int8", 0), ("int8", 21), ("fp16", 21), ("zstd", 21), ("jpeg:90", 0)])
def test_the_classes_are_those_of_raw_tensors(server: ServerProcess, squeezenet: Plans, codec: str, cut: int) -> None:
    raw = run_plan(squeezenet(cut), server.address, n=3, timeouts=SHORT)
    found = run_plan(under(codec, squeezenet(cut)), server.address, n=3, timeouts=SHORT)
    agree = [one.class_ == other.class_ for one, other in zip(found.per_image, raw.per_image, strict=True)]
    assert agree == [codec != "jpeg:90", True, True]  # as a JPEG, the first picture's tabby is an Egyptian cat
    for image in found.per_image:
        total = image.t_edge_s + image.t_tx_s + image.t_server_s
        assert total <= image.latency_s <= total + 0.05


def test_a_server_without_the_codec_is_refused_before_it_is_asked(
    server: ServerProcess, squeezenet: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes.codecs, "capability", lambda codec: "codec:newer")
    with pytest.raises(PeerError, match=r"the server cannot do codec:newer \(its codecs: fp16, int8, jpeg, raw, zstd\)"):
        run_plan(under("int8", squeezenet(4)), server.address, n=1, timeouts=SHORT)


def test_what_the_server_does_not_know_it_refuses(server: ServerProcess, squeezenet: Plans) -> None:
    plan = squeezenet(4)
    for codec, reason in (("int9", "'int9' is not a codec; there are fp16"), ("jpeg:0", "jpeg:0: expected a quality")):
        request = remotes.opening(plan, network_of(plan)).model_copy(update={"codec": codec})
        with Remote(server.address, None, SHORT) as remote, pytest.MonkeyPatch.context() as patched:
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
        with Remote(server.address, None, SHORT) as remote:
            remote.open(under(codec, plan), network_of(plan))
            remote.wait_until_ready()
            remote.ask(Infer(id=1, tensors=headers, scalars={}), [memoryview(damaged)])
            with pytest.raises(PeerError, match="refuses: tensor 'input': ") as raised:
                remote._answer(20)
        assert (raised.value.code, raised.value.request) == ("tensors", 1)


def test_encoded_tensors_are_refused_where_none_were_agreed_on(server: ServerProcess, squeezenet: Plans) -> None:
    plan = squeezenet(0)
    headers, payload = pack(Crossing({"input": torch.randn(1, 3, 224, 224)}), codecs.get("int8"))
    with Remote(server.address, None, SHORT) as remote:
        remote.open(plan, network_of(plan))
        remote.wait_until_ready()
        remote.ask(Infer(id=1, tensors=headers, scalars={}), payload)
        with pytest.raises(PeerError, match="tensor 'input' comes encoded, and tensors travel as they are here"):
            remote._answer(20)
