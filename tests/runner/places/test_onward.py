"""What a middle place asks the place after it for, and with what it is let in."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from lmos.commands.serve import Onward as AskedOnward
from lmos_opt.errors import InputError
from lmos_opt.plan import Plan
from runner.client.probe_client import ProbeClient
from runner.client.remote import opening
from runner.errors import PeerError, RunnerError
from runner.places.connect import connect
from runner.places.onward import Next, Onwards, onward_request
from runner.wire.access import Access, Credentials
from runner.wire.certs import make_certificates
from runner.wire.protocol import Hello, Open
from runner.wire.protocol.frames import FrameType, encode_prefix
from runner.wire.shaping import Shape
from runner.wire.timeouts import Timeouts
from runner.wire.tls import edge_tls, server_tls
from tests.runner.places.test_middle import planned
from tests.runner.running import BRANCHED, Plans, network_of, thread_server, whole

pytestmark = pytest.mark.usefixtures("one_torch_thread")
OWN, NEXT = "the token of the middle place", "the token of the last place"


@pytest.fixture(scope="module")
def plan(plans: Plans) -> Plan:
    return planned(plans, [2, 4])


def test_the_next_place_is_asked_for_the_rest_under_a_session_that_follows(plan: Plan) -> None:
    asked = opening(plan, network_of(plan), "0" * 32)
    assert (len(asked.edge_layers), [len(one) for one in asked.later_layers]) == (2, list(plan.counts[1:]))
    onward = onward_request(asked)
    assert onward.edge_layers == (*plan.edge_layers, *plan.later_layers[0])
    assert onward.later_layers == plan.later_layers[1:]
    assert onward.session == onward_request(asked).session != asked.session
    assert (onward.network, onward.input) == (asked.network, asked.input)


def test_a_token_and_tls_of_its_own_let_a_middle_place_in(plan: Plan, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    make_certificates(tmp_path)
    theirs = server_tls(tmp_path / "server.pem", tmp_path / "server.key")
    ours = edge_tls(tmp_path / "ca.pem")
    image = torch.randn(1, 3, 8, 8)
    with thread_server(token=NEXT, tls=theirs) as last, ExitStack() as stack:
        middle = stack.enter_context(thread_server(to=Next(address=last, access=Access(NEXT, ours)), token=OWN, tls=theirs))
        with connect(plan, middle, token=OWN, tls=ours, networks=[BRANCHED]) as split, torch.inference_mode():
            assert torch.equal(split(image), whole(plan)(image))
        stranger = stack.enter_context(thread_server(to=Next(address=last, access=Access(OWN, ours))))
        with pytest.raises(RunnerError, match=r"refuses: the next place: .*the token is wrong"):
            connect(plan, stranger, networks=[BRANCHED])


def test_a_next_place_that_wants_tls_of_a_place_without_is_refused_at_once(plan: Plan, tmp_path: Path) -> None:
    """It was taken for one that is away, and each of the edge's tries ended there: a minute of them."""
    pytest.importorskip("cryptography")
    make_certificates(tmp_path)
    with thread_server(tls=server_tls(tmp_path / "server.pem", tmp_path / "server.key")) as last, ExitStack() as stack:
        middle = stack.enter_context(thread_server(to=Next(address=last)))
        with pytest.raises(PeerError, match=r"next place: .*: the server speaks TLS, the edge was started without") as told:
            connect(plan, middle, networks=[BRANCHED])
        assert told.value.code == "refused"


def test_a_next_place_that_is_not_there_is_said_and_the_edge_finishes(plan: Plan) -> None:
    image = torch.randn(1, 3, 8, 8)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with (thread_server(to=Next(address=nobody.getsockname())) as middle,
              connect(plan, middle, networks=[BRANCHED], timeouts=Timeouts(result_s=0.5)) as split):  # fmt: skip
            with torch.inference_mode():
                assert torch.equal(split(image), whole(plan)(image))
            (result,) = split.report().per_image
    assert result.finished_at == "edge"
    assert "the next place cannot be asked" in str(result.reason)


@pytest.mark.parametrize("key", ["next", "address", "later_addresses"])
def test_a_peer_that_names_an_address_to_connect_to_is_refused(key: str, plan: Plan) -> None:
    asked = opening(plan, network_of(plan))
    text = asked.model_dump_json()[:-1] + f',"{key}":"127.0.0.1:9"}}'
    with thread_server() as address, socket.create_connection(address, 10) as peer:
        for kind, header in ((FrameType.HELLO, Hello(software="a test").model_dump_json()), (FrameType.OPEN, text)):
            peer.sendall(encode_prefix(kind, header.encode(), 0) + header.encode())
        said = b""
        while more := peer.recv(65536):
            said += more
    assert b'"code":"protocol"' in said
    assert f"OPEN: {key}: ".encode() in said


def test_two_places_are_asked_for_without_a_word_of_others(plans: Plans) -> None:
    asked = opening(plans(2), network_of(plans(2)))
    assert "later_layers" not in asked.model_dump_json()
    assert Open.model_validate_json(asked.model_dump_json()) == asked
    assert Onwards().acquire(asked) is None


def test_options_for_the_next_place_are_read_with_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none: dict[str, Any] = {"ca": None, "cert": None, "key": None, "token_file": None, "unprotected": False, "begins": "--next-"}
    monkeypatch.setenv("LMOS_TOKEN", "of those who ask this place")
    assert AskedOnward.given(None, None, Credentials(**none)) is None
    found = AskedOnward.given("10.0.0.5:7070", "10Mbps", Credentials(**none))
    assert found is not None
    assert (found.next.address, found.next.access.token) == (("10.0.0.5", 7070), None)
    monkeypatch.setenv("LMOS_NEXT_TOKEN", NEXT)
    with pytest.raises(InputError, match="--next-ca: is missing: without TLS the token could be read"):
        found.next  # noqa: B018
    with pytest.raises(InputError, match="--next: is missing; --next-shape needs it"):
        AskedOnward.given(None, "10Mbps", Credentials(**none))
    with pytest.raises(InputError, match="--next-ca: is missing; --next-cert and --next-key need it"):
        Credentials(**{**none, "cert": tmp_path}).at(("127.0.0.1", 1))


def test_a_later_hop_is_measured_by_the_place_before_it() -> None:
    timeouts = Timeouts(result_s=5.0)
    with thread_server() as last, ExitStack() as stack:
        second = stack.enter_context(thread_server(to=Next(address=last, shape=Shape(1e6))))
        first = stack.enter_context(thread_server(to=Next(address=second, shape=Shape(1e5))))
        for hop, address, rate in ((2, second, 1e6), (2, first, 1e5), (3, first, 1e6)):
            with ProbeClient(address, None, timeouts) as remote:
                remote.hop = hop
                empty_s = min(remote.probe(0, 0)[0] for _ in range(3))  # a busy machine holds one up
                full_s, t_server_s = remote.probe(40_000, 10)
            assert 40_000 / rate <= full_s
            assert empty_s < full_s
            assert t_server_s < full_s


@pytest.mark.parametrize("hop", [2, 3])
def test_who_has_no_next_place_measures_no_later_hop(hop: int) -> None:
    with (thread_server() as last, thread_server(to=Next(address=last)) as middle,
          ProbeClient(last if hop == 2 else middle, None) as remote):  # fmt: skip
        remote.hop = hop
        with pytest.raises(RunnerError, match="is no middle place"):
            remote.probe(0, 0)
