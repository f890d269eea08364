"""The page with the sliders: its answers beside fronts asked for directly, its server, and itself in a real browser."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from statistics import median
from typing import Any
from urllib.parse import urlencode

import pytest

from lmos.cli import main
from lmos.pages.ui.answers import SliderAnswers
from lmos.pages.ui.server import Server
from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.sources import Options, instance_of, load_source
from tests.browser import CHROMIUM, Browser
from tests.lmos_opt.documents import chain_data, path_data
from tests.processes import started

pytest.importorskip("plotly")
FITS = "document.querySelector('#front .main-svg').clientWidth === document.getElementById('front').clientWidth"
AS_GIVEN = {"bandwidth_mbps_1": 8.0, "rtt_ms_1": 0.0, "speed_1": 1.0, "speed_2": 1.0}


@pytest.fixture(scope="module")
def vgg19() -> Instance:
    return instance_of(load_source("vgg19"), Options())


@pytest.fixture(scope="module")
def server(vgg19: Instance) -> Iterator[Server]:
    with Server(SliderAnswers(vgg19)) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def get(server: Server, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, body


def shown_front(found: dict[str, Any]) -> list[tuple[float, float, int]]:
    return [(latency, memory, x1) for latency, memory, x1, _ in found["front"]]


def test_an_answer_is_the_front_of_the_instance_that_was_moved() -> None:
    answers = SliderAnswers(Instance.from_dict(chain_data()))
    found = answers.at(AS_GIVEN | {"bandwidth_mbps_1": 0.5, "speed_1": 2.0, "speed_2": 0.5, "rtt_ms_1": 10.0}, "knee")
    data = chain_data(bandwidth_bytes_per_s=62500.0, rtt_s=0.01)
    for layer in data["layers"]:
        layer["t_edge_s"] /= 2
        layer["t_server_s"] *= 2
    expected = pareto_front(Instance.from_dict(data))
    assert shown_front(found) == [(p.values["latency"], p.values["memory"] * 1e-6, p.x1) for p in expected.points]
    assert found["chosen"]["x1"] == expected.select("knee").x1
    assert [sum(parts) for parts in zip(*found["cuts"], strict=True)][found["chosen"]["x1"]] == pytest.approx(
        found["chosen"]["latency_s"])
    assert len(found["front"]) + len(found["dominated"]) == 4


def test_a_memory_limit_leaves_out_what_it_forbids() -> None:
    answers = SliderAnswers(Instance.from_dict(chain_data()))
    assert max(x1 for _, _, x1 in shown_front(answers.at(AS_GIVEN, "lmos"))) == 3
    assert max(x1 for _, _, x1 in shown_front(answers.at(AS_GIVEN | {"memory_mb_1": 0.014}, "lmos"))) == 2


def test_what_is_infeasible_or_cannot_be_chosen_says_so_beside_the_cuts() -> None:
    proper = SliderAnswers(Instance.from_dict(chain_data()), proper_split=True)
    found = proper.at(AS_GIVEN | {"memory_mb_1": 0.0}, "knee")
    assert "infeasible: memory limit 0 B" in found["error"]
    assert "front" not in found
    assert len(found["cuts"][0]) == 4
    found = proper.at(AS_GIVEN, "budget:1us")
    assert "latency budget 1us" in found["error"]
    assert found["front"]


@pytest.fixture(scope="module")
def path() -> Instance:
    return Instance.from_dict(path_data())


def test_a_path_has_a_slider_for_each_hop_and_place(path: Instance) -> None:
    """Two hops' rates and exchanges, three limits, three speeds; the answer is the front of the path that they make."""
    answers = SliderAnswers(path)
    assert [slider.name for slider in answers.sliders] == [
        "bandwidth_mbps_1", "rtt_ms_1", "bandwidth_mbps_2", "rtt_ms_2", "memory_mb_1", "memory_mb_2", "memory_mb_3", "speed_1",
        "speed_2", "speed_3"]  # fmt: skip
    assert [part for part, _ in answers.about()["parts"]] == ["phone", "hop 1", "box", "hop 2", "cloud"]
    assert [slider.most_mb for slider in answers.sliders[4:7]] == [9e-3, 9e-3, 9e-3]  # the weights, outputs and the image
    found = answers.at(answers.as_given | {"bandwidth_mbps_2": 0.016, "memory_mb_2": 5.5e-3, "speed_3": 0.5}, "min_latency")
    layers = [layer.model_dump() | {"t_s": [*layer.t_s[:2], 2 * layer.t_s[2]]} for layer in path.layers]
    moved = path.with_hop(2, bandwidth_bytes_per_s=2000.0).with_place(2, memory_limit_bytes=5500).replace(layers=layers)
    expected = pareto_front(moved)
    assert [entry[3] for entry in found["front"]] == [
        f"{', '.join(map(str, point.counts))} layers at the places" for point in expected]
    chosen = expected.select("min_latency")
    assert (chosen.counts, found["chosen"]["at"]) == ((1, 1, 0), [0, 1])
    assert found["chosen"]["words"].startswith(
        "1 at phone, 1 at box, 0 at cloud: 1.501 s = 1.000 s phone + 1.00 ms hop 1 + 500.00 ms")
    assert found["counts"] == ["0, 2, 0", "1, 1, 0", "2, 0, 0"]
    assert [sum(parts) for parts in zip(*found["cuts"], strict=True)] == pytest.approx([0.754, 1.501, 3.0])
    assert {rule: latency for rule, latency, _ in found["baselines"]} == pytest.approx(
        {"at:1": 3.0, "at:3": 2.754, "DADS:1,3; even:layers": 2.001})  # others of DADS break the limit


