"""The page of a plan, a report or a front: what is on it comes from the file, and from nothing that is another problem."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from lmos.cli import main
from lmos.pages.summary.page import save_page
from lmos.pages.summary.subject import gather
from lmos_opt import Front, InputError, Plan, pareto_front
from lmos_opt.sources import Options, instance_of, load_source
from runner.watching.report import RunReport
from tests.browser import CHROMIUM, Browser
from tests.lmos_opt.documents import chain_data, front_data, report_data

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


def page_of(file: Path, source: str | None = None, rule: str | None = None, options: Options | None = None) -> str:
    subject = gather(file, source, options or Options(), "sum", rule)
    save_page(subject, file.with_suffix(".html"))
    return file.with_suffix(".html").read_text()


def pictures(page: str) -> dict[str, str]:
    """Each picture's SVG by its class."""
    return {name: b64decode(data).decode() for name, data in
            re.findall(r'<img class="(\w+)"[^>]*src="data:image/svg\+xml;base64,([^"]*)"', page)}  # fmt: skip


def downloads(page: str) -> dict[str, dict[str, object]]:
    return {name: json.loads(b64decode(data)) for name, data in
            re.findall(r'<a download="([^"]*)" href="data:application/json;base64,([^"]*)"', page)}  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    assert main(["plan", "alexnet", "--bandwidth", "20Mbps", "--memory", "200MB", "--select", "knee", "-o", str(file)]) == 0
    return file


def test_a_plan_of_a_bundled_network_has_its_front_its_choice_and_its_cut(plan: Path) -> None:
    page = page_of(plan)
    found = Plan.load(plan)
    instance = instance_of(load_source("alexnet"), Options(bandwidth="20Mbps", memory="200MB"))
    front = pareto_front(instance)
    assert f"alexnet, cut after {found.x1} of 21 layers" in page
    assert "farthest from the line through the front" in page
    assert set(pictures(page)) == {"front", "cuts", "graph"}
    assert page.count('<tr class="chosen">') == 1
    assert f"Each of the {len(front.points)} points is a solution that no other one beats" in page
    for tensor in found.crossing:
        assert f"<td>{tensor.name}</td>" in page
    loaded = downloads(page)
    assert Plan.from_dict(loaded["plan-1.json"]) == found
    assert Front.from_dict(loaded["front-1.json"]).points == front.points


def test_the_page_needs_nothing_from_anywhere(plan: Path) -> None:
    page = page_of(plan)
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page


def test_a_report_has_what_was_measured_and_where(tmp_path: Path) -> None:
    data = report_data()
    data["per_image"] = [{**data["per_image"][0], "began_s": 0.1 * k, "file": f"{k}.png"} for k in range(3)]
    data |= {"images": 3, "pipelined": True}
    RunReport.from_dict(data).save(tmp_path / "report.json")
    page = page_of(tmp_path / "report.json")
    assert {"stages", "gantt"} <= set(pictures(page))
    assert "3 images, pipelined" in page
    assert re.search(r"<td>whole image</td>(<td[^>]*>[^<]*</td>){4}", page)
    assert "a CPU" in page
    assert "tabby" in page
    assert "graph" not in pictures(page)  # the network of the example is not bundled in this view
    assert "--source names what the plan was made from" in page or "--source names the profile or instance" in page


def test_a_front_alone_has_its_picture_and_points_and_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "front.json").write_text(json.dumps(front_data()))
    page = page_of(tmp_path / "front.json", rule="min_latency")
    assert set(pictures(page)) == {"front"}
    assert "The front is incomplete: time limit." in page
    assert "a front&#39;s file holds no layers; --source names the network" in page
    assert page.count('<tr class="chosen">') == 1
    assert "No rule was named" in page_of(tmp_path / "front.json")


