"""`lmos reproduce`: the paper's numbers, the statements that must hold, resuming, provenance, and a page that needs no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from lmos import exchange, profiles
from lmos import paper as experiments
from lmos.cli import main
from lmos.paper.making import measured
from lmos.paper.making.lab import Lab, file_digest
from lmos.paper.making.rules import PAPER_LATENCY_S, nearest
from lmos.paper.making.sensitivity import RULES, VALUES
from lmos.paper.making.synthetic import SIZES, synthetic
from lmos.paper.making.trends import PARAMETERS, PROSE, holds, observed, theory
from lmos_opt import Instance, NetworkProfile
from lmos_opt.cache import Cache
from lmos_opt.data import bundled, data_dir
from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import memory_sum
from lmos_opt.sweep import sweep
from runner.wire.connecting import format_address
from tests import warm

NAMES = [*(f"fig{k}" for k in range(1, 8)), *(f"table{k}" for k in range(1, 5))]
ROOT = Path(__file__).parents[3]
DEFAULTS = {"bandwidth": 10, "edge_storage": 8000, "edge_cores": 2, "edge_clock": 1.5, "server_cores": 8, "server_clock": 2.6}


@pytest.fixture
def lab(tmp_path):
    return Lab(Cache(tmp_path / "cache"), jobs=1)


def test_there_is_one_experiment_a_figure_and_table():
    assert experiments.names() == NAMES
    for name in NAMES:
        experiment = experiments.get(name)
        assert experiment.name == name
        assert (experiment.draw is not None) == name.startswith("fig")


def test_the_papers_numbers_are_what_the_networks_say(lab):
    for line in lab.paper("networks").itertuples():
        profile = NetworkProfile.load(bundled("profiles", line.network, "network"))
        assert len(profile.layers) == line.layers
    table3 = lab.paper("table3")
    eco = table3[table3["approach"] == "ECO"].set_index("network")["edge_layers"]
    assert eco.to_dict() == {"alexnet": 21, "vgg13": 32, "vgg16": 38, "vgg19": 44}
    table4 = lab.paper("table4").set_index(["configuration", "quantity"])["value"]
    assert table4["VGG19 with LMOS", "latency"] == PAPER_LATENCY_S
    assert len(lab.paper("table2")) == 32
    table1 = lab.paper("table1").set_index("parameter")
    assert {name: (min(values), max(values)) for name, values in VALUES.items()} == {
        name: (row["least"], row["most"]) for name, row in table1.iterrows()}
    assert table1["default"].to_dict() == DEFAULTS
    assert {*PARAMETERS} == {*VALUES} == {*PROSE} == {*DEFAULTS}


def test_nearest_counts_layers():
    cells = pd.DataFrame({"rule": ["a", "a", "b", "b"], "paper": [3, 5, 3, 5], "ours": pd.array([3, 9, 4, None], dtype="Int64"),
                          "layers": [10, 10, 10, 30]})
    cells["difference"] = cells["ours"] - cells["paper"]
    found = nearest(cells).set_index("rule")
    assert found.loc["a"].tolist() == [4, 2.0, 1, 2, 0]
    assert found.loc["b"].tolist() == [1 + 25, 13.0, 0, 2, 1]  # no split: as far off as it could be


def test_synthetic_networks_are_as_stated():
    for size in SIZES:
        instance = synthetic(size, 0, DEFAULTS)
        assert len(instance.layers) == size
        assert instance.is_chain
        assert instance == synthetic(size, 0, DEFAULTS)
        assert instance != synthetic(size, 1, DEFAULTS)
        for layer in instance.layers:
            assert 2e6 <= layer.weight_bytes <= 22e6
            assert 0.005e9 / 3e9 <= layer.t_edge_s <= 0.085e9 / 3e9
            assert layer.t_edge_s / layer.t_server_s == pytest.approx(8 * 2.6 / (2 * 1.5))
    small = synthetic(10, 0, DEFAULTS)
    assert memory_sum(small, frozenset(small.names)) < 256e6  # the smallest storage of table 1


def test_series_are_read_right():
    assert observed([3, 3, 3]) == "same"
    assert observed([None, 0, 4, 4]) == "never fewer"
    assert observed([4, 2]) == "never more"
    assert observed([1, 2, 1]) == "both ways"
    assert holds("never fewer", "same")
    assert not holds("never fewer", "never more")
    assert not holds("same", "never fewer")


def series(parameter, seeds, sizes=(10, 14)):
    """Edge layers by rule, along a parameter, each from an exact front."""
    found = {}
    for seed in seeds:
        for size in sizes:
            # a link and a server slow enough, and a storage small enough, that every parameter matters to 10 layers
            base = {**DEFAULTS, "bandwidth": 20, "edge_storage": 120, "server_cores": 4}
            cases = [synthetic(size, seed, {**base, parameter: value})
                     for value in ((30, 60, 120, 250) if parameter == "edge_storage" else VALUES[parameter])]
            rules = ("lmos", "knee", "ideal", "min_latency", "slack:50", "budget:0.15")
            frame = sweep(cases, rules, jobs=1)
            for rule, part in frame.groupby("rule", sort=False):
                found.setdefault(rule, []).append(part)
    return found


def counts(part):
    return [None if pd.isna(n) else int(n) for n in part["x1"]]


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_the_trends_that_theory_promises_hold_on_exact_fronts(parameter):
    moved = set()
    for rule, parts in series(parameter, range(3)).items():
        for part in parts:
            must, seen = theory(parameter, rule), observed(counts(part))
            assert must is None or holds(must, seen), (parameter, rule, counts(part))
            if seen != "same":
                moved.add(rule)
    assert moved  # a statement about what never moves would say nothing


def test_under_least_latency_more_bandwidth_means_more_bytes_and_not_more_layers():
    parts = series("bandwidth", range(3))["min_latency"]
    for part in parts:
        assert part["crossing_bytes"].is_monotonic_increasing
    assert any(observed(counts(part)) == "never more" for part in parts)  # the opposite of the paper's prose


def test_a_faster_server_may_mean_more_layers_within_a_budget():
    """The opposite of the paper's prose, and what theory promises."""
    cases = [synthetic(20, 2, {**DEFAULTS, "bandwidth": 50, "server_cores": cores}) for cores in (1, 2, 4, 8)]
    assert counts(sweep(cases, ["budget:0.3"], jobs=1)) == [None, 0, 15, 17]


