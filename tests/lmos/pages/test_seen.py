"""What the network made of its images, on the page of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmos.pages.summary.page import save_page
from lmos.pages.summary.seen import MOST_BYTES, seen_of
from lmos.pages.summary.subject import gather
from lmos_opt.sources import Options
from runner.watching.report import RunReport
from tests.browser import CHROMIUM, Browser
from tests.lmos_opt.documents import report_data

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
BOXES = {"task": "boxes", "count": 1, "size": [224, 224],
         "boxes": [{"index": 1, "name": "<b>cat</b>" * 30, "score": 0.9, "corners": [10, 20, 100, 200]}]}  # fmt: skip
MASKS = {"task": "masks", "regions": [{"index": 1, "name": "cat", "share": 0.5}], "mask": DOT}
OTHERS = [
    {"task": "classes", "top": [{"index": 1, "name": "cat", "share": 0.5}]},
    {"task": "embedding", "length": 9, "norm": 2.5, "nearest": [{"file": "b.png", "cosine": 0.5}]},
    {"task": "tensors", "count": 1, "tensors": [{"path": "output", "shape": [1, 2], "dtype": "float32"}]},
]


def report(results: list[dict[str, Any]], **more: Any) -> RunReport:
    data = report_data()
    image = data["per_image"][0]
    data["per_image"] = [{**image, "file": f"{k}.png", "result": result} for k, result in enumerate(results)]
    return RunReport.from_dict(data | {"images": len(results)} | more)


def page_of(found: RunReport, folder: Path) -> str:
    found.save(folder / "report.json")
    assert RunReport.load(folder / "report.json") == found
    save_page(gather(folder / "report.json", None, Options(), "sum", None), folder / "page.html")
    return (folder / "page.html").read_text()


def test_boxes_and_masks_are_drawn_on_pictures_and_names_are_text(tmp_path: Path) -> None:
    found = report([BOXES, MASKS, *OTHERS], shown=[{"file": "0.png", "picture": DOT}, {"file": "1.png", "picture": DOT}])
    page = page_of(found, tmp_path)
    assert page.count("<svg") == 2
    assert page.count('<image class="mask"') == 1
    assert page.count("<rect ") == 1
    assert "<b>cat" not in page
    assert "&lt;b&gt;cat" in page
    assert "cosine 0.500" in page
    assert "float32[1, 2]" in page


def test_a_report_without_results_has_no_such_part(tmp_path: Path) -> None:
    assert "What the network made" not in page_of(RunReport.from_dict(report_data()), tmp_path)


def test_the_part_stays_small_whatever_the_report_holds() -> None:
    large = {**MASKS, "mask": "A" * 200_000}
    found = seen_of(report([large] * 100, shown=[{"file": f"{k}.png", "picture": "A" * 200_000} for k in range(48)]))
    assert 0 < len(found) <= MOST_BYTES / 400_000
    assert len(seen_of(report([BOXES] * 100))) == 12


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_it_fits_wide_and_narrow_windows(tmp_path: Path, page: Browser) -> None:
    page_of(report([BOXES, MASKS, *OTHERS], shown=[{"file": "0.png", "picture": DOT}]), tmp_path)
    for width in (1280, 400):
        page.open((tmp_path / "page.html").as_uri(), width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('.seen svg').getBoundingClientRect().width") > 150
    assert page.errors == []
