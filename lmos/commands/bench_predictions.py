"""`lmos bench predictions`: how far predictions are from what the runner measures, on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lmos.bench.predictions import ROUNDS, Comparison, by_stage, compare, middle, timed, worst
from lmos.bench.staged import MOST_MEDIAN, MOST_WORST, Errors, Staged, errors_of, stages_of
from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_time, parse_rate
from runner.machine import this_machine

if TYPE_CHECKING:
    from lmos.bench.regret import Regret

NETWORKS = "alexnet,resnet18,vgg11,mobilenet_v2,squeezenet1_1,googlenet"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos bench predictions` is asked for, as typed."""

    networks: str | None
    images: int
    bandwidth: str
    stages: bool
    regret: str | None
    as_json: bool


class Off(LmosError):
    """Predictions are farther off than this project holds itself to."""


def run(request: Request) -> None:
    """Measure and print; InputError for a rate or a network that is none, MissingExtraError without torch, Off where `--stages` or
    `--regret` asked for more than was kept."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of predictions", "torch")
    import torch

    from lmos.bench import regret
    from lmos.bench.predictions import SHARES

    parse_rate(request.bandwidth)
    asked = request.networks
    if asked is None:  # a regret alone is no reason to compare other networks' cuts, which takes longer
        asked = NETWORKS if request.stages or request.regret is None else ""
    networks = names_of(asked, "--networks") if asked else []
    regretted = [] if request.regret is None else names_of(request.regret, "--regret")
    with activity("timing") as tell:
        found = compare(networks, SHARES, request.images, request.bandwidth, tell)
        regrets = [regret.regret(timed(name), request.bandwidth, request.images, tell) for name in regretted]
    staged = stages_of(found) if request.stages else []
    machine = this_machine(torch.get_num_threads())
    if request.as_json:
        print_json(json.dumps({"machine": machine.model_dump(), **_figures(found, staged, regrets)}, indent=1) + "\n")
    else:
        if found:
            _show(found, f"{request.bandwidth}, {counted(machine.cores, 'core')}, {machine.cpu}")
        if staged:
            _show_stages(staged)
        if regrets:
            out().print(_regret_table(regrets))
    if broken := [*_broken(errors_of(staged)), *_regretted(regrets)]:
        raise Off("; ".join(broken))


def _figures(found: Sequence[Comparison], staged: Sequence[Staged], regrets: Sequence[Regret]) -> dict[str, object]:
    rows = [{**asdict(one), "error": one.error} for one in found]
    figures: dict[str, object] = {"cuts": rows}
    if found:
        figures = {"median_error": middle(found), "worst_error": worst(found), "by_stage_s": by_stage(found), **figures}
    if staged:
        figures |= {"stages": [asdict(one) for one in errors_of(staged)],
                    "each_stage": [{**asdict(one), "error": one.error, "reasons": one.reasons} for one in staged]}  # fmt: skip
    if regrets:
        figures["regret"] = [{**asdict(one), "chosen": one.chosen, "best": one.best, "ratio": one.ratio} for one in regrets]
    return figures


def _show(found: Sequence[Comparison], where: str) -> None:
    rows_shown = [[one.network, f"{one.x1} of {one.x1 + one.x2}",
                   *(f"{format_time(one.predicted[stage])} / {format_time(one.measured[stage])}" for stage in one.predicted),
                   f"{100 * one.error:+.1f} %"] for one in found]  # fmt: skip
    title = (f"Predicted / measured ({counted(found[0].images, 'image')} in {ROUNDS} rounds, timings between them), edge and "
             f"server two processes, {where}")
    out().print(table(title, ["network", "at the edge", "edge", "link", "server", "latency", "error"], rows_shown, left=[0, 1]))
    out().print("in the median, predicted less measured: " +
                ", ".join(f"{stage} {1e3 * seconds:+.2f} ms" for stage, seconds in by_stage(found).items()))
    out().print(f"latency off by {100 * middle(found):.1f} % in the median, {100 * worst(found):.1f} % at worst")


def _show_stages(staged: Sequence[Staged]) -> None:
    """The stages that missed, with why they may have, and each stage's errors."""
    missed = [one for one in staged if abs(one.error) > MOST_MEDIAN]
    rows = [[one.network, str(one.x1), one.stage, f"{format_time(one.predicted_s)} / {format_time(one.measured_s)}",
             f"{100 * one.error:+.0f} %", "; ".join(one.reasons) or "nothing was seen"] for one in missed]  # fmt: skip
    if rows:
        title = f"Stages more than {MOST_MEDIAN:.0%} off, and why they may be"
        out().print(table(title, ["network", "at the edge", "stage", "predicted / measured", "error", "why"], rows, left=[0, 2, 5]))
    for one in errors_of(staged):
        out().print(f"{one.stage} off by {100 * one.median:.1f} % in the median, {100 * one.worst:.1f} % at worst")


def _regret_table(regrets: Sequence[Regret]) -> object:
    rows = [[one.network, f"{one.chosen} of {max(one.measured_s)}", format_time(one.measured_s[one.chosen]), str(one.best),
             format_time(one.measured_s[one.best]), f"{one.ratio:.3f}"] for one in regrets]  # fmt: skip
    return table("The cut that would be chosen beside the best of all, both measured", ["network", "chosen", "its latency", "best",
                 "its latency", "regret"], rows, left=[0])  # fmt: skip


def _broken(errors: Sequence[Errors]) -> list[str]:
    return [f"{one.stage} is off by {one.median:.1%} in the median and {one.worst:.1%} at worst; at most {MOST_MEDIAN:.0%} and "
            f"{MOST_WORST:.0%} are asked" for one in errors if not one.is_kept]  # fmt: skip


def _regretted(regrets: Sequence[Regret]) -> list[str]:
    if not regrets:
        return []
    from lmos.bench import regret

    found = regret.middle(regrets), regret.worst(regrets)
    kept = found[0] <= regret.MOST_MEDIAN and found[1] <= regret.MOST_WORST
    return [] if kept else [f"the chosen cuts take {found[0]:.2f} times the best ones' latency in the median and {found[1]:.2f} at "
                            f"worst; at most {regret.MOST_MEDIAN} and {regret.MOST_WORST} are asked"]  # fmt: skip