def reproduce(output, *names):
    return main(["reproduce", *names, "-o", str(output), "--jobs", "1", "--no-measure"])


def test_tables_stand_beside_the_paper_and_are_the_same_bytes_again(tmp_path, capsys):
    assert reproduce(tmp_path, "table1", "table4") == 0
    first = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    assert {*first} == {"table1.csv", "table4.csv"}
    for name in first:
        assert {"paper", "ours"} <= {*pd.read_csv(tmp_path / name).columns}
    assert reproduce(tmp_path, "table1", "table4") == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")} == first
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "table1:" in printed.err
    assert re.search(r"table4: .* 0 results computed", printed.err)


def test_table4_is_within_15_percent_and_names_every_rule(lab):
    frame = experiments.get("table4").run(lab).frame
    whole = frame[frame["configuration"].isin(["VGG19 No Split", "MobileNetV2"]) & (frame["quantity"] == "latency")]
    assert len(whole) == 4
    assert (whole["difference_percent"].abs() < 15).all()
    split = frame[(frame["configuration"] == "VGG19 with LMOS") & (frame["quantity"] == "memory")]
    assert sorted(set(split["paper"])) == [27.03]
    assert len(split) == 2 * 7
    literal = split[(split["rule"] == "lmos") & (split["memory_model"] == "sum")].iloc[0]
    vgg19 = Instance.from_profile(NetworkProfile.load(bundled("profiles", "vgg19", "network")))
    assert literal["ours"] == memory_sum(vgg19, frozenset(vgg19.names)) / 1e6


def test_table3_is_what_the_approaches_are(lab):
    frame = experiments.get("table3").run(lab).frame.set_index(["approach", "network"])
    assert frame.loc["ECO", "difference"].eq(0).all()
    assert frame.loc["SCO", "ours"].eq(0).all()
    assert frame.loc["LOA", "ours"].tolist() == frame.loc["Neurosurgeon", "ours"].tolist() == frame.loc["DADS", "ours"].tolist()
    random = frame.loc["RS"]
    assert (random["trials"] == 100).all()
    assert (random["latency_sd"] > 0).all()
    assert (frame.loc["SCO, JPEG", "latency_s"] < frame.loc["SCO", "latency_s"]).all()


def test_the_page_shows_what_there_is_and_needs_no_network(tmp_path):
    assert reproduce(tmp_path, "table1", "fig1") == 0
    page = (tmp_path / "index.html").read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert not re.search(r"<(script|link|iframe)|@import|url\(", page)
    assert page.count("data:image/png;base64,") == 1
    for name in NAMES:
        assert f'id="{name}"' in page
    assert page.count("Not made in this folder yet") == len(NAMES) - 2
    assert reproduce(tmp_path, "table4") == 0  # adds to the page
    page = (tmp_path / "index.html").read_text()
    assert page.count("Not made in this folder yet") == len(NAMES) - 3
    for file in re.findall(r'href="([^"#]+)"', page):
        assert (tmp_path / file).exists()


