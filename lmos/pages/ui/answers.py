"""From the sliders' places to what the page shows: the exact front there, the fastest cuts, and the rule's choice."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from time import perf_counter
from typing import Any

from lmos_opt.errors import InfeasibleError, InputError, LmosError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front, Point
from lmos_opt.instance import Instance
from lmos_opt.plots import style
from lmos_opt.plots.front import PLAIN_RULES, choices, dominated, some_cuts
from lmos_opt.plots.stages import fastest_cuts, parts_of
from lmos_opt.rules.baselines import all_at, baseline, check_admitted, every
from lmos_opt.split import Split
from lmos_opt.units import counted, format_rate, format_size, format_time

RANGES = {"bandwidth_mbps": (1e-3, 1e6), "rtt_ms": (0.0, 1e5), "memory_mb": (0.0, 1e6), "speed": (0.01, 100.0)}
"""What each kind of slider may say; speeds are multiples of the instance's. `memory_mb` may be left out: no limit."""
_NOT_SHOWN = ("Neurosurgeon", "pair", "RS")
"""Baselines that the page leaves out: the first two are what DADS and the front show, the last one is drawn at random."""


@dataclass(frozen=True)
class Slider:
    """A slider of one hop or place, `name` with its number at the end; `most_mb` is what the whole network takes at the place."""

    name: str
    title: str
    kind: str
    value: float | None
    most_mb: float | None = None


@dataclass(frozen=True)
class SliderAnswers:
    """The answers for one instance. Several threads may ask; one front is computed at a time."""

    instance: Instance
    memory_model: MemoryModel = "sum"
    proper_split: bool = False
    solver: str = "highs"
    _solving: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def sliders(self) -> tuple[Slider, ...]:
        """The sliders of hops and places, with their first values."""
        instance, is_two = self.instance, len(self.instance.places) == 2
        names = ["edge", "server"] if is_two else [place.name for place in instance.places]
        found = []
        for h, hop in enumerate(instance.hops, 1):
            rate, rtt = ("bandwidth", "fixed cost of an exchange") if is_two else (f"hop {h}: bandwidth", f"hop {h}: exchange")
            found.append(Slider(f"bandwidth_mbps_{h}", rate, "bandwidth_mbps", hop.bandwidth_bytes_per_s * 8e-6))
            found.append(Slider(f"rtt_ms_{h}", rtt, "rtt_ms", hop.rtt_s * 1e3))
        for p, place in enumerate(instance.places, 1):
            limit = place.memory_limit_bytes
            if p == 1 or not is_two or limit is not None:
                whole = Split.of(instance, all_at(instance, p).upto, self.memory_model).memory_at(p)
                found.append(Slider(f"memory_mb_{p}", f"{names[p - 1]}{'' if is_two else ':'} memory limit", "memory_mb",
                                    None if limit is None else limit * 1e-6, max(whole, limit or 0) * 1e-6))  # fmt: skip
        found += [Slider(f"speed_{p}", name if is_two else f"{name}: speed", "speed", 1.0) for p, name in enumerate(names, 1)]
        return tuple(found)

    @property
    def as_given(self) -> dict[str, float]:
        """The first values of the sliders, by name. A limit that the instance does not have is left out."""
        return {slider.name: slider.value for slider in self.sliders if slider.value is not None}

    def about(self) -> dict[str, Any]:
        """The data that the page needs first: names, colours, rules, and the sliders."""
        places = self.instance.places
        return {
            "name": self.instance.name,
            "layers": [*self.instance.names],
            "places": ["edge", "server"] if len(places) == 2 else [place.name for place in places],
            "place_colours": style.place_colours(len(places)),
            "parts": [[part.name, part.colour] for part in parts_of(self.instance)],
            "sliders": [asdict(slider) for slider in self.sliders],
            "rules": [*PLAIN_RULES, "slack:10", "slack:50"],
            "colours": {"edge": style.EDGE, "chosen": style.CHOSEN, "grey": style.GREY},
        }

    def at(self, sliders: Mapping[str, float], rule: str) -> dict[str, Any]:
        """The front and the choice for these sliders. If nothing is feasible, or the rule cannot choose: the cuts and an `error`.

        Raises InputError for a slider outside its range.
        """
        begin = perf_counter()
        moved = self.moved(sliders)
        cuts = fastest_cuts(moved)
        found: dict[str, Any] = {"cuts": [[part.of(split.times) for split in cuts] for part in parts_of(moved)],
                                 "counts": [", ".join(str(len(layers)) for layers in split.places) for split in cuts]}
        try:
            front = self._front(moved)
            found |= _shown(front, some_cuts(moved, self.memory_model)) | {"baselines": self._baselines(moved)}
            found["chosen"] = self._chosen(moved, front.select(rule))
        except LmosError as error:
            if not isinstance(error, InfeasibleError | InputError):
                raise
            found["error"] = str(error)
        found["took_ms"] = 1e3 * (perf_counter() - begin)
        return found

    def moved(self, sliders: Mapping[str, float]) -> Instance:
        """The instance with the hops, memory limits and speeds of the sliders. InputError for unknown or missing sliders, or values
        outside the range.
        """
        known = {slider.name: slider for slider in self.sliders}
        missing = {name for name, slider in known.items() if slider.kind != "memory_mb"} - set(sliders)
        if unknown := sorted(set(sliders) - set(known)) or sorted(missing):
            raise InputError(unknown[0], f"expected a number for each of {', '.join(known)}, and none else")
        for name, value in sliders.items():
            low, high = RANGES[known[name].kind]
            if not low <= value <= high:
                raise InputError(name, f"{value!r} is not between {low:g} and {high:g}")
        instance = self.instance
        layers = [layer.model_dump() | {"t_s": [t / sliders[f"speed_{p}"] for p, t in enumerate(layer.t_s, 1)]}
                  for layer in instance.layers]  # fmt: skip
        hops = [hop.model_dump() | {"bandwidth_bytes_per_s": sliders[f"bandwidth_mbps_{h}"] / 8e-6,
                                    "rtt_s": sliders[f"rtt_ms_{h}"] * 1e-3} for h, hop in enumerate(instance.hops, 1)]
        limits = [sliders.get(f"memory_mb_{p}") for p in range(1, len(instance.places) + 1)]
        places = [place.model_dump() | {"memory_limit_bytes": None if limit is None else round(limit * 1e6)}
                  for place, limit in zip(instance.places, limits, strict=True)]  # fmt: skip
        return instance.replace(layers=layers, hops=hops, places=places)

    def _front(self, instance: Instance) -> Front:
        from lmos_opt import pareto_front

        with self._solving:
            return pareto_front(instance, memory_model=self.memory_model, proper_split=self.proper_split, solver=self.solver)

    def _chosen(self, instance: Instance, point: Point) -> dict[str, Any]:
        split = Split.at(instance, point.named_places, self.memory_model, point.codecs)
        place = {name: p for p, layers in enumerate(split.places) for name in layers}
        return {"latency_s": point.values["latency"], "memory_mb": point.values["memory"] * 1e-6, "x1": point.x1,
                "words": _words(split), "at": [place[name] for name in instance.names]}  # fmt: skip

    def _baselines(self, instance: Instance) -> list[list[Any]]:
        """What others would choose, those that agree together: their rules, latency (s) and memory (MB)."""
        found: dict[tuple[float, float], list[str]] = {}
        for rule in every(instance):
            if rule.partition(":")[0] in _NOT_SHOWN:
                continue
            try:
                split = baseline(instance, rule, self.memory_model)
                assert split is not None  # these are baselines
                check_admitted(split, rule, self.proper_split)
            except InfeasibleError:
                continue
            found.setdefault((split.times.latency_s, split.memory_bytes * 1e-6), []).append(rule)
        return [["; ".join(rules), *place] for place, rules in found.items()]


