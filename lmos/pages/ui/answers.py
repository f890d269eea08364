"""From the sliders' places to what the page shows: the exact front there, every cut, and the rule's choice."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from lmos_opt.errors import InfeasibleError, InputError, LmosError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front
from lmos_opt.instance import Instance
from lmos_opt.plots import style
from lmos_opt.plots.front import PLAIN_RULES, choices, dominated, some_cuts
from lmos_opt.split import Split
from lmos_opt.units import counted, format_rate, format_size, format_time

RANGES = {"bandwidth_mbps": (0.1, 1000.0), "rtt_ms": (0.0, 500.0), "memory_mb": (0.0, 1e6), "edge_speed": (0.01, 100.0),
          "server_speed": (0.01, 100.0)}  # fmt: skip
"""What each slider may say; speeds are multiples of the instance's. `memory_mb` may be left out: no limit."""
_OPTIONAL = frozenset({"memory_mb"})


@dataclass(frozen=True)
class SliderAnswers:
    """Answers for one instance; safe to ask from several threads, one front at a time."""

    instance: Instance
    memory_model: MemoryModel = "sum"
    proper_split: bool = False
    solver: str = "highs"
    _solving: threading.Lock = field(default_factory=threading.Lock)

    def about(self) -> dict[str, Any]:
        """What the page needs to begin with: names, and where the sliders stand."""
        limit = self.instance.memory_limit_bytes
        whole = Split(self.instance, frozenset(self.instance.names), self.memory_model).memory_bytes
        return {
            "name": self.instance.name,
            "layers": ["(none)", *self.instance.names],
            "bandwidth_mbps": self.instance.bandwidth_bytes_per_s * 8e-6,
            "rtt_ms": self.instance.rtt_s * 1e3,
            "memory_mb": None if limit is None else limit * 1e-6,
            "whole_mb": whole * 1e-6,
            "rules": [*PLAIN_RULES, "slack:10", "slack:50"],
            "colours": {"edge": style.EDGE, "link": style.LINK, "server": style.SERVER, "chosen": style.CHOSEN, "grey": style.GREY},
        }

    def at(self, sliders: Mapping[str, float], rule: str) -> dict[str, Any]:
        """The front and the choice there; an `error` beside every cut where nothing is feasible or the rule cannot choose.

        Raises InputError for a slider outside its range.
        """
        begin = perf_counter()
        moved = self.moved(sliders)
        found: dict[str, Any] = {"cuts": _parts(moved)}
        try:
            front = self._front(moved)
            found |= _shown(front, some_cuts(moved, self.memory_model))
            point = front.select(rule)
            found["chosen"] = {"latency_s": point.values["latency"], "memory_mb": point.values["memory"] * 1e-6,
                               "x1": point.x1, "words": _words(moved, point.edge_layers or (), self.memory_model)}  # fmt: skip
        except LmosError as error:
            if not isinstance(error, InfeasibleError | InputError):
                raise
            found["error"] = str(error)
        found["took_ms"] = 1e3 * (perf_counter() - begin)
        return found

    def moved(self, sliders: Mapping[str, float]) -> Instance:
        """The instance with bandwidth, rtt, memory limit and both sides' times as the sliders say."""
        unknown = sorted(set(sliders) - set(RANGES)) or sorted(set(RANGES) - set(sliders) - _OPTIONAL)
        if unknown:
            raise InputError(unknown[0], f"expected a number for each of {', '.join(RANGES)}, and none else")
        for name, value in sliders.items():
            low, high = RANGES[name]
            if not low <= value <= high:
                raise InputError(name, f"{value!r} is not between {low:g} and {high:g}")
        layers = [layer.model_dump() | {"t_edge_s": layer.t_edge_s / sliders["edge_speed"],
                                        "t_server_s": layer.t_server_s / sliders["server_speed"]}
                  for layer in self.instance.layers]  # fmt: skip
        limit = sliders.get("memory_mb")
        return self.instance.replace(
            layers=layers,
            bandwidth_bytes_per_s=sliders["bandwidth_mbps"] / 8e-6,
            rtt_s=sliders["rtt_ms"] * 1e-3,
            memory_limit_bytes=None if limit is None else round(limit * 1e6),
        )

    def _front(self, instance: Instance) -> Front:
        from lmos_opt import pareto_front

        with self._solving:
            return pareto_front(instance, memory_model=self.memory_model, proper_split=self.proper_split, solver=self.solver)


def _shown(front: Front, cuts: list[Split]) -> dict[str, Any]:
    def place(values: Mapping[str, float]) -> list[float]:
        return [values["latency"], values["memory"] * 1e-6]

    grey = dominated(front, cuts)
    return {
        "front": [[*place(point.values), point.x1, (point.edge_layers or ("(none)",))[-1]] for point in front.points],
        "dominated": [[latency, memory * 1e-6] for latency, memory in grey],
        "ideal": place(front.ideal),
        "nadir": place(front.nadir),
        "rules": [[", ".join(names), *place(point.values)] for names, point in choices(front, PLAIN_RULES)],
        "complete": front.complete,
        "solves": front.solves,
    }


def _parts(instance: Instance) -> dict[str, list[float]]:
    """Per x1 the stages' times (s) of the prefix."""
    times = [Split(instance, frozenset(instance.names[:n])).times for n in range(len(instance.names) + 1)]
    return {"edge": [t.t_edge_s for t in times], "link": [t.t_tx_s for t in times], "server": [t.t_server_s for t in times]}


def _words(instance: Instance, edge_layers: tuple[str, ...], memory_model: MemoryModel) -> str:
    split = Split(instance, frozenset(edge_layers), memory_model)
    times = split.times
    where = f"after {edge_layers[-1]}" if edge_layers else "at the input"
    return (f"{len(edge_layers)} of {counted(len(instance.layers), 'layer')} at the edge ({where}): "
            f"{format_time(times.latency_s)} = "
            f"{format_time(times.t_edge_s)} edge + {format_time(times.t_tx_s)} link + {format_time(times.t_server_s)} server; "
            f"{format_size(times.crossing_bytes)} cross at {format_rate(instance.bandwidth_bytes_per_s)}, "
            f"{format_size(split.memory_bytes)} edge memory")
