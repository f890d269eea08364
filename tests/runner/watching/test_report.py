"""The report: its file, its figures, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from lmos.commands.run import how_it_went
from lmos_opt import InputError, Plan
from lmos_opt.plan import STAGES
from lmos_opt.plans.promise import Promise
from lmos_opt.units import format_time
from measurement.pictures import read_picture
from measurement.pictures.folders import picture_files
from runner.images import find_images
from runner.machine import this_machine
from runner.memory import PeakMemory, release, resident_bytes
from runner.watching.report import (
    STAGE_COLUMNS,
    Environment,
    FailedImage,
    ImageResult,
    Outcome,
    RunReport,
    make_report,
    memory_note,
    stage_rows,
)
from tests.runner.running import FOUR_CHANNELS, Plans, network_of


@pytest.fixture
def report(plans: Plans) -> RunReport:
    results = [
        ImageResult(file=f"{k}.png", class_=k, class_name=None, t_edge_s=0.1 * k, t_tx_s=0.01, t_server_s=0.2,
                    latency_s=0.21 + 0.1 * k) for k in range(5)
    ]  # fmt: skip
    environment = Environment(started="2026-01-01T00:00:00+00:00", edge=this_machine(2), server=None,
                              server_address=None, shape="10 Mbps", weights="seeded:0: random", seed=0,
                              images="5 pictures")  # fmt: skip
    return make_report(plans(2), Outcome(results, [1000, 3000, 2000]), environment)


def test_a_report_reads_back_equal(report: RunReport, tmp_path: Path) -> None:
    report.save(tmp_path / "report.json")
    assert RunReport.load(tmp_path / "report.json") == report
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_file_has_the_promised_keys(report: RunReport) -> None:
    data = report.to_dict()
    assert data["schema"] == "lmos.report/1"
    assert set(data["measured"]) == set(STAGES) <= set(data["predicted"])
    assert data["measured"]["t_edge_s"] == pytest.approx({"mean": 0.2, "p50": 0.2, "p95": 0.38, "low": 0.0, "high": 0.4})
    assert data["measured"]["edge_memory_bytes"]["p50"] == 2000
    assert [image["class"] for image in data["per_image"]] == [0, 1, 2, 3, 4]
    assert (data["images"], data["lost"], data["retries"], data["fallbacks"]) == (5, 0, 0, 0)
    assert data["plan"] == report.plan.to_dict()
    assert data["environment"]["edge"]["versions"]["torch"].startswith(torch.__version__.partition("+")[0])


def test_how_often_the_plans_deadline_was_kept_is_reported(report: RunReport) -> None:
    """Lost images did not keep it; a plan without a promise has nothing to say."""
    latencies = sorted(image.latency_s for image in report.per_image)
    plan = report.plan.model_copy(update={"promise": Promise(deadline_s=latencies[2], confidence=0.9)})
    lost = [FailedImage(file="x.png", reason="gone", retries=0)]
    found = make_report(plan, Outcome(report.per_image, [1], failed=lost), report.environment)
    assert report.promise is None
    assert found.promise is not None
    assert (found.promise.kept, found.promise.images, found.promise.confidence) == (3, 6, 0.9)
    assert found.promise.low < 0.5 < found.promise.high
    assert RunReport.from_dict(found.to_dict()) == found
    assert "deadline of" in how_it_went(found)
    assert "kept by 3 of 6 images (50.0 %" in how_it_went(found)


def test_what_the_papers_count_of_memory_is_stands_below_the_table(report: RunReport) -> None:
    assert len(stage_rows(report.plan, report)[0]) == len(STAGE_COLUMNS)
    assert "sum, the paper's count" in str(memory_note(report.plan))
    setting = report.plan.setting.model_copy(update={"memory_model": "peak"})
    assert memory_note(report.plan.model_copy(update={"setting": setting})) is None


def test_an_objective_of_the_users_may_have_any_value(report: RunReport, tmp_path: Path) -> None:
    planned = {**report.plan.predicted, "price": 1e30}
    found = report.model_copy(update={"plan": report.plan.model_copy(update={"predicted": planned}), "predicted": planned})
    found.save(tmp_path / "report.json")
    assert RunReport.load(tmp_path / "report.json").predicted["price"] == 1e30


def test_errors_are_relative_to_the_measured_median_and_older_reports_have_them_too(report: RunReport) -> None:
    predicted = report.predicted
    assert report.errors["t_server_s"] == pytest.approx(predicted["t_server_s"] / 0.2 - 1)
    assert report.errors["t_edge_s"] == pytest.approx(predicted["t_edge_s"] / 0.2 - 1)
    assert set(report.errors) == set(STAGES)
    data = report.to_dict()
    del data["errors"]
    for spread in data["measured"].values():
        del spread["low"], spread["high"]
    old = RunReport.from_dict(data)
    new_rows, old_rows = stage_rows(report.plan, report), stage_rows(old.plan, old)
    assert [row[-1] for row in new_rows] == [row[-1] for row in old_rows]
    assert new_rows[2][:2] == ["t_server_s", format_time(predicted["t_server_s"])]
    assert new_rows[2][3:] == ["200.00 ms", "200.00 ms to 200.00 ms", "200.00 ms", f"{100 * report.errors['t_server_s']:+.1f} %"]
    assert old_rows[2][4] == ""
    assert [len(row) for row in stage_rows(report.plan, None)] == [3] * len(STAGES)


@pytest.mark.parametrize(("path", "value", "named"), [
    (("images",), -1, "images"), (("measured", "t_edge_s", "p50"), "fast", r"measured\.t_edge_s\.p50"),
    (("per_image", 0, "class"), 1.5, r"per_image\[0\]\.class"), (("schema",), "lmos.report/9", "schema"),
    (("plan", "x1"), None, r"plan\.x1"),
])  # fmt: skip
def test_a_bad_report_is_refused_with_the_path(
    report: RunReport, path: tuple[str | int, ...], value: object, named: str
) -> None:
    data = report.to_dict()
    *before, last = path
    target = data
    for part in before:
        target = target[part]  # type: ignore[index]
    target[last] = value  # type: ignore[index]
    with pytest.raises(InputError, match=named):
        RunReport.from_dict(data, "report.json")


def test_peak_memory_sees_what_is_gone_again() -> None:
    release()
    before = resident_bytes()
    with PeakMemory() as peak:
        torch.ones(25_000_000)
    release()
    assert 90e6 < peak.bytes - before < 130e6
    with PeakMemory() as later:
        torch.ones(1000)
    assert later.bytes - before < 50e6


def test_peak_memory_is_sampled_where_the_mark_cannot_be_reset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("runner.memory._CLEAR_REFS", tmp_path)
    release()
    before = resident_bytes()
    with PeakMemory() as peak:
        held = torch.ones(25_000_000)
        held.mul_(2).sum()
        del held
    assert 90e6 < peak.bytes - before < 130e6


def test_bundled_pictures_are_the_default(plans: Plans) -> None:
    images = find_images(network_of(plans(0)), None)
    assert "chelsea.png" in images.names
    assert images.load(0).shape == (1, 3, 8, 8)
    assert "bundled" in images.what


def test_a_network_that_takes_no_pictures_gets_the_same_numbers_again() -> None:
    network = network_of(Plans(FOUR_CHANNELS, shape=(1, 4, 8, 8))(0))
    one, other = find_images(network, None), find_images(network, None)
    assert "random" in one.what
    assert torch.equal(one.load(1), other.load(1))
    assert not torch.equal(one.load(0), one.load(1))


def test_pictures_of_a_folder_come_by_name(tmp_path: Path, plans: Plans) -> None:
    for name in ("b.png", "a.JPG", "c.txt"):
        Image.new("RGB", (20, 30)).save(tmp_path / name, format="png")
    assert find_images(network_of(plans(0)), tmp_path).names == ["a.JPG", "b.png"]


def test_a_broken_picture_is_named_before_anything_runs(tmp_path: Path, plans: Plans) -> None:
    Image.new("RGB", (20, 30)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(InputError, match=r"b\.png: is not a picture"):
        find_images(network_of(plans(0)), tmp_path)
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b\.png: is not a picture"):
        read_picture(tmp_path / "b.png")


def test_fault_18_bad_pictures_are_skipped_and_listed(tmp_path: Path, plans: Plans) -> None:
    for name in ("b.png", "d.png", "e.png"):
        Image.new("RGB", (20, 30)).save(tmp_path / name)
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:40])
    images = find_images(network_of(plans(0)), tmp_path, skip_bad=True)
    assert images.names == ["b.png", "d.png", "e.png"]
    assert [one.file for one in images.skipped] == ["a.png", "c.png"]
    assert images.skipped[0].reason == "is not a picture that can be read"
    assert images.what == f"3 pictures of {tmp_path}, 2 skipped"
    assert find_images(network_of(plans(0)), tmp_path, 1, skip_bad=True).names == ["b.png"]
    for name in ("b.png", "d.png", "e.png"):
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"has no picture that can be read; the first, a\.png: is not a picture"):
        find_images(network_of(plans(0)), tmp_path, skip_bad=True)


def test_a_network_that_takes_no_pictures_refuses_a_folder_of_them(tmp_path: Path) -> None:
    network = network_of(Plans(FOUR_CHANNELS, shape=(1, 4, 8, 8))(0))
    with pytest.raises(InputError, match="takes 1x4x8x8 float32, not pictures"):
        find_images(network, tmp_path)


def test_fault_08_an_own_networks_preprocessing_is_stated_and_can_be_changed(plans: Plans) -> None:
    network = network_of(plans(0))
    assert network.preprocessing is not None
    assert network.preprocessing.origin == "assumed"
    assert network.preprocessing.in_words == ("shorter side to 9 pixels (bilinear), centre 8x8, RGB, over 255, "
                                              "mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225")
    plain = network.preprocessing.model_copy(update={"mean": (0.0,) * 3, "std": (1.0,) * 3, "origin": "given"})
    found = find_images(network.model_copy(update={"preprocessing": plain}), None).load(0)
    assert 0 <= float(found.min()) < float(found.max()) <= 1


def test_fault_08_a_plan_without_preprocessing_reads_and_one_that_does_not_fit_is_refused(plans: Plans) -> None:
    document = plans(0).to_dict()
    old = {**document, "network": {k: v for k, v in document["network"].items() if k != "preprocessing"}}
    assert torch.equal(find_images(network_of(Plan.from_dict(old)), None).load(0), find_images(network_of(plans(0)), None).load(0))
    document["network"]["preprocessing"]["crop"] = [9, 9]
    with pytest.raises(InputError, match=r"preprocessing: makes 1x3x9x9 float32; input is 1x3x8x8 float32"):
        Plan.from_dict(document)
    document["network"]["preprocessing"] |= {"crop": [8, 8], "mean": [0.5], "scale": 0.0}
    with pytest.raises(InputError, match=r"mean: has 1 numbers; RGB has 3 channels.*scale: must be above 0"):
        Plan.from_dict(document)


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no pictures"):
        picture_files(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        picture_files(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        picture_files(tmp_path / "file")