def test_a_front_with_its_source_has_the_graph_and_every_cut(tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text(json.dumps(chain_data()))
    assert main(["front", str(tmp_path / "toy.json"), "-o", str(tmp_path / "front.json")]) == 0
    page = page_of(tmp_path / "front.json", str(tmp_path / "toy.json"), "knee")
    assert set(pictures(page)) == {"front", "cuts", "graph"}


@pytest.mark.parametrize(("source", "options"), [("vgg13", Options()), ("alexnet", Options(bandwidth="11Mbps"))])
def test_a_source_that_is_not_the_fronts_is_refused(tmp_path: Path, source: str, options: Options) -> None:
    assert main(["front", "alexnet", "-o", str(tmp_path / "front.json")]) == 0
    with pytest.raises(InputError, match=r"is not what the file was made from .*: points\[\d+\]\.values|has no layer"):
        gather(tmp_path / "front.json", source, options, "sum", None)


def test_a_plan_of_an_instance_file_needs_that_file(tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text(json.dumps(chain_data()))
    assert main(["plan", str(tmp_path / "toy.json"), "--select", "slack:200", "--bandwidth", "20Mbps", "--rtt", "3ms",
                 "-o", str(tmp_path / "plan.json")]) == 0  # fmt: skip
    page = page_of(tmp_path / "plan.json")
    assert "it was made from an instance file; --source names" in page
    assert "graph" not in pictures(page)
    page = page_of(tmp_path / "plan.json", str(tmp_path / "toy.json"))
    assert set(pictures(page)) == {"front", "cuts", "graph"}
    assert "the most edge memory within 200 % over the least latency" in page


def test_a_baselines_choice_that_is_not_on_the_front_says_so(tmp_path: Path) -> None:
    assert main(["plan", "vgg19", "--select", "cut:1", "-o", str(tmp_path / "plan.json")]) == 0
    assert "The choice is not on the front" in page_of(tmp_path / "plan.json")


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    data = front_data() | {"instance": "<script>alert(1)</script>"}
    (tmp_path / "front.json").write_text(json.dumps(data))
    page = page_of(tmp_path / "front.json")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert all("<script>" not in svg for svg in pictures(page).values())


@pytest.mark.parametrize(("arguments", "message"), [
    (["plan.json", "-o", "page.pdf"], "page.pdf: has the suffix '.pdf'; expected one of .html, .htm"),
    (["toy.json", "-o", "page.html"], "toy.json: schema: got \"lmos.instance/1\", expected 'lmos.front/1' or"),
    (["nothing.json", "-o", "page.html"], "nothing.json: no such file"),
    (["plan.json", "-o", "page.html", "--select", "knee"], "a plan has its own setting and choice"),
    (["plan.json", "-o", "page.html", "--memory-model", "most"], "'most' is not one of sum, peak"),
])  # fmt: skip
def test_the_command_refuses_in_one_line(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                         capfd: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.json").write_bytes(plan.read_bytes())
    Path("toy.json").write_text(json.dumps(chain_data()))
    assert main(["report", *arguments]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path(arguments[2]).exists()


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_page_fits_wide_and_narrow_windows(plan: Path, tmp_path: Path, page: Browser) -> None:
    page_of(plan)
    for width in (1280, 400):
        page.open(plan.with_suffix(".html").as_uri(), width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
    assert page.errors == []


@pytest.mark.parametrize(("network", "options", "objectives"), [
    ("alexnet", ["--objectives", "latency,tx_bytes", "--select", "ideal"], ("latency", "tx_bytes")),
    ("alexnet", ["--proper-split", "--constrain", "memory", "--select", "lmos"], ("latency", "memory")),
    ("alexnet", ["--objectives", "tx_bytes,memory,edge_time", "--select", "ideal"], ("tx_bytes", "memory", "edge_time")),
    ("alexnet", ["--constraint", "proper_split", "--memory", "100MB", "--select", "min_latency"], ("latency", "memory")),
])  # fmt: skip
def test_fault_11_a_report_shows_the_plans_own_front_and_point(tmp_path: Path, network: str, options: list[str],
                                                               objectives: tuple[str, ...]) -> None:  # fmt: skip
    file = tmp_path / "plan.json"
    assert main(["plan", network, *options, "-o", str(file)]) == 0
    subject = gather(file, None, Options(), "sum", None)
    assert subject.front is not None
    assert subject.plan is not None
    assert subject.front.names == objectives
    assert subject.chosen is subject.front.select(subject.plan.setting.rule)
    assert subject.chosen.edge_layers == subject.plan.edge_layers
    assert subject.note is None
    if objectives != ("latency", "memory"):  # which all other pages show
        save_page(subject, tmp_path / "page.html")


def test_a_plan_that_does_not_say_its_objectives_is_read_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "vgg19", "--objectives", "latency,tx_bytes", "--select", "ideal", "-o", str(file)]) == 0
    old = json.loads(file.read_text())
    for key in ("objectives", "solver"):
        del old["setting"][key]
    file.write_text(json.dumps(old))
    subject = gather(file, None, Options(), "sum", None)
    assert subject.front is not None
    assert subject.front.names == ("latency", "memory")
    assert subject.note is not None
    assert "does not say which objectives" in subject.note
