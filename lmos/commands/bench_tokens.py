"""`lmos bench tokens`: texts of split decoders beside the undivided networks', also while places are killed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.units import counted, format_time


class OtherTokens(LmosError):
    """A text is not the undivided network's."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos bench tokens` is asked for, as typed."""

    kinds: str | None
    places: int
    prompts: str
    tokens: int
    kills: int
    seed: int
    as_json: bool


def run(request: Request) -> None:
    """Measure and print; OtherTokens where a text differs, InputError for lengths that are none."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingExtraError("the benchmark of tokens", "hf" if package == "transformers" else package)
    from lmos.bench.tokens import killed, known, written

    kinds = known([name for name in (request.kinds or "").split(",") if name])
    try:
        prompts = [int(text) for text in request.prompts.split(",")]
    except ValueError:
        prompts = [0]
    if not kinds:
        raise InputError("--kinds", f"{request.kinds!r:.60} names none that is known; there are {', '.join(known([]))}")
    if min(prompts) < 1 or max(prompts) + request.tokens > 1024:
        raise InputError("--prompts", f"{request.prompts!r:.60} are no lengths such as 1,17,300 that are up to 1024 with --tokens")
    with activity("starting") as tell, TemporaryDirectory() as folder:
        place = Path(folder)
        texts = written(kinds, request.places, prompts, request.tokens, place, tell)
        deaths = killed(kinds, request.places, request.kills, request.tokens, place, tell, request.seed) if request.kills else []
    wrong = sum(one.different > 0 for one in texts) + sum(one.different > 0 for one in deaths)
    if request.as_json:
        print_json(json.dumps({"schema": "lmos.bench-tokens/1", "texts": [asdict(one) for one in texts],
                               "killed": [asdict(one) for one in deaths]}, indent=1) + "\n")  # fmt: skip
    else:
        rows = [[one.kind, str(one.places), str(one.prompt), "drawn" if one.drawn else "", str(one.different),
                 format_time(one.tpot_s)] for one in texts]  # fmt: skip
        out().print(table(f"{counted(len(texts), 'text')} of {request.tokens} tokens, a process a place",
                          ["decoder", "places", "prompt", "", "other tokens", "a token"], rows, left=[0, 3]))
        if deaths:
            rows = [[one.kind, str(one.place), str(one.at_token), str(one.different), format_time(one.lost_s)] for one in deaths]
            out().print(table(f"killed and started again, {request.places} places", ["decoder", "place", "at token", "other tokens",
                                                                                    "time lost"], rows, left=[0]))  # fmt: skip
        out().print(f"{wrong} of {counted(len(texts) + len(deaths), 'text')} differ from the undivided network's")
    if wrong:
        raise OtherTokens(f"{wrong} texts differ from the undivided network's")
