"""The edge against real server processes: every cut, every failure, what the report says."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lmos_opt import InputError, Plan
from lmos_opt.plan import STAGES
from measurement.networks import build_network
from measurement.tracing import trace_network
from runner.errors import ConnectionLost, PeerError, RunnerError
from runner.machine import this_machine
from runner.parts.network import DigestError, flat_outputs, outputs_of
from runner.parts.split import split_module
from runner.places.edge import run_plan
from runner.wire.connecting import listen
from runner.wire.protocol import Connection, Ready, Result, Role, Welcome
from runner.wire.shaping import Shape
from runner.wire.tensors import pack
from runner.wire.timeouts import Timeouts
from runner.wire.tls import stream_over
from runner.wire.transport import Channel
from tests.runner.asking import AskingClient
from tests.runner.running import (
    BRANCHED,
    FOUR_CHANNELS,
    NETWORKS,
    TWO_OUTPUTS,
    WIDE,
    Plans,
    ServerProcess,
    network_of,
    server_process,
    whole,
)

NOBODY = ("127.0.0.1", 1)
SHORT = Timeouts(connect_s=5, ready_s=30, result_s=10)
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def changed(plan: Plan, **network: object) -> Plan:
    return Plan.from_dict({**plan.to_dict(), "network": {**network_of(plan).model_dump(mode="json"), **network}})


@pytest.mark.parametrize("cut", [0, 1, 3, 5, -2, -1])
def test_each_cut_is_run_and_reported(server: ServerProcess, plans: Plans, cut: int) -> None:
    plan = plans(cut)
    report = run_plan(plan, server.address, n=7, networks=NETWORKS, timeouts=SHORT)
    assert report.plan == plan
    assert report.images == len(report.per_image) == 7
    assert (report.lost, report.retries, report.fallbacks) == (0, 0, 0)
    assert set(report.measured) == set(STAGES)
    assert [image.file for image in report.per_image][5:] == [image.file for image in report.per_image][:2]
    beside = [image.latency_s - (image.t_edge_s + image.t_tx_s + image.t_server_s) for image in report.per_image]
    assert 0 <= min(beside) <= 0.05  # a busy machine may do something else between stages, but not for each image
    for image in report.per_image:
        if plan.x2:
            assert min(image.t_tx_s, image.t_server_s) > 0
        else:
            assert image.t_tx_s == image.t_server_s == 0
        assert image.class_name is None
    assert report.environment.seed == 0
    assert "mean nothing" in report.environment.weights
    assert (report.environment.server is None) == (plan.x2 == 0)
    assert type(report).from_dict(report.to_dict()) == report


@pytest.mark.parametrize("cut", [0, 21, -2])
def test_the_output_over_the_wire_is_the_whole_networks(
    server: ServerProcess, squeezenet: Plans, plans: Plans, cut: int
) -> None:
    for plan in (squeezenet(cut), plans(min(cut, 4))):
        module = whole(plan)
        image = torch.randn(network_of(plan).input.shape, generator=torch.Generator().manual_seed(2))
        head, _ = split_module(module, plan.edge_layers, image)
        with torch.inference_mode(), AskingClient(server.address, None, SHORT) as remote:
            remote.open(plan, network_of(plan))
            remote.wait_until_ready()
            crossing = head(image)
            assert [(t.name, t.bytes) for t in plan.crossing] == [(k, t.nbytes) for k, t in crossing.items()]
            assert torch.equal(remote.infer(1, crossing).outputs["output"], module(image))


def test_trained_weights_see_what_is_in_the_pictures(server: ServerProcess, squeezenet: Plans) -> None:
    classes = {}
    for cut in (21, -1):
        report = run_plan(squeezenet(cut), server.address, n=2, timeouts=SHORT)
        found = {image.file: (image.class_, image.class_name) for image in report.per_image}
        assert found["chelsea.png"][0] in {281, 282, 285}
        assert found["coffee.png"] == (967, "espresso")
        assert report.environment.seed is None
        classes[cut] = found
    assert classes[21] == classes[-1]


def test_the_edge_holds_only_its_own_weights(server: ServerProcess) -> None:
    plans = Plans(WIDE, shape=(1, 3, 64, 64))
    memory = {cut: run_plan(plans(cut), server.address, n=1, networks=[WIDE], timeouts=SHORT).measured["edge_memory_bytes"].p50
              for cut in (0, 4, -1)}  # fmt: skip
    assert memory[0] < 15e6 < memory[-1]  # 101 MB of weights in all, next to nothing in the first 4 layers
    assert memory[4] < 40e6
    assert memory[-1] > 101e6


def test_logits_are_found_among_several_outputs(server: ServerProcess) -> None:
    plan = Plans(TWO_OUTPUTS)(1)
    report = run_plan(plan, server.address, n=2, networks=NETWORKS, timeouts=SHORT)
    assert {image.class_ for image in report.per_image} <= set(range(5))


def test_a_network_that_takes_no_pictures_runs_on_random_tensors(server: ServerProcess) -> None:
    report = run_plan(Plans(FOUR_CHANNELS, shape=(1, 4, 8, 8))(1), server.address, n=3, networks=NETWORKS)
    assert "random tensors" in report.environment.images
    assert report.per_image[2].file == "random:2"


def test_a_shaped_link_takes_the_bytes_over_the_rate_and_the_delay(server: ServerProcess, squeezenet: Plans) -> None:
    plan = squeezenet(0)
    shape = Shape(rate_bytes_per_s=3e6, delay_s=0.05)
    report = run_plan(plan, server.address, n=3, shape=shape, timeouts=SHORT)
    asked = sum(tensor.bytes for tensor in plan.crossing) / 3e6 + 0.05
    fastest = min(image.t_tx_s for image in report.per_image)
    assert asked * 0.999 <= fastest <= asked * 1.15 + 0.02
    assert report.environment.shape == "24 Mbps, 50.00 ms"


def test_progress_is_told(server: ServerProcess, plans: Plans) -> None:
    told: list[tuple[str, int, int]] = []
    run_plan(plans(2), server.address, n=2, networks=NETWORKS, progress=lambda *step: told.append(step))
    assert told[-2:] == [("running", 1, 2), ("running", 2, 2)]


def test_threads_are_recorded_and_put_back(server: ServerProcess, plans: Plans) -> None:
    before = torch.get_num_threads()
    report = run_plan(plans(2), server.address, n=1, networks=NETWORKS, threads=2)
    assert report.environment.edge.threads == 2
    assert report.environment.server is not None
    assert report.environment.server.threads == 1
    assert torch.get_num_threads() == before


def test_another_engine_computes_the_edges_part(server: ServerProcess, plans: Plans) -> None:
    own, other = (run_plan(plans(3), server.address, n=2, networks=NETWORKS, timeouts=SHORT, engine=engine)
                  for engine in ("torch", "onnxruntime"))  # fmt: skip
    said = other.environment.edge.versions["engine"]
    assert said.startswith("onnxruntime:cpu float32 on ")
    assert 0 <= float(re.search(r"; rounding changes outputs by up to (\S+) of the largest$", said)[1]) < 1e-5
    assert "engine" not in own.environment.edge.versions
    assert [one.class_ for one in other.per_image] == [one.class_ for one in own.per_image]
    assert (other.lost, other.fallbacks) == (0, 0)
    with pytest.raises(InputError, match="--engine: onnxruntime:cpu computes the edge's part of a plan; this one sends nothing"):
        run_plan(plans(-1), NOBODY, n=1, networks=NETWORKS, timeouts=SHORT, engine="onnxruntime")


def test_nothing_is_asked_of_a_server_that_has_nothing_to_do(plans: Plans) -> None:
    assert run_plan(plans(-1), NOBODY, n=2, networks=NETWORKS).images == 2


def test_a_server_that_is_not_there_is_one_clear_line(plans: Plans) -> None:
    with pytest.raises(ConnectionLost, match=r"127\.0\.0\.1:1: connection refused; is 'lmos serve' running there\?"):
        run_plan(plans(0), NOBODY, n=1, networks=NETWORKS)


@pytest.mark.parametrize(("network", "error", "named"), [
    ({"digest": "sha256:" + "a" * 64}, DigestError, "the plan's sha256:aaaaaaaaaaaa"),
    ({"weights": "seeded:5"}, DigestError, "built here with weights seeded:5"),
    ({"builder": "os:getcwd"}, InputError, "--network os:getcwd"),
    ({"builder": "torchvision:alexnet"}, (DigestError, InputError), "alex_?net"),
])  # fmt: skip
def test_another_network_than_the_plans_is_refused_at_the_edge(
    server: ServerProcess, plans: Plans, network: dict[str, str], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        run_plan(changed(plans(2), **network), server.address, n=1, networks=NETWORKS, timeouts=SHORT)


def test_the_servers_reason_reaches_the_user(server: ServerProcess) -> None:
    plan = Plans("runner_networks:unlisted")(1)
    with pytest.raises(PeerError, match=r"the server refuses: .*--network runner_networks:unlisted") as refused:
        run_plan(plan, server.address, n=1, networks=["runner_networks:unlisted"], timeouts=SHORT)
    assert refused.value.code == "refused"
    assert refused.value.exit_code == 1


def test_an_unknown_layer_is_named(server: ServerProcess, plans: Plans) -> None:
    plan = Plan.from_dict({**plans(1).to_dict(), "edge_layers": ["nothing"]})
    with pytest.raises((InputError, PeerError), match="nothing"):
        run_plan(plan, server.address, n=1, networks=NETWORKS, timeouts=SHORT)


def test_a_plan_of_numbers_alone_is_refused(plans: Plans) -> None:
    with pytest.raises(InputError, match="numbers alone"):
        run_plan(Plan.from_dict({**plans(1).to_dict(), "network": None}), NOBODY)


def test_no_images_and_weights_of_no_file_are_refused(plans: Plans, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 images"):
        run_plan(plans(1), NOBODY, n=0)
    with pytest.raises(InputError, match="not those of a file"):
        run_plan(plans(1), NOBODY, weights_file=tmp_path)
    with pytest.raises(InputError, match="no pictures"):
        run_plan(plans(1), NOBODY, images=tmp_path)
    with pytest.raises(InputError, match="takes 1x4x8x8 float32, not pictures"):
        run_plan(Plans(FOUR_CHANNELS, shape=(1, 4, 8, 8))(1), NOBODY, images=tmp_path)


def test_pictures_of_a_folder_and_weights_of_a_file(server: ServerProcess, tmp_path: Path) -> None:
    for k in range(2):
        Image.new("RGB", (30, 20), (k * 90, 20, 40)).save(tmp_path / f"{k}.png")
    weights = tmp_path / "weights.pt"
    torch.save(whole(Plans(BRANCHED, "seeded:4")(0)).state_dict(), weights)
    plan = Plans(BRANCHED, f"file:{weights}")(-1)
    moved = weights.rename(tmp_path / "moved.pt")
    report = run_plan(plan, server.address, images=tmp_path, weights_file=moved, networks=NETWORKS)
    assert [image.file for image in report.per_image] == ["0.png", "1.png"]
    assert "trained" in report.environment.weights


@pytest.mark.process
def test_a_server_killed_in_the_middle_leaves_the_rest_to_the_edge(tmp_path: Path, plans: Plans) -> None:
    with server_process(tmp_path / "log") as server:

        def kill(what: str, done: int, total: int) -> None:
            if (what, done) == ("running", 3):
                server.stop(signal.SIGKILL)

        hasty = replace(SHORT, result_s=0.5)
        report = run_plan(plans(2), server.address, n=12, networks=NETWORKS, progress=kill, timeouts=hasty)
    assert (report.images, report.lost, report.fallbacks) == (12, 0, 9)
    here = [image for image in report.per_image if image.finished_at == "edge"]
    assert all("connection" in (image.reason or "") for image in here)
    undisturbed = run_plan(plans(-1), NOBODY, n=12, networks=NETWORKS)
    assert [image.class_ for image in report.per_image] == [image.class_ for image in undisturbed.per_image]
    for image in here:
        assert image.t_edge_s + image.t_tx_s + image.t_queue_s <= image.latency_s
        assert image.t_server_s == 0


def fake_server(behave: Callable[[Channel], None]) -> tuple[tuple[str, int], threading.Thread]:
    """Something that listens, takes one peer and behaves as told."""
    listener = listen("127.0.0.1", 0)

    def serve() -> None:
        with listener:
            sock, _ = listener.accept()
        channel = Channel(stream_over(sock), Connection(Role.SERVER))
        behave(channel)
        channel.close(linger_s=1)

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname(), thread


def silent(channel: Channel) -> None:
    channel.receive(10)
    channel.receive(10)


def http(channel: Channel) -> None:
    channel.receive(10)
    channel._stream.sendmsg([memoryview(b"HTTP/1.1 400 Bad Request\r\n\r\n")])


def promising(channel: Channel, numbers: int, t_server_s: float) -> None:
    """Says that it will answer with ten numbers, and answers so."""
    channel.receive(10)
    channel.send(Welcome(software="promising", window=1, idle_s=9.0))
    channel.receive(10)
    channel.send(Ready(result_bytes=40, machine=this_machine(1)))
    channel.connection.payload_limit = 10**6
    channel.receive(30)
    headers, payload = pack({"output": torch.zeros(numbers)})
    channel.send(Result(id=0, tensors=headers, t_server_s=t_server_s), payload)


def liar(channel: Channel) -> None:
    """Says that it worked for longer than the exchange took."""
    promising(channel, 10, 1000.0)


def greedy(channel: Channel) -> None:
    """Answers with more than it said it would."""
    promising(channel, 11, 0.0)


@pytest.mark.parametrize(("behave", "named"), [
    (silent, r"sent nothing for 0\.5 s"), (http, "no lmos server: it speaks HTTP"),
    (lambda channel: None, "closed the connection|connection broke"),
])  # fmt: skip
def test_what_is_no_server_is_one_clear_error(plans: Plans, behave: Callable[[Channel], None], named: str) -> None:
    address, thread = fake_server(behave)
    impatient = Timeouts(connect_s=0.5, ready_s=5, result_s=5)
    with pytest.raises(RunnerError, match=named) as failed:
        run_plan(plans(0), address, n=1, networks=NETWORKS, timeouts=impatient)
    thread.join(20)
    assert failed.value.exit_code == 1
    assert "\n" not in str(failed.value)


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def test_a_server_of_http_answers_what_it_cannot_read_and_is_told_as_such(plans: Plans) -> None:
    """It waited for the end of a line, and the edge waited for it: three times 10 s, and then the peer "sent nothing"."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(RunnerError, match=r"what answers there is no lmos server: it speaks HTTP \(it sent b'<!DOCTYP'\)"):
                run_plan(plans(0), ("127.0.0.1", server.server_port), n=1, networks=NETWORKS)
        finally:
            server.shutdown()
            thread.join(20)