def test_provenance_stands_beside_each_output(tmp_path):
    assert reproduce(tmp_path, "fig1") == 0
    account = json.loads((tmp_path / "fig1.provenance.json").read_text())
    assert account["outputs"] == {name: file_digest(tmp_path / name) for name in ("fig1.csv", "fig1.png")}
    assert account["data"]["devices/rpi4.json"] == file_digest(data_dir() / "devices" / "rpi4.json")
    assert account["solver"]["name"] == "highs"
    assert account["seed"] == 0
    assert {"python", "lmos", "pyomo", "highspy", "numpy"} <= {*account["versions"]}
    assert account["code"].startswith("sha256:")
    assert {"command", "commit", "cpu"} <= {*account}


def test_unknown_names_and_places_are_one_line(tmp_path, capsys):
    assert reproduce(tmp_path / "out", "fig8") == 2
    assert not (tmp_path / "out").exists()
    assert "'fig8' is not an experiment; there are fig1," in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert reproduce(tmp_path / "file", "table1") == 2
    assert "cannot be a folder" in capsys.readouterr().err
    with pytest.raises(InputError):
        experiments.get("nope")


@pytest.mark.process
def test_a_killed_run_goes_on_and_computes_nothing_twice(tmp_path):
    command = [sys.executable, "-m", "lmos", "reproduce", "table2", "--no-measure", "--jobs", "1", "-o"]
    killed, fresh = tmp_path / "killed", tmp_path / "fresh"
    with warm.begun([*command, str(killed)], cwd=ROOT, stderr=warm.DEVNULL) as process:
        while len(list((killed / "cache").glob("front-*.json"))) < 5 and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    kept = {path: path.stat().st_mtime_ns for path in (killed / "cache").glob("front-*.json")}
    torn = set(killed.rglob("*.part"))  # what it was writing when it was killed
    assert len(kept) >= 5
    assert not (killed / "table2.csv").exists(), "it was too fast to be killed in the middle"
    for folder in (killed, fresh):
        assert reproduce(folder, "table2") == 0
    assert (killed / "table2.csv").read_bytes() == (fresh / "table2.csv").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    accounts = [json.loads((folder / "table2.provenance.json").read_text()) for folder in (killed, fresh)]
    assert accounts[1]["results_computed"] - accounts[0]["results_computed"] == len(kept)
    assert set(killed.rglob("*.part")) <= torn


def run_without(missing, *arguments):
    program = (f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
               "from lmos.cli import main; sys.exit(main(sys.argv[1:]))")
    return subprocess.run([sys.executable, "-c", program, "reproduce", *arguments, "--no-measure", "--jobs", "1"],
                          cwd=ROOT, capture_output=True,
                          text=True, check=False)


@pytest.mark.process
def test_without_torch_figure_4_says_so_and_the_rest_is_made(tmp_path):
    missing = ("torch", "torchvision", "safetensors", "PIL", "sklearn")
    done = run_without(missing, "table1", "table4", "fig4", "-o", str(tmp_path))
    assert done.returncode == 1
    assert (tmp_path / "table4.csv").exists()
    assert done.stderr.splitlines()[-1] == ("lmos: figure 4, which runs networks, needs the extra 'torch': "
                                            "pip install 'lmos[torch]'")
    assert not (tmp_path / "fig4.csv").exists()


