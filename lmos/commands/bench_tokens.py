"""`lmos bench tokens`: texts of split decoders beside the undivided networks', through faults, and what plans promise of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.lists import names_of, parts_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.units import counted, format_size, format_time, whole_of

if TYPE_CHECKING:
    from lmos.bench.tokens.promises import PlaceMemory, Promised, Uneven
    from lmos.bench.tokens.texts import Abandoned, Killed, Written

PARTS = ("texts", "kills", "abandoned", "promises", "uneven")
_FLAT = 0.1
"""How much a server's memory may grow over the second half of the texts that are abandoned."""


class OtherTokens(LmosError):
    """A text is not the undivided network's, or a promise is not kept."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos bench tokens` is asked for, as typed."""

    parts: str
    kinds: str | None
    places: int
    prompts: str
    tokens: int
    drawn: int
    kills: int
    abandoned: int
    seed: int
    as_json: bool


@dataclass
class _Found:
    """What was measured, by part."""

    texts: list[Written]
    killed: list[Killed]
    abandoned: Abandoned | None
    times: list[Promised]
    memory: list[PlaceMemory]
    uneven: list[Uneven]

    def missed(self) -> list[str]:
        """All broken promises, in words."""
        found = [f"{self.wrong} texts differ from the undivided network's"] if self.wrong else []
        if self.abandoned is not None and self.abandoned.growth > _FLAT:
            found.append(f"a server's memory grew by {100 * self.abandoned.growth:.0f} % with texts that were abandoned")
        if self.times and self.off > _FLAT:
            found.append(f"times are {100 * self.off:.1f} % off in the median")
        if any(abs(one.error) > _FLAT for one in self.memory):
            found.append("memory is more than a tenth off")
        return found

    @property
    def wrong(self) -> int:
        """Texts that are not the undivided network's."""
        return sum(text.different > 0 for text in self.texts) + sum(text.different > 0 for text in self.killed)

    @property
    def off(self) -> float:
        """Of predicted times, in the median."""
        return median(abs(one.error) for one in self.times)


def run(request: Request) -> None:
    """Measure and print; OtherTokens where a text differs or a promise is not kept, InputError for what cannot be asked for."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingExtraError("the benchmark of tokens", "hf" if package == "transformers" else package)
    found = _measured(request, names_of(request.parts, "--parts", PARTS))
    if request.as_json:
        print_json(json.dumps(_as_data(found), indent=1) + "\n")
    else:
        _print(found, request)
    if missed := found.missed():
        raise OtherTokens("; ".join(missed))


def _measured(request: Request, parts: list[str]) -> _Found:
    from lmos.bench.tokens import promises, texts
    from lmos.bench.tokens.decoders import Decoder
    from measurement.decoders import KINDS

    kinds = [*KINDS] if request.kinds is None else names_of(request.kinds, "--kinds", [*KINDS])
    prompts = [whole_of(text) or 0 for text in parts_of(request.prompts, "--prompts")]
    if min(prompts) < 1 or max(prompts) + request.tokens > 1024:
        raise InputError("--prompts", f"{request.prompts!r:.60} are no lengths such as 1,17,300 that are up to 1024 with --tokens")
    found = _Found([], [], None, [], [], [])
    with activity("starting") as tell, TemporaryDirectory() as name:
        folder = Path(name)
        if "texts" in parts:
            found.texts = texts.written(kinds, request.places, prompts, request.tokens, folder, tell)
            if request.drawn:
                found.texts += texts.of_drawn(request.drawn, request.places, request.tokens, folder, tell, request.seed)
        if "kills" in parts and request.kills:
            found.killed = texts.killed(kinds, request.places, request.kills, request.tokens, folder, tell, request.seed)
        if "abandoned" in parts:
            found.abandoned = texts.abandoned(request.abandoned, max(prompts), folder, tell)
        large, small = Decoder("gpt2", folder / "large", promises.LARGE), Decoder("gpt2", folder / "small")
        for context in promises.CONTEXTS if {"promises", "uneven"} & {*parts} else ():
            tell(f"timing a decoder of 124 million parameters at a context of {context}")
            profile = promises.timed(large, context)
            if "promises" in parts:
                found.times += promises.promised(large, profile, folder, tell)
                found.memory += promises.memories(large, small, profile, folder, tell)
            if "uneven" in parts and not found.uneven:
                found.uneven = promises.uneven(large, profile, folder, tell)
                if "promises" not in parts:
                    break
    return found


def _as_data(found: _Found) -> dict[str, object]:
    left = found.abandoned
    return {
        "schema": "lmos.bench-tokens/2",
        "texts": [asdict(one) for one in found.texts], "killed": [asdict(one) for one in found.killed],
        "abandoned": None if left is None else {**asdict(left), "growth": left.growth},
        "times": [{**asdict(one), "error": one.error} for one in found.times],
        "memory": [{**asdict(one), "error": one.error} for one in found.memory], "uneven": [asdict(one) for one in found.uneven],
    }  # fmt: skip


def _print(found: _Found, request: Request) -> None:
    if found.texts:
        rows = [[one.kind, str(one.places), str(one.prompt), "drawn" if one.drawn else "", str(one.different),
                 format_time(one.tpot_s)] for one in found.texts]  # fmt: skip
        out().print(table(f"{counted(len(rows), 'text')} of {request.tokens} tokens, a process a place",
                          ["decoder", "places", "prompt", "", "other tokens", "a token"], rows, left=[0, 3]))
    if found.killed:
        rows = [[one.kind, str(one.place), str(one.at_token), str(one.different), format_time(one.lost_s)] for one in found.killed]
        out().print(table(f"killed and started again, {request.places} places", ["decoder", "place", "at token", "other tokens",
                                                                                "time lost"], rows, left=[0]))  # fmt: skip
    if found.texts or found.killed:
        out().print(f"{found.wrong} of {counted(len(found.texts) + len(found.killed), 'text')} differ from the undivided network's")
    if found.abandoned is not None:
        sizes = ", ".join(f"{format_size(n_bytes)} after {n}" for n, n_bytes in found.abandoned.memory_bytes.items()
                          if n % 250 == 0)  # fmt: skip
        out().print(f"abandoned texts, prompts of {found.abandoned.prompt}: the server takes {sizes}; "
                    f"{100 * found.abandoned.growth:+.1f} % over the second half")
    if found.times:
        rows = [[one.what, str(one.context), one.rate, str(one.x1), format_time(one.predicted_s), format_time(one.measured_s),
                 f"{100 * one.error:+.1f} %"] for one in found.times]  # fmt: skip
        out().print(table("124 million parameters, a process of one thread a place",
                          ["", "context", "rate", "at the edge", "predicted", "measured", "error"], rows, left=[0]))
        for what in ("ttft", "tpot"):
            off = median(abs(one.error) for one in found.times if one.what == what)
            out().print(f"{what} off by {100 * off:.1f} % in the median")
    if found.memory:
        rows = [[str(one.place), str(one.context), format_size(one.predicted_bytes), format_size(one.measured_bytes),
                 f"{100 * one.error:+.1f} %"] for one in found.memory]  # fmt: skip
        out().print(table("memory by `peak`, and what processes take beside a small decoder's",
                          ["place", "context", "predicted", "measured", "error"], rows))  # fmt: skip
    if found.uneven:
        rows = [[one.rule, " + ".join(map(str, one.layers)), format_time(one.predicted_s), format_time(one.measured_s)]
                for one in found.uneven]  # fmt: skip
        out().print(table("three uneven places: the exact split, and layers in proportion to memory",
                          ["", "layers", "predicted tpot", "measured tpot"], rows, left=[0, 1]))
