"""Pipelined runs where edge, link and server are each the slowest stage in turn: how near the throughput comes to that stage's.

`lmos serve --threads 1` and `lmos run --threads 1` over loopback, first one image after another, which gives the stages' times
alone, then pipelined. The steady state is counted: from the end of the image that filled the pipeline to the end of the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from lmos.bench.faults.stage import planned, serving
from lmos.loopback import run_edge
from lmos_opt.units import counted
from runner.client.pipeline import PIPELINE_DEPTH
from runner.errors import RunnerError
from runner.watching.report import RunReport

LEAST_SHARE = 0.9
"""Of what the slowest stage alone allows: what this project holds itself to."""
Stage = Literal["edge", "link", "server"]


@dataclass(frozen=True)
class Case:
    """A cut of a bundled network, and a link, that make one stage the slowest by far on any machine whose halves are alike."""

    slowest: Stage
    network: str
    x1: int
    link: str


CASES = (
    Case("edge", "resnet50", 140, "400Mbps"),
    Case("link", "resnet50", 78, "100Mbps"),
    Case("server", "resnet50", 4, "400Mbps"),
)


@dataclass(frozen=True)
class Outcome:
    """Times a stage (s): alone, and in the pipelined run, where what waits at the server counts as `link`.

    `images_per_s` is the steady state's, `whole_images_per_s` that of the run with its beginning and end.
    """

    case: Case
    images: int
    alone_s: dict[Stage, float]
    pipelined_s: dict[Stage, float]
    alone_images_per_s: float
    images_per_s: float
    whole_images_per_s: float

    @property
    def slowest(self) -> Stage:
        """The stage that takes longest alone."""
        return max(self.alone_s, key=lambda stage: self.alone_s[stage])

    @property
    def share(self) -> float:
        """The steady throughput over that of the slowest stage alone, were nothing else there."""
        return self.images_per_s * self.alone_s[self.slowest]

    @property
    def fault(self) -> str | None:
        """The first broken promise, in words; None if all are kept."""
        if self.slowest != self.case.slowest:
            return f"on this machine the {self.slowest} is the slowest where the {self.case.slowest} was meant to be"
        if self.share < LEAST_SHARE:
            return f"with the {self.slowest} the slowest, the throughput is {self.share:.2f} of what it allows"
        return None


def steady_images_per_s(ends_s: Sequence[float], depth: int) -> float:
    """Images a second from when the pipeline is full; `ends_s` are the images' ends in their order, more than `depth` of them."""
    return (len(ends_s) - depth) / (ends_s[-1] - ends_s[depth - 1])


def measure(case: Case, n: int, folder: Path, tell: Callable[[str], None] = lambda what: None) -> Outcome:
    """Run a case, n images pipelined and half as many one after another. RunnerError if a run fails or an image does not
    come back from the server."""
    plan, _ = planned(case.network, case.x1)
    plan.save(folder / "plan.json")
    with serving(folder / "server.log", ["--threads", 1]) as (address, _):
        tell(f"{case.slowest} the slowest: one image after another")
        alone = run_undisturbed(folder, address, max(n // 2, 1), case.link)
        tell(f"{case.slowest} the slowest: pipelined")
        pipelined = run_undisturbed(folder, address, n, case.link, "--pipeline")
    assert pipelined.goodput_images_per_s is not None
    assert alone.goodput_images_per_s is not None
    ends_s = [(image.began_s or 0.0) + image.latency_s for image in pipelined.per_image]
    return Outcome(case, n, _stages(alone), _stages(pipelined), alone.goodput_images_per_s,
                   steady_images_per_s(ends_s, PIPELINE_DEPTH), pipelined.goodput_images_per_s)  # fmt: skip


def _stages(report: RunReport) -> dict[Stage, float]:
    """Medians."""

    def middle(name: str) -> float:
        return float(median(getattr(image, name) for image in report.per_image))

    return {"edge": middle("t_edge_s"), "link": middle("t_tx_s"), "server": middle("t_server_s")}


def run_undisturbed(folder: Path, address: str, n: int, link: str, *options: str) -> RunReport:
    """What `lmos run` reports of the folder's plan with one thread; RunnerError if it fails or finishes an image itself."""
    file = folder / "report.json"
    run_edge(folder / "plan.json", address, n, link, file, "--threads", "1", *options)
    report = RunReport.load(file)
    if report.fallbacks:
        raise RunnerError("the edge", f"finished {counted(report.fallbacks, 'image')} itself")
    return report
