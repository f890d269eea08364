"""The least load alone: by the dynamic program over down-sets, beside every split."""

import pytest

from lmos.bench.random_instances import random_instance, with_places
from lmos_opt import Front, InputError, Instance, pareto_front
from lmos_opt import objectives as shipped
from lmos_opt.algorithms import ideals
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.errors import SubproblemError
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.solvers import Status

LOAD = shipped.get("load")


def instance(seed, most=6):
    """A random instance of two to four places, with no limits."""
    found = with_places(random_instance(seed, most), seed, 2 + seed % 3)
    places = [{**place.model_dump(), "memory_limit_bytes": None} for place in found.places]
    layers = [{**layer.model_dump(), "t_s": [layer.t_s[0]] * len(places)} for layer in found.layers] if seed % 2 else found.layers
    return found.replace(places=places, layers=layers)


def truth(one):
    return enumerate_front(one, [LOAD])[0][0][0]


def test_the_least_load_is_that_of_every_split():
    for seed in range(40):
        one = instance(seed)
        front = pareto_front(one, ["load"])
        assert front.complete
        assert front.bound is None
        assert len(front) == 1
        assert front[0].values["load"] == pytest.approx(truth(one), rel=1e-11, abs=1e-15)
        assert front.solves == 0


def test_too_many_down_sets_are_listed_under_limits(monkeypatch):
    monkeypatch.setattr(ideals, "MOST_SETS", 3)
    for seed in range(15):
        one = instance(seed)
        front = pareto_front(one, ["load"])
        assert front.complete
        assert front.solves == 0
        assert front[0].values["load"] == pytest.approx(truth(one), rel=1e-11, abs=1e-15)


def test_too_many_of_these_are_left_to_the_integer_program(monkeypatch):
    monkeypatch.setattr(ideals, "MOST_SETS", 3)
    monkeypatch.setattr(ideals, "MOST_PARTIAL", 0)
    used = 0
    for seed in range(0, 30, 3):
        one = instance(seed, 5)
        front = pareto_front(one, ["load"], algorithm="ideals")
        assert front.complete
        assert front[0].values["load"] == pytest.approx(truth(one), rel=1e-9, abs=1e-15)
        used += front.solves > 0
    assert used > 5


@pytest.mark.parametrize("options", [{"proper_split": True}, {"constraints": [lambda m, inst: m.upto[1, "layer0"] == 1]}])
def test_what_limits_where_layers_run_is_left_to_the_integer_program(options):
    one = instance(7)
    assert pareto_front(one, ["load"], **options).solves > 0
    with pytest.raises(InputError, match="ideals is for the objective load alone"):
        pareto_front(one, ["load"], algorithm="ideals", **options)


def test_a_memory_limit_is_left_to_the_integer_program():
    one = instance(8)
    limited = one.replace(places=[{**place.model_dump(), "memory_limit_bytes": 10**12} for place in one.places])
    assert pareto_front(limited, ["load"]).solves > 0


def test_another_objective_is_refused():
    with pytest.raises(InputError, match="ideals is for the objective load alone"):
        pareto_front(instance(7), ["latency"], algorithm="ideals")
    with pytest.raises(InputError, match="ideals is for 1 to 1 objectives"):
        pareto_front(instance(7), ["latency", "load"], algorithm="ideals")


def grid(side):
    """Layers that read their neighbours above and to the left: many down-sets, and times that are hard to share out."""
    layers = [{"name": f"{r}.{c}", "inputs": [*([f"{r - 1}.{c}"] if r else []), *([f"{r}.{c - 1}"] if c else [])] or ["input"],
               "t_s": [(7 * r + 3 * c) % 5 + 0.25 * r + 0.37] * 3, "weight_bytes": 0, "output_bytes": 1 + (r * c) % 3}
              for r in range(side) for c in range(side)]  # fmt: skip
    return Instance.from_dict({"schema": "lmos.instance/2", "name": "grid", "inputs": {"input": 0}, "port_bytes_per_s": 4.0,
                               "places": [{"name": name, "memory_limit_bytes": None} for name in "abc"],
                               "hops": [{"bandwidth_bytes_per_s": 1.0, "back_bytes_per_s": None, "rtt_s": 0.0}] * 2,
                               "layers": layers})  # fmt: skip


@pytest.mark.parametrize(("most", "partial", "side"), [(0, 0, 4), (0, 10**6, 5), (10**6, 0, 6)])
def test_a_search_out_of_time_has_a_split_and_what_is_proved(most, partial, side, monkeypatch, tmp_path):
    one = grid(side)
    monkeypatch.setattr(ideals, "MOST_SETS", most)
    monkeypatch.setattr(ideals, "MOST_PARTIAL", partial)
    looks, limit = [], [10**6]

    def few_looks(self):
        looks.append(self)
        if len(looks) > limit[0]:
            raise SubproblemError(Status.TIME_LIMIT, "the time limit is reached")

    monkeypatch.setattr(FrontProblem, "check_time", few_looks)
    least = pareto_front(one, ["load"])[0].values["load"]
    bounds = []
    for limit[0] in (5, len(looks) // 2, len(looks) - 1):
        looks.clear()
        front = pareto_front(one, ["load"])
        assert not front.complete
        assert front.reason == "the time limit is reached"
        assert len(front) == 1
        bounds.append(front.bound or 0.0)
        assert bounds[-1] <= least <= front[0].values["load"]
        front.save(tmp_path / "front.json")
        assert Front.load(tmp_path / "front.json") == front
    assert bounds == sorted(bounds)
    assert bounds[-1] > 0.8 * least
