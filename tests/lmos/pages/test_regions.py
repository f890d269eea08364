"""The page of regions: what its sentences and tables say, and how it looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt.policies.regions import Crossings, stretches
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import load_source
from measurement import codecs
from tests.browser import CHROMIUM, Browser

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("regions") / "regions.html"
    assert main(["regions", "alexnet", "--codec", "int8", "--device", "rpi4", "--device", "jetson-nano-cpu", "-o", str(found)]) == 0
    return found


def test_it_says_where_which_is_fastest_and_what_is_not_known(file: Path) -> None:
    text, profile = file.read_text(), load_source("alexnet")
    assert isinstance(profile, NetworkProfile)
    found = Crossings.of(profile, "rpi4", "i7-8700", [codecs.get("int8")])
    first, second, *_ = stretches(found.ways(None), 12_500, 125e6)
    assert (first.label.kind, second.label.kind) == ("device", "cut")
    end = f"{float(first.high) * 8e-6:.4g} Mbps"
    assert f"rpi4, whatever is lost: the device alone below {end}, a cut inside the network from {end}" in text
    assert f"<td class=\"n\">{float(first.high) * 8e-6:.7g} Mbps</td>" in text
    assert "rpi4, nothing lost" in text
    assert "jetson-nano-cpu, whatever is lost" in text
    assert "lose of this network&#39;s result was not measured" in text
    assert "1 % lost" not in text


@pytest.mark.parametrize(("more", "said"), [
    (["-o", "x.png"], "x.png: has the suffix '.png'; expected one of .html, .htm"),
    (["-o", "x.html", "--range", "1Gbps..1Mbps"], "--range: 1Gbps to 1Mbps is empty"),
    (["-o", "x.html", "--range", "1Mbps"], "--range: '1Mbps' is not a range"),
    (["-o", "x.html", "--floor", "few"], "--floor: 'few' is not a percentage of at least zero"),
    (["-o", "x.html", "--device", "toaster"], "toaster: is neither a file nor a bundled device"),
])
def test_what_it_cannot_use_it_names(more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["regions", "alexnet", "--codec", "int8", *more]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_it_fits_wide_and_narrow_windows(file: Path, page: Browser) -> None:
    for width in (1280, 400):
        page.open(file.as_uri(), width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('img.regions').naturalWidth") > 300
    assert page.errors == []