@pytest.mark.process
def test_without_matplotlib_there_are_numbers_and_a_page(tmp_path):
    done = run_without(("matplotlib",), "fig1", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "no picture: a picture needs the extra 'plots'" in done.stderr
    assert (tmp_path / "fig1.csv").exists()
    assert not (tmp_path / "fig1.png").exists()
    assert (tmp_path / "index.html").exists()


def test_jpegs_weigh_what_the_table_says():
    pytest.importorskip("PIL")
    from lmos.paper.making.jpeg import jpeg_bytes

    table = pd.read_csv(data_dir() / "pictures" / "jpeg224.csv")
    for line in table.itertuples():
        assert jpeg_bytes(data_dir() / "pictures" / line.picture) == pytest.approx(line.bytes, rel=0.1)


@pytest.fixture(scope="module")
def trained():
    """The digits, and the network trained on them, as figure 4 has it."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from lmos.paper.making import digits
    from lmos.paper.making.accuracy import classifier

    data = digits.load_digits()
    return data, classifier("digits", digits.trained(data, 0), data.test, [frozenset({int(k)}) for k in data.test_classes])


def test_the_network_of_figure_4_has_learnt(trained):
    from lmos.paper.making.accuracy import correct

    _, classifier = trained
    assert correct(classifier, classifier.logits) / len(classifier.inputs) > 0.9


def test_no_cut_changes_a_prediction_or_a_bit_and_a_wrong_crossing_is_caught(trained):
    from lmos.paper.making.accuracy import as_it_is, check, rolled

    _, classifier = trained
    for cut in range(len(classifier.layers) + 1):
        right, wrong = check(classifier, cut, as_it_is, rolled)
        assert (right.changed, right.differing) == (0, 0)
        assert (wrong.changed > 0) == (cut > 0)  # the image has one channel, and rolling one changes nothing
        assert wrong.differing >= wrong.changed


@pytest.mark.slow
def test_training_is_the_same_again(trained):
    import torch

    from lmos.paper.making import digits

    data, classifier = trained
    again, other = digits.trained(data, 0), digits.trained(data, 1)
    with torch.inference_mode():
        assert torch.equal(again(data.test), classifier.logits)
        assert not torch.equal(other(data.test), classifier.logits)


@pytest.mark.slow
@pytest.mark.process
def test_all_of_it_twice(tmp_path):
    """Everything in an empty folder, and again in another: the same CSVs and PNGs, and every promise kept."""
    for folder in ("one", "two"):
        subprocess.run([sys.executable, "-m", "lmos", "reproduce", "--no-measure", "-o", str(tmp_path / folder)],
                       cwd=ROOT, check=True,
                       capture_output=True)
    one, two = tmp_path / "one", tmp_path / "two"
    made = sorted(path.name for suffix in ("csv", "png") for path in one.glob(f"*.{suffix}"))
    assert made == sorted([f"{name}.csv" for name in NAMES] + [f"{name}.png" for name in NAMES if name.startswith("fig")])
    assert {name: (one / name).read_bytes() for name in made} == {name: (two / name).read_bytes() for name in made}
    for name in ("fig2", "fig3"):
        frame = pd.read_csv(one / f"{name}.csv")
        assert {*frame["rule"]} == {*RULES}
        for (parameter, rule, _), part in frame.groupby(["parameter", "rule", "layers"]):
            must = theory(parameter, rule)
            seen = observed([None if pd.isna(n) else int(n) for n in part.sort_values("value")["ours"]])
            assert must is None or holds(must, seen), (parameter, rule)
    accuracy = pd.read_csv(one / "fig4.csv")
    assert {*accuracy["network"]} == {"squeezenet1_1", "digits"}
    assert (accuracy["changed"] == 0).all()
    assert (accuracy["differing"] == 0).all()
    assert (accuracy[accuracy["network"] == "squeezenet1_1"]["rolled_differing"] > 0).all()
    assert "Not made in this folder yet" not in (one / "index.html").read_text()


@pytest.mark.process
def test_what_is_measured_stands_beside_what_was_predicted_and_is_kept(one_server, tmp_path, monkeypatch):
    """SqueezeNet with trained weights, cut in two processes: no image gets another class than from the whole network."""
    for module in (measured, exchange):
        monkeypatch.setattr(module, "server_process", lambda *_: nullcontext(format_address(one_server.address)))
    monkeypatch.setattr(profiles, "time_profile", partial(profiles.time_profile, precision=1.0, budget_s=0.2))
    runs = [measured.Run("squeezenet1_1", f"cut:{n}", 2) for n in (22, 66)]
    monkeypatch.setitem(measured.RUNS, "fig4", lambda full: runs)
    lab = Lab(Cache(tmp_path))
    frame = measured.measure(lab, "fig4", full=False)
    assert list(frame["stage"]) == ["t_edge", "t_tx", "t_server", "latency"] * 2
    assert (frame["images"] == 2).all()
    assert (frame[["lost", "changed_classes"]] == 0).all(axis=None)
    assert (frame["low_s"] <= frame["measured_s"]).all()
    assert (frame["measured_s"] <= frame["high_s"]).all()
    crossing = frame[(frame["stage"] == "t_tx") & (frame["x2"] > 0)].iloc[0]
    assert crossing["measured_s"] >= 0.95 * crossing["predicted_s"]  # the link is held to its rate
    assert lab.computed == 3
    again = Lab(Cache(tmp_path))
    assert measured.measure(again, "fig4", full=False).equals(frame)
    assert again.computed == 0
    assert measured.measure(lab, "fig2", full=False) is None