def impostor(channel: Channel) -> None:
    """Answers with another network's output."""
    channel.receive(10)
    channel.send(Welcome(software="impostor", window=1, idle_s=9.0))
    channel.receive(10)
    channel.send(Ready(result_bytes=28, machine=this_machine(1)))
    channel.connection.payload_limit = 10**6
    channel.receive(30)
    headers, payload = pack({"output": torch.ones(1, 7)})
    channel.send(Result(id=0, tensors=headers, t_server_s=0.0), payload)


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_are_known_before_any_server_answers(network: str) -> None:
    module = build_network(network, "seeded:0", allow_code=True)
    shape = (1, 4, 8, 8) if network == FOUR_CHANNELS else (1, 3, 8, 8)
    found = flat_outputs(module(torch.zeros(shape)))
    known = outputs_of(trace_network(module, torch.zeros(shape)))
    assert {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in found.items()} == {
        name: (spec.shape, f"torch.{spec.dtype}") for name, spec in known.items()}  # fmt: skip


@pytest.mark.parametrize(("behave", "reason"), [(liar, "1000"), (greedy, "at most 40"), (impostor, "not the network's")])
def test_a_server_that_is_wrong_is_done_without(plans: Plans, behave: Callable[[Channel], None], reason: str) -> None:
    address, thread = fake_server(behave)
    report = run_plan(plans(0), address, n=1, networks=NETWORKS, timeouts=Timeouts(0.5, 5, 0.5))
    thread.join(20)
    assert (report.lost, report.fallbacks) == (0, 1)
    assert report.per_image[0].reason


def test_a_port_that_never_accepts_is_given_up(plans: Plans) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf, pytest.raises(ConnectionLost, match="0\\.5 s"):
        run_plan(plans(0), deaf.getsockname(), n=1, networks=NETWORKS, timeouts=Timeouts(0.5, 1, 1))
