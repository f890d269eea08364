"""Pictures of fronts: real files of their kind, with what a reader needs in them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest

from lmos_opt import Front, InputError, Instance, NetworkProfile, bandwidth_policy, pareto_front
from lmos_opt.graph import INPUT
from lmos_opt.plots import style
from lmos_opt.plots.cuts import draw_cuts, save_cuts_plot
from lmos_opt.plots.front import PLAIN_RULES, choices, dominated, interactive_front, save_plot, some_cuts
from lmos_opt.plots.graph import draw_graph, lay_out, save_graph_plot
from lmos_opt.sources import Options, instance_of, load_source
from lmos_opt.split import Split, down_closed_sets
from lmos_opt.units import format_size
from tests.browser import CHROMIUM
from tests.lmos_opt.documents import chain_data, diamond_data, front_data, listed, profile_data

pytest.importorskip("matplotlib")


def front(**changes: object) -> Front:
    """Two points over latency and memory."""
    data = front_data() | {"complete": True, "reason": None}
    data["objectives"] = data["objectives"][:2]
    for point in data["points"]:
        del point["values"]["price"]
    return Front.from_dict(data | changes)


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
    data = front().to_dict()
    data["objectives"][0]["unit"] = name
    data["points"][1]["edge_layers"] = ["a", name]
    found = front(instance=name, objectives=data["objectives"], points=data["points"])
    assert found.plot().get_title() == f"{name}: 2 non-dominated splits"
    page = saved(tmp_path, suffix, found)
    assert b"</script><b>" not in page


@pytest.mark.parametrize("count", [1, 40])
def test_fronts_of_one_point_and_of_many(tmp_path, count):
    points = [{"values": {"latency": 1.0 + k, "memory": k}, "edge_layers": [], "x1": 0, "x2": 3}
              for k in range(count)]  # fmt: skip
    assert len(saved(tmp_path, ".png", front(points=points))) > 5000


def test_a_front_of_another_model_and_one_without_points(tmp_path):
    points = [{"values": {"latency": 1.0, "memory": 2}, "solution": {"x": 1.0}}]
    assert "chosen" in texts(front(points=points).plot(chosen=front(points=points).points[0]))
    assert len(saved(tmp_path, ".png", front(points=[]))) > 5000


@pytest.mark.parametrize("name", ["front", "front.jpg", "front.json", ".png"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"has (the|no) suffix.*; expected one of \.png, \.svg, \.pdf, \.html"):
        save_plot(front(), tmp_path / name)
    assert listed(tmp_path) == []


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_one_objective_has_no_picture(tmp_path, suffix):
    points = [{"values": {"latency": 1.0}, "edge_layers": [], "x1": 0, "x2": 3}]
    with pytest.raises(InputError, match="has no picture; expected two or more"):
        save_plot(front(objectives=front_data()["objectives"][:1], points=points), tmp_path / f"front{suffix}")
    assert listed(tmp_path) == []


def test_dominated_cuts_are_those_that_enumeration_finds_dominated():
    instance = instance_of(load_source("alexnet"), Options(bandwidth="20Mbps"))
    found = pareto_front(instance)
    cuts = some_cuts(instance)
    assert len(cuts) == 22
    values = {(split.times.latency_s, split.memory_bytes) for split in cuts}
    on_the_front = {(point.values["latency"], point.values["memory"]) for point in found.points}
    assert {*dominated(found, cuts)} == values - on_the_front
    drawn = {line.get_label(): line for line in found.plot(cuts=cuts).get_lines()}
    assert len(drawn["dominated cuts"].get_xdata()) == 22 - len(found.points)


def test_cuts_beyond_the_memory_limit_are_not_drawn():
    instance = Instance.from_dict(chain_data(memory_limit_bytes=14000))
    assert [len(split.edge) for split in some_cuts(instance)] == [0, 1, 2]


def test_of_a_graph_with_many_cuts_the_prefixes_are_drawn():
    instance = instance_of(load_source("inception_v3"), Options())
    cuts = some_cuts(instance)
    assert [len(split.edge) for split in cuts] == list(range(len(instance.layers) + 1))


def test_every_rules_choice_is_marked_and_rules_that_agree_share_a_mark():
    found = pareto_front(instance_of(load_source("vgg19"), Options()))
    marked = {rule: point for names, point in choices(found, PLAIN_RULES) for rule in names}
    assert marked == {rule: found.select(rule) for rule in PLAIN_RULES}
    labels = [text.get_text() for text in found.plot(rules=[*PLAIN_RULES, "slack:0"]).get_legend().get_texts()]
    assert "rule min_latency, slack:0" in labels


def test_rules_that_cannot_choose_are_left_out():
    found = front()
    assert choices(found, ["budget:0.1", "knees"]) == []
    assert [names for names, _ in choices(found, ["min_latency", "budget:0.1"])] == [["min_latency"]]


def test_three_objectives_are_parallel_coordinates():
    found = Front.from_dict(front_data())
    ax = found.plot(chosen=found.points[1])
    lines = [list(line.get_ydata()) for line in ax.get_lines() if len(line.get_xdata()) == 3]
    assert lines == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]  # at the top: the least latency and price, the most memory
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["latency (min)", "memory (max)", "price (min)"]
    assert {note.get_text() for note in ax.texts} == {"0.5 s", "1.5 s", "6500 MB", "0 MB", "-1.5 EUR", "2 EUR"}


def test_three_objectives_as_a_page(tmp_path):
    pytest.importorskip("plotly")
    page = saved(tmp_path, ".html", Front.from_dict(front_data())).decode()
    assert '"type":"parcoords"' in page
    assert '"label":"price (EUR, min)"' in page
    assert '"range":[2.0,-1.5]' in page  # the best at the top


def test_the_parts_of_every_cut_stand_on_each_other():
    instance = Instance.from_dict(chain_data())
    ax = draw_cuts(instance, chosen=2)
    heights = [sum(bar.get_height() for bar in bars) for bars in zip(*ax.containers, strict=True)]
    splits = [Split(instance, frozenset(instance.names[:n])) for n in range(4)]
    assert heights == pytest.approx([split.times.latency_s for split in splits])
    marks = {line.get_label(): list(line.get_xdata()) for line in ax.get_lines()}
    least = min(range(4), key=lambda n: splits[n].times.latency_s)
    assert marks == {f"least latency: x1 = {least}": [least], "chosen: x1 = 2": [2]}
    assert [c.get_label() for c in ax.containers] == ["edge", "link", "server"]


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_the_parts_of_every_cut_as_a_file(tmp_path, suffix):
    pytest.importorskip("plotly")
    save_cuts_plot(Instance.from_dict(chain_data()), tmp_path / f"c{suffix}")
    assert (tmp_path / f"c{suffix}").stat().st_size > 5000


def test_a_profile_shows_its_outputs_and_its_image():
    ax = NetworkProfile.from_dict(profile_data()).plot()
    assert [bar.get_height() for bar in ax.containers[0]] == pytest.approx([768e-6, 40e-6])
    assert ax.get_lines()[0].get_ydata()[0] == pytest.approx(768e-6)
    assert ax.get_ylabel() == "output (MB)"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["split", "fc"]


@pytest.mark.parametrize("data", [chain_data(), diamond_data()])
def test_the_cut_meets_every_tensor_that_crosses_and_nothing_else(data):
    instance = Instance.from_dict(data)
    for edge in down_closed_sets(instance):
        layout = lay_out(Split(instance, edge))
        left = {name for name, (x, _) in layout.nodes.items() if x < layout.cuts[0]}
        assert left == {INPUT, *edge}
        assert len({*layout.nodes.values()}) == len(layout.nodes)  # no two in one place
        assert all(layout.nodes[u][0] < layout.nodes[v][0] for u, v in instance.arcs)
        notes = [text.get_text() for text in draw_graph(instance, edge).texts]
        shown = sorted(note for note in notes if note.endswith("B"))
        assert shown == sorted(format_size(instance.tensor_bytes(name)) for name in instance.crossing(edge))


def test_a_large_graph_names_only_what_crosses(tmp_path):
    instance = instance_of(load_source("googlenet"), Options())
    chosen = pareto_front(instance).select("ideal")
    notes = [text.get_text() for text in draw_graph(instance, chosen.edge_layers).texts]
    assert {note.split(": ")[0] for note in notes} == {*instance.crossing(frozenset(chosen.edge_layers))}
    save_graph_plot(instance, chosen.edge_layers, tmp_path / "g.svg")
    assert ET.parse(tmp_path / "g.svg").getroot().tag.endswith("svg")
    with pytest.raises(InputError, match=r"has the suffix '\.html'"):
        save_graph_plot(instance, chosen.edge_layers, tmp_path / "g.html")


def test_a_set_that_is_not_down_closed_has_no_cut():
    with pytest.raises(InputError, match="is at the edge, but its input"):
        draw_graph(Instance.from_dict(chain_data()), ["b"])


PLOTLY = re.compile(r"<script[^>]*>/\*\*\n\* plotly.*?</script>", re.DOTALL)


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_interactive_pages_draw_in_wide_and_narrow_windows(tmp_path, page):
    pytest.importorskip("plotly")
    instance = instance_of(load_source("alexnet"), Options(bandwidth="20Mbps"))
    found = pareto_front(instance)
    save_plot(found, tmp_path / "front.html", found.points[1], cuts=some_cuts(instance), rules=PLAIN_RULES)
    save_plot(Front.from_dict(front_data()), tmp_path / "parallel.html")
    save_cuts_plot(instance, tmp_path / "cuts.html")
    page.open((tmp_path / "cuts.html").as_uri(), width=400)
    for file in ("cuts.html", "front.html", "parallel.html"):
        page.resize(400)
        if file != "cuts.html":  # in the first one's place, with its plotly, which takes seconds to read
            page.write(PLOTLY.sub("", (tmp_path / file).read_text(), count=1))
        page.wait_for("document.querySelector('.main-svg') && document.querySelector('.gtitle')")
        for width in (400, 1280):
            page.resize(width)
            page.wait_for(f"(w => w > {width} / 2 && w <= {width})(document.querySelector('.main-svg').clientWidth)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, file
            assert page.evaluate("document.querySelector('.gtitle').getBoundingClientRect().right") <= width, file
    assert page.errors == []


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", [r"cost in $ and $_ </script><b>net</b> 神经网络 ☃ %s {} \\", r"$\frac$"])
def test_names_of_layers_are_drawn_as_they_are(tmp_path, name):
    data = chain_data(name=name)
    data["layers"][0]["name"], data["layers"][1]["inputs"] = name, [name]
    instance = Instance.from_dict(data)
    save_graph_plot(instance, [name], tmp_path / "g.svg")
    save_cuts_plot(instance, tmp_path / "c.svg")
    profile = profile_data() | {"name": name}
    profile["layers"][0]["name"], profile["layers"][1]["inputs"] = name, [name]
    style.save(tmp_path / "l.svg", lambda: NetworkProfile.from_dict(profile).plot())
    for file in tmp_path.iterdir():
        assert len(list(ET.parse(file).iter("{http://www.w3.org/2000/svg}path"))) > 10
    assert name in [text.get_text() for text in draw_graph(instance, [name]).texts]


BUNDLED = sorted(file.stem for file in (Path(__file__).parents[3] / "data" / "profiles").glob("*.json"))


def boxes(ax) -> dict[str, object]:
    """Every text that is drawn, and where, in pixels."""
    figure = ax.figure
    figure.draw_without_rendering()
    ticks = [*ax.get_xticklabels(), *ax.get_yticklabels()]
    legend = ax.get_legend().get_texts() if ax.get_legend() else []
    texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *legend, *ticks, *ax.texts]
    view = ax.get_window_extent().padded(1)
    found = {}
    for k, text in enumerate(texts):
        box = text.get_window_extent()
        inside = text not in ticks or view.overlaps(box.padded(8))  # ticks outside the view are not drawn
        if text.get_visible() and text.get_text() and inside:
            found[f"{k}: {text.get_text()}"] = box
    return found


def assert_apart(ax) -> None:
    found = boxes(ax)
    whole = ax.figure.bbox.padded(0.5)
    for name, box in found.items():
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, name
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, name
    for (one, a), (other, b) in combinations(found.items(), 2):
        assert not a.overlaps(b), (one, other)


BANDWIDTHS_MBPS = (1, 10, 50, 200)


@pytest.mark.parametrize(("name", "mbps"), [(name, BANDWIDTHS_MBPS[k % 4]) for k, name in enumerate(BUNDLED[::5])])
def test_labels_of_a_front_lie_apart_and_inside_the_figure(name, mbps):
    check_labels(name, mbps)


@pytest.mark.slow
@pytest.mark.parametrize("mbps", BANDWIDTHS_MBPS)
@pytest.mark.parametrize("name", BUNDLED)
def test_labels_of_every_front_lie_apart_and_inside_the_figure(name, mbps):
    check_labels(name, mbps)


def check_labels(name: str, mbps: float) -> None:
    instance = instance_of(load_source(name), Options()).replace(bandwidth_bytes_per_s=mbps * 125000.0)
    found = front_of([Split(instance, frozenset(instance.names[:n])) for n in range(len(instance.names) + 1)], name)
    ax = found.plot(chosen=found.select("knee"), rules=PLAIN_RULES)
    assert_apart(ax)
    if len(found.points) <= 100:
        placed = [note for note in ax.texts if note.get_visible()]
        assert len(placed) >= min(len(found.points), 8) - 2, [note.get_text() for note in placed]


def front_of(splits: list[Split], name: str) -> Front:
    """The front of some splits over latency and memory."""
    values = sorted({(split.times.latency_s, -split.memory_bytes, len(split.edge)) for split in splits})
    points: list[dict[str, object]] = []
    for latency, less, x1 in values:
        if not points or -less > points[-1]["values"]["memory"]:
            points.append({"values": {"latency": latency, "memory": -less}, "edge_layers": [f"v{k}" for k in range(x1)], "x1": x1,
                           "x2": len(splits) - 1 - x1})
    return front(instance=name, points=points)


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v2"])
def test_names_in_a_policys_picture_lie_apart_and_inside_the_figure(name):
    for rule in ("knee", "min_latency", "slack:50"):
        assert_apart(bandwidth_policy(instance_of(load_source(name), Options()), rule).plot())


def test_three_objectives_labels_lie_apart_and_inside_the_figure():
    assert_apart(Front.from_dict(front_data()).plot(label="mine"))
    assert_apart(pareto_front(instance_of(load_source("alexnet"), Options()), ["latency", "memory", "tx_bytes"]).plot())


def test_a_front_is_drawn_as_steps_since_no_split_lies_between_two_points():
    ax = front().plot()
    line = next(line for line in ax.get_lines() if line.get_label() == "Pareto front")
    assert line.get_drawstyle() == "steps-post"
    go = pytest.importorskip("plotly.graph_objects")
    traces = {trace.name: trace for trace in interactive_front(front()).data}
    assert isinstance(traces["Pareto front"], go.Scatter)
    assert traces["Pareto front"].line.shape == "hv"


def test_fronts_in_one_picture_take_turns_in_colours_and_share_a_legend():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    for _ in range(2):
        front().plot(ax)
    front().plot(ax, color="red", label="mine")
    front(complete=False, reason="time limit").plot(ax, label="part")
    lines = [line for line in ax.get_lines() if line.get_drawstyle() == "steps-post"]
    assert [line.get_color() for line in lines] == [style.FRONTS[0], style.FRONTS[1], "red", style.FRONTS[3]]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Pareto front", "ideal point", "nadir point", "Pareto front 2", "mine", "part (incomplete)"]
    assert ax.get_title() == "4 Pareto fronts"
    assert [note.get_color() for note in ax.texts][:: len(front().points)] == ["black", style.FRONTS[1], "red", style.FRONTS[3]]
    assert_apart(ax)
    assert len({*style.FRONTS}) == len(style.FRONTS) > 4
    ax.set_xlabel("energy (J, min)")
    with pytest.raises(InputError, match="ax: shows fronts over energy"):
        front().plot(ax)


def test_parallel_coordinates_take_a_colour_and_a_label_and_stand_alone():
    found = Front.from_dict(front_data())
    ax = found.plot(color="red", label="mine")
    assert [line.get_color() for line in ax.get_lines()][:2] == ["red", "red"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mine"]
    with pytest.raises(InputError, match="ax: holds a picture already"):
        found.plot(ax)


def test_a_number_and_its_noun_agree_in_a_title():
    assert front(points=front().to_dict()["points"][:1]).plot().get_title() == "toy: 1 non-dominated split"


def test_a_long_title_stays_inside_the_figure():
    assert_apart(front(instance="a-very-long-name-" * 8, complete=False, reason="the time limit of 60 s was reached").plot())


def test_the_legend_does_not_lie_on_the_steps():
    """Two points far apart: the only line goes along the bottom and up the right side."""
    found = Front.from_dict({
        "schema": "lmos.front/1", "instance": "steep", "solves": 2, "seconds": 0.1, "solver": {"name": "highs", "version": "1"},
        "objectives": [{"name": "latency", "unit": "s", "sense": "min"}, {"name": "memory", "unit": "B", "sense": "max"}],
        "points": [{"values": {"latency": x, "memory": y}, "edge_layers": [], "x1": 0, "x2": 1} for x, y in ((6, 0), (12, 700))],
    })  # fmt: skip
    ax = found.plot()
    ax.figure.canvas.draw()
    box = ax.get_legend().get_window_extent()
    corner = ax.transData.transform([(12, 0), (12, 700)])
    assert not box.x0 <= corner[0][0] <= box.x1
    assert box.y0 > corner[0][1]
