"""Pictures along a path: a bar's parts, the fastest cut of each x1, and the graph with a cut a hop."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest

from lmos.bench.random_instances import random_instance, with_places, with_results
from lmos_opt import InputError, Instance, bandwidth_policy, pareto_front
from lmos_opt.plots.cuts import draw_cuts, interactive_cuts
from lmos_opt.plots.front import some_cuts
from lmos_opt.plots.graph import draw_graph, lay_out, save_graph_plot
from lmos_opt.plots.stages import fastest_cuts, parts_of
from lmos_opt.split import Split, all_splits
from tests.lmos_opt.documents import path_data

pytest.importorskip("matplotlib")


def along(seed: int, k: int, most: int = 8) -> Instance:
    return with_places(with_results(random_instance(seed, most, style="realistic"), seed), seed, k)


@pytest.fixture
def path() -> Instance:
    return Instance.from_dict(path_data())


@pytest.mark.parametrize("seed", range(12))
def test_a_bar_is_the_fastest_cut_with_so_many_layers_at_the_first_place(seed):
    instance = along(seed, 2 + seed % 3)
    least: dict[int, float] = {}
    for numbers in combinations_with_replacement(range(len(instance.layers) + 1), len(instance.hops)):
        split = Split.of(instance, [frozenset(instance.names[:n]) for n in numbers])
        least[numbers[0]] = min(least.get(numbers[0], 1e9), split.times.latency_s)
    found = fastest_cuts(instance)
    assert [len(split.edge) for split in found] == [*range(len(instance.layers) + 1)]
    assert [split.times.latency_s for split in found] == pytest.approx([least[n] for n in range(len(found))], rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_parts_of_a_split_add_up_to_its_latency(seed):
    instance = along(seed, 2 + seed % 3, 4)
    parts = parts_of(instance)
    assert len({part.colour for part in parts}) == len(parts)
    for split in all_splits(instance):
        assert sum(part.of(split.times) for part in parts) == pytest.approx(split.times.latency_s, rel=1e-12)


def test_the_parts_of_a_path_stand_on_each_other_in_its_order(path):
    path = path.with_hop(1, back_bytes_per_s=1e6)
    ax = draw_cuts(path, chosen=Split.at(path, (("a",), ("b",))))
    assert [c.get_label() for c in ax.containers] == ["phone", "hop 1", "box", "hop 2", "cloud", "way back"]
    heights = [sum(bar.get_height() for bar in bars) for bars in zip(*ax.containers, strict=True)]
    assert heights == pytest.approx([0.383, 1.252, 3.0])
    marks = {line.get_label(): line.get_ydata()[0] for line in ax.get_lines()}
    assert marks == pytest.approx({"least latency: 0, 0, 2 layers": 0.383, "chosen: 1, 1, 0 layers": 1.501})
    assert ax.get_title().replace("\n", " ") == "toy: the fastest cut of each x1 along phone > 8 Mbps > box > 8 Mbps > cloud"
    pytest.importorskip("plotly")
    assert [bar.name for bar in interactive_cuts(path).data][:6] == [c.get_label() for c in ax.containers]


@pytest.mark.parametrize("seed", range(6))
def test_each_cut_meets_what_crosses_its_hop_and_nothing_else(seed):
    instance = along(seed, 3, 5)
    for split in list(all_splits(instance))[::3]:
        layout = lay_out(split)
        for before, cut in zip(split.upto, layout.cuts, strict=True):
            assert {name for name, (x, _) in layout.nodes.items() if x < cut} == {*instance.inputs, *before}
        assert list(layout.cuts) == sorted(layout.cuts)
        assert len({*layout.nodes.values()}) == len(layout.nodes)
        shown = [text.get_text() for text in draw_graph(instance, split.places).texts if text.get_text().endswith("B")]
        assert len(shown) == sum(len(instance.crossing(before)) for before in split.upto)


def test_a_graph_has_each_places_colour(path, tmp_path):
    ax = draw_graph(path, (("a",), (), ("b",)))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["input (1)", "at phone (1)", "at cloud (1)", "cut"]
    assert ax.get_title().replace("\n", " ") == "toy: 1 at phone, 0 at box, 1 at cloud; 1.0 kB, 1.0 kB cross"
    save_graph_plot(path, [["a", "b"], [], []], tmp_path / "g.svg")
    with pytest.raises(InputError, match="has 3 places, not 1"):
        draw_graph(path, ["a"])


def test_pictures_of_a_front_count_every_place(path):
    front = pareto_front(path)
    ax = front.plot(chosen=front[1], cuts=some_cuts(path))
    assert {"0, 0", "1, 0", "2, 0"} <= {text.get_text() for text in ax.texts}
    assert "chosen: 1, 0, 1 layers at the places" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(some_cuts(path)) == 6


def test_a_policys_picture_has_steps_for_each_hop(path):
    ax = bandwidth_policy(path, "min_latency", 100.0, 1e6, hop=2).plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["up to place 2", "up to place 1"]
    assert ax.get_xlabel() == "bandwidth of hop 2 (Mbps)"
