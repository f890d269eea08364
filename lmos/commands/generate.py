"""`lmos generate`: what a decoder writes behind a prompt, each place running its part of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lmos.commands.conventions import tell_doubts
from lmos.kept_graphs import KeptGraphs
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, LmosError, of_file
from lmos_opt.files import as_text, read_file
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.plans.keys import LAYER_KEYS
from lmos_opt.processes.signals import Held, in_one_piece
from lmos_opt.units import counted, format_time, whole_of
from measurement.decoders.words import Words
from measurement.networks import parse_builder
from runner.errors import Interrupted
from runner.lab.replaying import link_shape
from runner.memory import keep_heap
from runner.parts.network import builder_here
from runner.places.connected import ConnectedSplit
from runner.places.generating import Times
from runner.places.options import ConnectOptions
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


@dataclass(frozen=True)
class _Written:
    """The ids that were written, how long they took, and the error that ended the text early."""

    ids: Sequence[int]
    times: Times
    error: LmosError | None


def run(request: Request) -> None:
    """Raises InputError for a plan of no decoder, and ids that it does not take, RunnerError if no server answers.

    Interrupted, and a RunnerError in the middle of the text, come after what was written so far is printed.
    """
    plan = Plan.load(request.plan)
    network = check_runnable(plan, str(request.plan))
    if request.prompt is None and request.prompt_ids is None:
        raise InputError("--prompt or --prompt-ids", "is missing; expected a text, or token ids such as 1,2,3")
    if request.prompt is not None and request.prompt_ids is not None:
        raise InputError("--prompt", "is given beside --prompt-ids; leave out one of the two")
    networks = [parse_builder(name) for name in request.networks]
    words = None if request.prompt is None else _words(network.builder, networks)
    ids = _ids(request.prompt_ids or "") if words is None else words.ids(request.prompt or "")
    server = parse_address(request.server, what="--server")
    keep_heap()
    tell_doubts(network.name, plan.setting.doubts)
    options = ConnectOptions(
        networks=networks, weights_file=request.weights, shape=None if request.shape is None else link_shape(request.shape),
        threads=request.threads, graphs=KeptGraphs.here(), access=request.credentials.at(server),
    )  # fmt: skip
    # what was written is printed in the end, whenever somebody interrupts
    with of_file(request.plan, LAYER_KEYS), in_one_piece() as held:
        written = _write(request, ConnectedSplit(plan, server, options), ids, held)
        _hand_over(written, ids, plan, words, request.as_json)
    if written.error is not None:
        raise written.error


def _write(request: Request, split: ConnectedSplit, ids: Sequence[int], held: Held) -> _Written:
    """Write the text, as far as it comes. Raises RunnerError where no token comes because no server answers."""
    found: list[int] = []
    error: LmosError | None = None
    with ExitStack() as stack:
        with held.let_through():
            tell = stack.enter_context(activity("making both parts ready"))
            stack.enter_context(split.open())
            text = split.text(ids, request.tokens, temperature=request.temperature, seed=request.seed, stop=request.stop)
        try:
            with held.let_through():
                for one in text:
                    found.append(one)
                    tell(f"{len(found)} of {request.tokens} tokens")
        except KeyboardInterrupt:
            split.interrupt()
        except LmosError as failure:
            if not found:
                raise
            split.interrupt(str(failure))
            error = failure
    if held.take():
        error = Interrupted(f"interrupted after {counted(len(found), 'token')}")
    return _Written(found, text.times, error)


def _hand_over(written: _Written, ids: Sequence[int], plan: Plan, words: Words | None, as_json: bool) -> None:
    found = written.ids
    if as_json:
        said = {} if words is None else {"text": words.text(found)}
        print_json(json.dumps(_as_data(ids, written, plan) | said, indent=1) + "\n")
        return
    out().print(",".join(map(str, found)) if words is None else words.text(found), soft_wrap=True, markup=False)
    out().print(_table(written, plan))


def _words(builder: str, networks: Sequence[str]) -> Words:
    """The tokenizer beside the plan's network, here."""
    return Words(builder_here(builder, networks).partition(":")[2])


def _ids(text: str) -> list[int]:
    """`1,2,3`, or a file that holds such ids."""
    if (found := _numbers(text)) is not None:
        return found
    try:
        found = _numbers(as_text(read_file(text), text))
    except InputError as error:
        raise InputError("--prompt-ids", f"{text!r:.60} are no token ids, such as 1,2,3, and no file that holds some: "
                                         f"{error.reason}") from None
    if found is None:
        raise InputError(text, "holds no token ids, such as 1,2,3")
    return found


def _numbers(text: str) -> list[int] | None:
    """Whole numbers with commas or blanks between them; None for anything else."""
    found = [whole_of(one) for one in re.split(r"\s*,\s*|\s+", text.strip())]
    return None if None in found else [one for one in found if one is not None]


def _measured(written: _Written) -> dict[str, float]:
    found = {"ttft": written.times.first_s} if written.ids else {}
    return found | ({"tpot": median(written.times.further_s)} if len(written.ids) > 1 else {})


def _as_data(ids: Sequence[int], written: _Written, plan: Plan) -> dict[str, Any]:
    reason = None if written.error is None else str(written.error)
    return {"prompt": list(ids), "ids": list(written.ids), "complete": reason is None, "reason": reason,
            "measured": _measured(written), "told_again": written.times.told_again,
            "predicted": {key: plan.predicted[key] for key in ("ttft", "tpot") if key in plan.predicted}}  # fmt: skip


def _table(written: _Written, plan: Plan) -> object:
    rows = [[name, format_time(plan.predicted[name]) if name in plan.predicted else "", format_time(value)]
            for name, value in _measured(written).items()]
    again = f", told {written.times.told_again} times again" if written.times.told_again else ""
    return table(f"{counted(len(written.ids), 'token')}{again}", ["", "predicted", "measured"], rows, left=[0])
