"""What is predicted of a split, by the names of its stages, and why a stage is not."""

from __future__ import annotations

from math import isclose

_OBJECTIVE_OF = {"t_edge_s": "edge_time", "t_server_s": "server_time", "latency_s": "latency", "edge_memory_bytes": "memory"}
"""The objectives that are stages."""


def stages(n_places: int = 2) -> tuple[str, ...]:
    """The keys that every `predicted` and `measured` of a plan of so many places has: a time (s) a place and a hop, their sum,
    and the first place's memory (B)."""
    return (*stage_times_of(n_places), "latency_s", "edge_memory_bytes")


def stage_times_of(n_places: int) -> tuple[str, ...]:
    """The names of the times of places and hops, in the order in which data passes them."""
    if n_places == 2:
        return ("t_edge_s", "t_tx_s", "t_server_s")
    return tuple(f"t_{'hop' if k % 2 else 'place'}_{k // 2 + 1}_s" for k in range(2 * n_places - 1))


def _objective_of(stage: str) -> str | None:
    """The name of the objective that is the time of this stage; None if there is none."""
    place = stage.removeprefix("t_place_").removesuffix("_s")
    return f"place_time:{place}" if place.isdecimal() else _OBJECTIVE_OF.get(stage)


def predicted_of(from_set: dict[str, float], values: dict[str, float],
               has_decisions: bool) -> tuple[dict[str, float], dict[str, str]]:  # fmt: skip
    """The predicted values of a point, and for each stage without a prediction the reason.

    `from_set` are the values that follow from the split, `values` those of the point's objectives. Variables of the user's may
    change any time. If they do, or if a value of the point differs from that of its split, a stage is predicted only if it is
    among the point's objectives. If the point's latency is that of its split, no time has changed.
    """
    of = {stage: name for stage in from_set if (name := _objective_of(stage)) is not None}
    theirs = {stage: values[name] for stage, name in of.items()
              if name in values and not isclose(values[name], from_set[stage], rel_tol=1e-9)}
    rest = {name: value for name, value in values.items() if name not in {"latency", "memory", *from_set}}
    is_other = bool(theirs.keys() - {"edge_memory_bytes"}) or (has_decisions and "latency" not in values)
    why = "the user's own variables or objectives decide it, and the front has no objective {}"
    unpredicted = {stage: why.format(of[stage]) if stage in of else
                   "the user's own variables or objectives may decide it" for stage in from_set
                   if is_other and stage != "edge_memory_bytes" and of.get(stage) not in values}
    return {**{stage: value for stage, value in (from_set | theirs).items() if stage not in unpredicted}, **rest}, unpredicted
