"""A front as text: a table for LaTeX, and what a notebook shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lmos_opt.front import Front, ObjectiveInfo, Point
from lmos_opt.units import counted, format_size, format_time

SHOWN = 20
"""The number of points that a notebook shows; of more points the first and the last ones."""
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
            **{sign: f"\\{sign}" for sign in "&%$#_{}"}}  # fmt: skip


def to_latex(front: Front, caption: str | None = None, label: str | None = None) -> str:
    """See `Front.to_latex`. Numbers have six significant digits, whole ones all of theirs."""
    heads = [*(_head(objective) for objective in front.objectives), *(f"$x_{p}$" for p in range(1, _places(front) + 1))]
    rows = [[*(_number(point.values[name]) for name in front.names), *map(str, point.counts)] for point in front]
    lines = [rf"\begin{{tabular}}{{{'r' * len(heads)}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule",
             *(" & ".join(row) + r" \\" for row in rows), r"\bottomrule", r"\end{tabular}"]  # fmt: skip
    if caption is None and label is None:
        return "\n".join(lines) + "\n"
    said = [rf"\caption{{{_plain(caption)}}}"] if caption is not None else []
    said += [rf"\label{{{label}}}"] if label is not None else []
    return "\n".join([r"\begin{table}", r"\centering", *said, *lines, r"\end{table}"]) + "\n"


def work_of(front: Front) -> str:
    """What the search did, in a few words: how many splits it examined, or how many integer programs which solver solved."""
    examined = None if front.statistics is None else front.statistics.splits
    if examined is not None:
        return f"{counted(examined, 'split')} examined in {format_time(front.seconds)}"
    solved = f"{counted(front.solves, 'integer program')} solved in {format_time(front.seconds)}"
    return f"{solved} by {front.solver.name} {front.solver.version}"


def to_html(front: Front) -> str:
    """See `Front._repr_html_`."""
    state = "" if front.complete else f", incomplete: {front.reason}"
    remark = f"<p>{escape(front.remark)}</p>" if front.remark is not None else ""
    title = f"{front.instance}: {counted(len(front), 'point')}{state}; {work_of(front)}"
    heads = ["", *(f"{objective.name} ({objective.sense})" for objective in front.objectives),
             *(f"x{p}" for p in range(1, _places(front) + 1))]  # fmt: skip
    half = SHOWN // 2
    rows = [_row(front, k, point) for k, point in enumerate(front)]
    if len(rows) > SHOWN:
        rows = [*rows[:half], ["...", *[""] * (len(heads) - 1)], *rows[-half:]]
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{remark}"


def _row(front: Front, k: int, point: Point) -> Sequence[str]:
    values = (_value(objective.unit, point.values[objective.name]) for objective in front.objectives)
    return [str(k), *values, *map(str, point.counts)]


def _value(unit: str, value: float) -> str:
    if unit == "s" and value >= 0:
        return format_time(value)
    return format_size(value) if unit == "B" and value >= 0 else f"{_number(value)} {unit}".strip()


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _places(front: Front) -> int:
    return max((len(point.counts) for point in front), default=0)


def _head(objective: ObjectiveInfo) -> str:
    return _plain(objective.name) + (f" ({_plain(objective.unit)})" if objective.unit else "")


def _plain(text: str) -> str:
    """Text with the signs that LaTeX takes for its own written as it prints them."""
    return "".join(_SPECIAL.get(sign, sign) for sign in text)
