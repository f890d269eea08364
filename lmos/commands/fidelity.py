"""`lmos fidelity`: the true loss of a plan's split, measured, beside its estimate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmos.commands.profile import BUNDLED
from lmos.kept_graphs import KeptGraphs
from lmos.output import activity, err, out, print_json, table
from lmos_opt.errors import MissingExtraError, of_file
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.plans.keys import LAYER_KEYS
from lmos_opt.processes.writing import check_output
from lmos_opt.units import counted, format_size
from runner.errors import Interrupted

if TYPE_CHECKING:
    from runner.lab.fidelity.splits import LossReport


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos fidelity` is asked for, as typed; `seed` None is the plan's own."""

    plan: Path
    images: str
    part: str
    seed: int | None
    most: int | None
    weights: Path | None
    threads: int | None
    output: Path | None
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for a plan, inputs or options that cannot be used; Interrupted after what was measured was written."""
    try:
        from measurement.networks import build_network
    except ImportError:
        raise MissingExtraError("measuring what a split loses", "torch") from None
    from measurement.timing import torch_threads
    from runner.images.labelled import find_labelled
    from runner.lab.fidelity import parse_part
    from runner.lab.fidelity.losses import Share
    from runner.lab.fidelity.splits import check_apart, measure_split
    from runner.parts.network import trace_checked

    check_output(request.output, (".json",), plan=request.plan)
    part, plan = parse_part(request.part, "--part"), Plan.load(request.plan)
    network = check_runnable(plan, str(request.plan))
    seed = request.seed if request.seed is not None else 0 if plan.calibration is None else plan.calibration.seed
    share = Share(seed, request.most, part)
    inputs = find_labelled(network, None if request.images == BUNDLED else Path(request.images))
    if (doubt := check_apart(plan, share, inputs)) is not None:
        err().print(f"lmos: this is no check of the estimate: {doubt}", soft_wrap=True)
    with of_file(request.plan, LAYER_KEYS), activity(f"building {network.name}") as tell, torch_threads(request.threads):
        weights = network.weights if request.weights is None else f"file:{request.weights}"
        module = build_network(network.builder, weights, allow_code=True)
        traced = trace_checked(network.builder, module, network, network, network.granularity, KeptGraphs.here())
        found = measure_split(plan, traced, inputs, share, tell)
    if request.output is not None:
        found.save(request.output)
    if request.as_json:
        print_json(found.to_json())
    else:
        out().print(_table(found))
    if not found.on.complete:
        raise Interrupted(f"ended after {counted(found.on.inputs, 'input')}")


_WHAT = {
    "labels": "the share of inputs that are right without the codecs and wrong with them",
    "classes": "the share of inputs whose class is another one with the codecs",
    "outputs": "how far outputs are off",
}


def _table(found: LossReport) -> object:
    """A table of the losses for people: estimated and measured, and on which inputs."""
    on, was = found.on, found.estimated_on
    between = "" if found.low is None or found.high is None else f"{found.low:.2%} to {found.high:.2%}"
    rows = [
        ["estimated", "not known" if found.estimated is None else f"{found.estimated:.2%}",
         "" if was is None or was.confidence is None else f"at most ({100 * was.confidence:g} % for each tensor)",
         "" if was is None else f"{counted(was.inputs, 'input')} ({was.part}) of {was.of}"],
        ["measured", f"{found.measured:.2%}", between, f"{counted(on.inputs, 'input')} ({on.part}, seed {on.seed}) of {on.of}"],
        *([["right", f"{found.right:.2%}", "", f"{on.right:.2%} without the codecs"]]
          if found.right is not None and on.right is not None else []),
        ["outputs off by", f"{found.error:.3g}", "", "relative to their length, the mean"],
        ["crosses", format_size(found.sent_bytes), "", f"{format_size(found.raw_bytes)} as it is"],
    ]  # fmt: skip
    title = f"{found.network}: {' and '.join(map(str, found.counts))} layers, codec {found.codec}; loss: {_WHAT[on.criterion]}"
    return table(title, ["", "", "95 % interval", "on"], rows, left=[0, 3])
