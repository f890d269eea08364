"""Pictures of fronts: real files of their kind, with what a reader needs in them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lmos_opt import Front, InputError
from lmos_opt.plotting import save_plot
from tests.lmos_opt.documents import front_data, listed

pytest.importorskip("matplotlib")


def front(**changes: object) -> Front:
    return Front.from_dict(front_data() | {"complete": True, "reason": None} | changes)


def texts(ax) -> list[str]:
    return [ax.get_title(), ax.get_xlabel(), ax.get_ylabel(), *(t.get_text() for t in ax.get_legend().get_texts())]


def test_axes_carry_the_points_their_units_and_the_chosen_one():
    found = front()
    ax = found.plot(chosen=found.points[1])
    drawn = {line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in ax.get_lines()}
    assert drawn["Pareto front"] == [(0.5, 0.0), (1.5, 6500.0)]  # seconds, megabytes
    assert drawn["ideal point"] == [(0.5, 6500.0)]
    assert drawn["nadir point"] == [(1.5, 0.0)]
    assert drawn["chosen: 2 layers at the edge"] == [(1.5, 6500.0)]
    assert texts(ax)[:3] == ["toy: 2 non-dominated splits", "latency (s, min)", "memory (MB, max)"]
    assert [note.get_text() for note in ax.texts] == ["0", "2"]


def test_it_draws_into_axes_that_are_there():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert front().plot(ax) is ax


def saved(tmp_path: Path, suffix: str, found: Front) -> bytes:
    file = tmp_path / f"front{suffix}"
    save_plot(found, file, found.points[0] if found.points else None)
    assert listed(tmp_path) == [file.name]
    return file.read_bytes()


def test_png(tmp_path):
    data = saved(tmp_path, ".png", front())
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20], "big") == 1050
    from matplotlib.image import imread

    assert imread(tmp_path / "front.png").std() > 0.05  # something is drawn


def test_pdf(tmp_path):
    data = saved(tmp_path, ".pdf", front())
    assert data.startswith(b"%PDF-1.")
    assert data.rstrip().endswith(b"%%EOF")
    assert len(data) > 5000


def test_svg(tmp_path):
    root = ET.fromstring(saved(tmp_path, ".svg", front()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 20


def test_html_is_one_file_that_needs_no_network(tmp_path):
    pytest.importorskip("plotly")
    page = saved(tmp_path, ".html", front()).decode()
    assert "toy: 2 non-dominated splits" in page
    assert "last at the edge: b" in page
    assert '<script src="http' not in page
    assert len(page) > 10**6  # plotly itself


def test_the_suffix_may_be_written_large(tmp_path):
    assert saved(tmp_path, ".PNG", front()).startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".svg", ".html"])
def test_a_partial_front_says_so(tmp_path, suffix):
    found = front(complete=False, reason="time limit")
    assert found.plot().get_title() == "toy: 2 non-dominated splits (incomplete: time limit)"
    if suffix == ".html":
        pytest.importorskip("plotly")
        assert "(incomplete: time limit)" in saved(tmp_path, suffix, found).decode()


@pytest.mark.filterwarnings("ignore:Glyph")  # not every font has every sign
@pytest.mark.parametrize("suffix", [".png", ".html"])
@pytest.mark.parametrize("name", ["cost in $ and $_", r"$\frac$", "</script><b>net</b>", "神经网络 ☃", "%s {} \\"])
def test_names_are_drawn_as_they_are(tmp_path, suffix, name):
    data = front_data()
    data["objectives"][0]["unit"] = name
    data["points"][1]["edge_layers"] = ["a", name]
    found = front(instance=name, objectives=data["objectives"], points=data["points"])
    assert found.plot().get_title() == f"{name}: 2 non-dominated splits"
    page = saved(tmp_path, suffix, found)
    assert b"</script><b>" not in page


@pytest.mark.parametrize("count", [1, 40])
def test_fronts_of_one_point_and_of_many(tmp_path, count):
    points = [{"values": {"latency": 1.0 + k, "memory": k, "price": -k}, "edge_layers": [], "x1": 0, "x2": 3}
              for k in range(count)]  # fmt: skip
    assert len(saved(tmp_path, ".png", front(points=points))) > 5000


def test_a_front_of_another_model_and_one_without_points(tmp_path):
    points = [{"values": {"latency": 1.0, "memory": 2, "price": 3}, "solution": {"x": 1.0}}]
    assert "chosen" in texts(front(points=points).plot(chosen=front(points=points).points[0]))
    assert len(saved(tmp_path, ".png", front(points=[]))) > 5000


@pytest.mark.parametrize("name", ["front", "front.jpg", "front.json", ".png"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"has the suffix .*; expected one of \.png, \.svg, \.pdf, \.html"):
        save_plot(front(), tmp_path / name)
    assert listed(tmp_path) == []


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_one_objective_has_no_picture(tmp_path, suffix):
    points = [{"values": {"latency": 1.0}, "edge_layers": [], "x1": 0, "x2": 3}]
    with pytest.raises(InputError, match="has no picture; expected two or more"):
        save_plot(front(objectives=front_data()["objectives"][:1], points=points), tmp_path / f"front{suffix}")
    assert listed(tmp_path) == []