@pytest.mark.parametrize(("change", "message"), [
    ({"bandwidth_mbps_1": 0.0}, "bandwidth_mbps_1: 0.0 is not between 0.001 and 1e"),
    ({"speed_1": float("nan")}, "speed_1: nan is not between"),
    ({"colour": 1.0}, "colour: expected a number for each of"),
])  # fmt: skip
def test_sliders_that_are_none_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SliderAnswers(Instance.from_dict(chain_data())).at(AS_GIVEN | change, "knee")


def test_the_server_answers_this_machine_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert get(server, "/")[0] == 200
    assert get(server, "/", f"localhost:{server.server_port}")[0] == 200
    assert get(server, "/", "evil.example")[0] == 403  # a name that somebody pointed here
    assert get(server, "/front", f"evil.example:{server.server_port}")[0] == 403
    assert get(server, "/../../etc/passwd")[0] == 404


@pytest.mark.parametrize(("query", "message"), [
    ("", "expected a number for each"), ("bandwidth_mbps_1=fast", "could not convert"),
    (urlencode(AS_GIVEN | {"rule": "best"}), "'best' is not a selection rule"),
])  # fmt: skip
def test_a_bad_question_is_answered_in_words(server: Server, query: str, message: str) -> None:
    _, body = get(server, f"/front?{query}")
    assert message in json.loads(body)["error"]


def test_a_port_that_is_taken_is_one_clear_line(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "alexnet", "--port", str(server.server_port)]) == 1
    assert f"127.0.0.1:{server.server_port}: cannot listen there: address already in use (--port)" in capfd.readouterr().err


@pytest.mark.process
def test_the_command_serves_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "lmos", "ui", "alexnet", "--port", "0"]
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}about", timeout=30) as reply:
            assert json.load(reply)["name"] == "alexnet"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 0
    assert error.endswith("ended\n")
    assert "Traceback" not in error


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_sliders_of_a_path_move_its_layers_between_places_in_a_browser(path: Instance, page: Browser) -> None:
    with Server(SliderAnswers(path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.open(server.url, width=400)  # the other page is wide when it is loaded
        page.wait_for("lmos.answers > 0")
        for width in (400, 1280):
            page.resize(width)
            page.wait_for(f"window.innerWidth === {width} && {FITS}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        strip = "[...document.getElementById('strip').children].map(layer => layer.style.background)"
        assert page.evaluate(strip) == ["rgb(0, 114, 178)", "rgb(0, 158, 115)"]  # the phone's colour and the cloud's
        move(page, "memory_mb_3", 100)  # a quarter of what the network takes
        assert page.evaluate("document.getElementById('said').innerText").startswith("1 at phone, 1 at box, 0 at cloud")
        assert page.evaluate(strip) == ["rgb(0, 114, 178)", "rgb(204, 121, 167)"]
        assert page.errors == []
        server.shutdown()


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_sliders_move_the_front_and_the_choice_in_a_browser(server: Server, vgg19: Instance, page: Browser) -> None:
    """Prints how long answers took, from the slider's event until everything was drawn: run with -s to see it."""
    page.open(server.url)
    page.wait_for("lmos.answers > 0")
    assert "vgg19: 44 layers" in page.evaluate("document.body.innerText")
    took = []
    for k in range(4):
        place = -0.5 + 0.7 * k
        move(page, "bandwidth_mbps_1", place)
        took.append(page.evaluate("lmos.lastMs"))
    mbps = float(f"{10**place:.4g}")
    expected = pareto_front(vgg19.replace(bandwidth_bytes_per_s=mbps / 8e-6))
    found = page.evaluate("lmos.last")
    assert [x1 for _, _, x1 in shown_front(found)] == [point.x1 for point in expected.points]
    assert page.evaluate("document.getElementById('front').data[1].x") == pytest.approx(
        [point.values["latency"] for point in expected.points])
    assert page.evaluate("document.getElementById('said').innerText") == found["chosen"]["words"]
    move(page, "memory_mb_1", 100)
    assert max(memory for _, memory, _ in shown_front(page.evaluate("lmos.last"))) <= 0.25 * 1e-6 * whole(vgg19)
    move(page, "speed_1", 4)
    faster = page.evaluate("lmos.last.cuts[0]")
    assert faster[-1] == pytest.approx(sum(layer.t_edge_s for layer in vgg19.layers) / 16)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.resize(400)
    page.wait_for(f"window.innerWidth === 400 && {FITS}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.errors == []
    print(f"lmos ui, VGG19: {len(took)} moves of a slider, answered and drawn in a median of {median(took):.0f} ms, "
          f"at most {max(took):.0f} ms")


def move(page: Any, name: str, place: float) -> None:
    answers = page.evaluate("lmos.answers")
    page.evaluate(f"(() => {{ const slider = document.getElementById('{name}'); slider.value = {place}; "
                  "slider.dispatchEvent(new Event('input')); })()")
    page.wait_for(f"lmos.answers > {answers}")


def whole(instance: Instance) -> int:
    from lmos_opt.split import Split

    return Split(instance, frozenset(instance.names)).memory_bytes
