"""The page of regions: a picture for each device and limit of losses, exact ends at the device's own speed, and bundled links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import lmos_opt
from lmos.pages.parts import Picture, Table, picture_of, write_page
from lmos_opt.errors import MissingExtraError
from lmos_opt.link import Link
from lmos_opt.plots.regions import COLOURS, NAMES, draw_regions
from lmos_opt.policies.regions import KINDS, Way, fastest, stretches
from lmos_opt.units import format_rate, format_size, format_time

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Panel:
    """A device and a limit of losses (None: whatever is lost), and the ways that may be fastest."""

    device: str
    limit: float | None
    ways: Sequence[Way]

    @property
    def in_words(self) -> str:
        """The limit for people."""
        if self.limit is None:
            return "whatever is lost"
        return f"at most {100 * self.limit:g} % lost" if self.limit else "nothing lost"


@dataclass(frozen=True)
class Subject:
    """A network, its panels, and `notes`: sentences about what its numbers are and are not."""

    network: str
    panels: Sequence[Panel]
    notes: Sequence[str]


@dataclass(frozen=True)
class Asked:
    """The range of bandwidths (B/s), what an exchange costs in pictures and exact ends (s), the server, and links to look at."""

    low: float
    high: float
    rtt_s: float
    server: str
    links: Sequence[Link]


def save_page(subjects: Sequence[Subject], asked: Asked, path: Path) -> None:
    """Write the page: one file that needs no network. MissingExtraError without jinja2 or matplotlib."""
    sections = [{"network": one.network, "notes": one.notes, "says": [_says(panel, asked) for panel in one.panels],
                 "picture": _drawn(one, asked), "stretches": _stretches(one, asked), "links": _links(one, asked)}
                for one in subjects]  # fmt: skip
    write_page(path, _HERE, title=f"Where to run {', '.join(one.network for one in subjects)}", version=lmos_opt.__version__,
               server=asked.server, rtt=format_time(asked.rtt_s), sections=sections,
               kinds=[(COLOURS[kind], NAMES[kind]) for kind in KINDS])  # fmt: skip


def _says(panel: Panel, asked: Asked) -> str:
    """In a sentence which kind is fastest where, at the device's own speed."""
    kinds: list[tuple[str, float, float]] = []
    for piece in stretches(panel.ways, asked.low, asked.high, 1.0, asked.rtt_s):
        start, end, name = float(piece.low), float(piece.high), NAMES[piece.label.kind]
        if kinds and kinds[-1][0] == name:
            start = kinds.pop()[1]
        kinds.append((name, start, end))
    where = f"{panel.device}, {panel.in_words}: "
    if len(kinds) == 1:
        return f"{where}{kinds[0][0]} is fastest at every bandwidth here."
    told = [f"{name} {_from(start, end, asked)}" for name, start, end in kinds]
    nothing = "" if any(name == NAMES["cut"] for name, _, _ in kinds) else " A cut inside is nowhere faster."
    return f"{where}{', '.join(told)}.{nothing}"


def _from(start: float, end: float, asked: Asked) -> str:
    if start == asked.low:
        return f"below {_rate(end)}"
    return f"above {_rate(start)}" if end == asked.high else f"from {_rate(start)} to {_rate(end)}"


def _rate(bytes_per_s: float) -> str:
    return f"{bytes_per_s * 8e-6:.4g} Mbps"


def _drawn(subject: Subject, asked: Asked) -> Picture:
    """All panels in one figure: a row for each device, a column for each limit."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a page", "plots") from None
    devices = list(dict.fromkeys(panel.device for panel in subject.panels))
    limits = list(dict.fromkeys(panel.limit for panel in subject.panels))
    figure = Figure(figsize=(1.0 + 4.2 * len(limits), 1.0 + 2.6 * len(devices)), layout="constrained")
    axes: Any = figure.subplots(len(devices), len(limits), squeeze=False, sharex=True, sharey=True)
    marked: Mapping[str, float] = {link.name: link.bandwidth_bytes_per_s for link in asked.links}
    for panel in subject.panels:
        row, column = devices.index(panel.device), limits.index(panel.limit)
        ax = draw_regions(panel.ways, asked.low, asked.high, axes[row][column], rtt_s=asked.rtt_s,
                          links=marked if row == 0 else {})  # fmt: skip
        ax.text(0.02, 0.97, f"{panel.device}\n{panel.in_words}", transform=ax.transAxes, va="top", fontsize=8, color="white",
                fontweight="bold", parse_math=False)  # fmt: skip
        if row == len(devices) - 1:
            ax.set_xlabel("bandwidth, Mbps")
        if column == 0:
            ax.set_ylabel("times of the device,\n1 = its own")
    return picture_of(axes[0][0], f"{subject.network}: what is fastest over bandwidth and the device's speed")


def _stretches(subject: Subject, asked: Asked) -> Table:
    rows = []
    for panel in subject.panels:
        for piece in stretches(panel.ways, asked.low, asked.high, 1.0, asked.rtt_s):
            way = piece.label
            ends = [_latency(way, float(bandwidth), asked.rtt_s) for bandwidth in (piece.low, piece.high)]
            rows.append((panel.device, panel.in_words, *(f"{float(end) * 8e-6:.7g} Mbps" for end in (piece.low, piece.high)),
                         NAMES[way.kind], str(len(way.edge)), _codecs(way), format_size(way.bytes),
                         _loss(way), *map(format_time, ends)))  # fmt: skip
    columns = ("device", "losses", "from", "to", "fastest", "layers there", "crosses in", "bytes", "lost", "latency, from",
               "to")  # fmt: skip
    return Table(columns, tuple(rows), (2, 3, 5, 7, 8, 9, 10))


def _links(subject: Subject, asked: Asked) -> Table:
    """For each link, with its own round trip, the fastest way and the best of each kind."""
    rows = []
    for link in asked.links:
        rtt_s = link.rtt_s or 0.0
        for panel in subject.panels:
            s = 1 / Fraction(link.bandwidth_bytes_per_s)
            best = fastest(panel.ways, s, rtt_s=Fraction(rtt_s))
            each = [min((_latency(way, link.bandwidth_bytes_per_s, rtt_s) for way in panel.ways if way.kind == kind), default=None)
                    for kind in KINDS]  # fmt: skip
            rows.append((link.name, f"{format_rate(link.bandwidth_bytes_per_s)}, "
                         f"{'round trip unknown' if link.rtt_s is None else format_time(rtt_s)}", panel.device, panel.in_words,
                         NAMES[best.kind], *("" if one is None else format_time(one) for one in each)))  # fmt: skip
    return Table(("link", "", "device", "losses", "fastest", *NAMES.values()), tuple(rows), (5, 6, 7))


def _latency(way: Way, bandwidth: float, rtt_s: float) -> float:
    return float(way.at(1 / Fraction(bandwidth), Fraction(1))) + (0.0 if way.kind == "device" else rtt_s)


def _codecs(way: Way) -> str:
    return ", ".join(dict.fromkeys(way.codecs.values()))


def _loss(way: Way) -> str:
    return "not known" if way.loss is None else f"{100 * float(way.loss):.3g} %"
