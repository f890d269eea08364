"""`lmos generate`: what a decoder writes behind a prompt, each place running its part of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lmos.commands.conventions import tell_doubts
from lmos.kept_graphs import KeptGraphs
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.units import format_time, whole_of
from measurement.decoders.words import Words
from measurement.networks import parse_builder
from runner.lab.replaying import link_shape
from runner.memory import keep_heap
from runner.parts.network import builder_here
from runner.places.connect import connect
from runner.places.generating import Times
from runner.wire.access import Credentials
from runner.wire.connecting import parse_address


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos generate` is asked for, as typed."""

    plan: Path
    server: str
    prompt: str | None
    prompt_ids: str | None
    tokens: int
    temperature: float | None
    seed: int | None
    stop: Sequence[int]
    networks: Sequence[str]
    weights: Path | None
    shape: str | None
    threads: int | None
    credentials: Credentials
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for a plan of no decoder, and ids that it does not take, RunnerError if no server answers."""
    plan = Plan.load(request.plan)
    network = check_runnable(plan, str(request.plan))
    if (request.prompt is None) == (request.prompt_ids is None):
        raise InputError("--prompt", "or --prompt-ids says what is gone on with; expected one of the two")
    networks = [parse_builder(name) for name in request.networks]
    words = None if request.prompt is None else _words(network.builder, networks)
    ids = _ids(request.prompt_ids or "") if words is None else words.ids(request.prompt or "")
    server = parse_address(request.server)
    keep_heap()
    tell_doubts(network.name, plan.setting.doubts)
    with activity("making both parts ready") as tell, connect(
        plan, server, networks=networks, weights_file=request.weights,
        shape=None if request.shape is None else link_shape(request.shape), threads=request.threads, graphs=KeptGraphs.here(),
        access=request.credentials.at(server),
    ) as split:  # fmt: skip
        text = split.text(ids, request.tokens, temperature=request.temperature, seed=request.seed, stop=request.stop)
        found: list[int] = []
        for one in text:
            found.append(one)
            tell(f"{len(found)} of {request.tokens} tokens")
    if request.as_json:
        said = {} if words is None else {"text": words.text(found)}
        print_json(json.dumps(_as_data(ids, found, text.times, plan) | said, indent=1) + "\n")
        return
    out().print(",".join(map(str, found)) if words is None else words.text(found), soft_wrap=True, markup=False)
    out().print(_table(found, text.times, plan))


def _words(builder: str, networks: Sequence[str]) -> Words:
    """The tokenizer beside the plan's network, here."""
    return Words(builder_here(builder, networks).partition(":")[2])


def _ids(text: str) -> list[int]:
    """`1,2,3`, or a file that holds such ids."""
    if (found := _numbers(text)) is not None:
        return found
    try:
        found = _numbers(Path(text).read_text(errors="replace"))
    except OSError as error:
        raise InputError("--prompt-ids", f"{text!r:.60} are no token ids, such as 1,2,3, and no file that holds some: "
                                         f"{(error.strerror or str(error)).lower()}") from None
    if found is None:
        raise InputError(text, "holds no token ids, such as 1,2,3")
    return found


def _numbers(text: str) -> list[int] | None:
    """Whole numbers with commas or blanks between them; None for anything else."""
    found = [whole_of(one) for one in re.split(r"\s*,\s*|\s+", text.strip())]
    return None if None in found else [one for one in found if one is not None]


def _measured(found: Sequence[int], times: Times) -> dict[str, float]:
    return {"ttft": times.first_s, **({"tpot": median(times.further_s)} if len(found) > 1 else {})}


def _as_data(ids: Sequence[int], found: Sequence[int], times: Times, plan: Plan) -> dict[str, Any]:
    measured = _measured(found, times)
    return {"prompt": list(ids), "ids": list(found), "measured": measured, "told_again": times.told_again,
            "predicted": {key: plan.predicted[key] for key in ("ttft", "tpot") if key in plan.predicted}}  # fmt: skip


def _table(found: Sequence[int], times: Times, plan: Plan) -> object:
    rows = [[name, format_time(plan.predicted[name]) if name in plan.predicted else "", format_time(value)]
            for name, value in _measured(found, times).items()]
    again = f", told {times.told_again} times again" if times.told_again else ""
    return table(f"{len(found)} tokens{again}", ["", "predicted", "measured"], rows, left=[0])