def _shown(front: Front, cuts: list[Split]) -> dict[str, Any]:
    def place(values: Mapping[str, float]) -> list[float]:
        return [values["latency"], values["memory"] * 1e-6]

    grey = dominated(front, cuts)
    return {
        "front": [[*place(point.values), point.x1, _point_words(point)] for point in front.points],
        "dominated": [[latency, memory * 1e-6] for latency, memory in grey],
        "ideal": place(front.ideal),
        "nadir": place(front.nadir),
        "rules": [[", ".join(names), *place(point.values)] for names, point in choices(front, PLAIN_RULES)],
        "complete": front.complete,
        "solves": front.solves,
    }


def _point_words(point: Point) -> str:
    if len(point.counts) == 2:
        return f"x1 = {point.x1}, last at the edge: {(point.edge_layers or ('(none)',))[-1]}"
    return f"{', '.join(map(str, point.counts))} layers at the places"


def _words(split: Split) -> str:
    instance, times = split.instance, split.times
    parts = " + ".join(f"{format_time(part.of(times))} {part.name}" for part in parts_of(instance))
    total = f"{format_time(times.latency_s)} = {parts}"
    if len(split.places) > 2:
        where = ", ".join(f"{len(layers)} at {place.name}" for place, layers in zip(instance.places, split.places, strict=True))
        crossing = ", ".join(f"{format_size(hop.n_bytes)} over hop {h}" for h, hop in enumerate(times.hops, 1))
        needs = ", ".join(format_size(split.memory_at(p)) for p in range(1, len(instance.places) + 1))
        return f"{where}: {total}; {crossing}; memory {needs}"
    where = f"after {split.edge_layers[-1]}" if split.edge_layers else "at the input"
    return (f"{len(split.edge)} of {counted(len(instance.layers), 'layer')} at the edge ({where}): {total}; "
            f"{format_size(times.crossing_bytes)} cross at {format_rate(instance.bandwidth_bytes_per_s)}, "
            f"{format_size(split.memory_bytes)} edge memory")
