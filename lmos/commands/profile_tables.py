"""A profile for people: the totals, the layers that count most, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lmos.output import table
from lmos_opt.profile import NetworkProfile, ProfileLayer, Timing
from lmos_opt.units import counted, format_size, format_time

TOP = 6
"""Layers that are shown of each ranking, where a network has more than MOST_ROWS."""
MOST_ROWS = 50


def profile_tables(profile: NetworkProfile, every: bool = False) -> Iterator[object]:
    """The table of layers and, of a timed profile, how it was timed.

    Layers beyond MOST_ROWS, unless `every` one is asked for, are shown only where they are among the TOP by time (or work, where
    they were not timed), memory or output; the last row holds sums, and of the memory that layers hold while they run the most.
    """
    rankings = _rankings(profile)
    shown = set(range(len(profile.layers)))
    if len(profile.layers) > MOST_ROWS and not every:
        shown = {k for ranking in rankings.values() for k in ranking}
    rows = [_row(k, layer, profile.is_timed) for k, layer in enumerate(profile.layers) if k in shown]
    rows.append(_totals(profile))
    left_out = len(profile.layers) - len(shown)
    title = (f"{profile.name} ({profile.granularity}): {counted(len(profile.layers), 'layer')}, {profile.total_macs / 1e9:.3f} "
             f"GMACs, "
             f"{profile.total_params:,} parameters"
             + (f"; shown are the {TOP} largest by {', '.join(rankings)}, --all shows the other {left_out}" if left_out else ""))
    where = ["time here", "+- (95 %)", "memory here"] if profile.is_timed else ["inputs"]
    yield table(title, ["#", "layer", "kind", "MMACs", "weights", "output", "bytes", *where], rows,
                left=[1, 2] if profile.is_timed else [1, 2, 7])
    if profile.is_timed and profile.timing is not None and profile.timing.ended is not None:
        yield timing_lines(profile.timing)


def timing_lines(timing: Timing) -> str:
    """How the times were measured, in lines of one sentence. Values that an older profile lacks are shown as 0."""
    within = f"{timing.precision or 0:.0%} of the median"
    why = (f"until all intervals were within {within}" if timing.ended == "precision"
           else f"until {_time(timing.budget_s)} were spent; some intervals are wider than {within}")
    lines = [
        f"{counted(timing.repeats or 0, 'run')} with {counted(timing.threads or 0, 'thread')}, {why}; "
        f"{counted(timing.outliers or 0, 'time')} of layers lay far from their medians ({timing.outlier_rule})",
        f"the whole network takes {_time(timing.whole_s)} ({_time(timing.whole_low_s)} to {_time(timing.whole_high_s)}); its "
        f"layers one by one took {_time(timing.sum_s)}, of which {_time(timing.clock_s)} to read the clock; the rest was "
        f"multiplied by {timing.scale or 0:.3f}, to add up to the whole",
        ("" if timing.rest_s is None else f"before each run the machine rested for {_time(timing.rest_s)}; ")
        + f"a half that begins after a rest takes {_time(timing.restart_s)} longer"
        + ("" if timing.exchange_s is None else f"; an exchange takes {_time(timing.exchange_s)} in addition to its bytes"),
    ]
    if timing.others is not None:
        lines.append(f"other programs used {timing.others:.0%} of the processors meanwhile; the quartiles of the whole network's "
                     f"times are {timing.spread or 0:.0%} of their median apart")
    return "\n".join(lines)


def _time(seconds: float | None) -> str:
    return format_time(seconds or 0.0)


def _rankings(profile: NetworkProfile) -> dict[str, list[int]]:
    """The places of the TOP layers by each quantity, most first; layers without any of it are in none."""
    keys: dict[str, Callable[[ProfileLayer], float]] = {
        "time" if profile.is_timed else "work": lambda layer: layer.t_local_s or 0.0 if profile.is_timed else layer.macs,
        "memory": lambda layer: layer.weight_bytes + (layer.peak_local_bytes or layer.output_bytes),
        "output": lambda layer: layer.output_bytes,
    }
    found = {}
    for name, key in keys.items():
        order = sorted(range(len(profile.layers)), key=lambda k: -key(profile.layers[k]))
        found[name] = [k for k in order[:TOP] if key(profile.layers[k]) > 0]
    return found


def _row(k: int, layer: ProfileLayer, is_timed: bool) -> list[str]:
    work = f"{layer.macs / 1e6:,.2f}" + (f" + {', '.join(layer.unknown_operations)}" if layer.unknown_operations else "")
    row = [str(k + 1), layer.name, layer.kind, work, format_size(layer.weight_bytes),
           "x".join(map(str, layer.output_shape)), format_size(layer.output_bytes)]  # fmt: skip
    if not is_timed:
        return [*row, ", ".join(layer.inputs)]
    held = "" if layer.peak_local_bytes is None else format_size(layer.peak_local_bytes)
    return [*row, format_time(layer.t_local_s or 0.0), _sureness(layer), held]


def _sureness(layer: ProfileLayer) -> str:
    """The farther end of the interval, relative to the time."""
    if not layer.t_local_s or layer.t_local_low_s is None or layer.t_local_high_s is None:
        return ""
    return f"{100 * max(layer.t_local_high_s - layer.t_local_s, layer.t_local_s - layer.t_local_low_s) / layer.t_local_s:.0f} %"


def _totals(profile: NetworkProfile) -> list[str]:
    layers = profile.layers
    row = ["", f"all {len(layers)}", "", f"{profile.total_macs / 1e6:,.2f}", format_size(sum(v.weight_bytes for v in layers)),
           "", format_size(sum(v.output_bytes for v in layers))]  # fmt: skip
    if not profile.is_timed:
        return [*row, ""]
    most = max(v.peak_local_bytes or 0 for v in layers)
    return [*row, format_time(sum(v.t_local_s or 0.0 for v in layers)), "", format_size(most) if most else ""]
