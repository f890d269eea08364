"""Promises of plans for a large decoder, compared with measurements: `ttft` and `tpot` over two rates, and each place's memory.

Each place is a process. A second comparison is that of the `tpot` of two splits of uneven places: the exact split, and one in
proportion to their memory.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

from lmos.bench.adapting.slowing import Slowed
from lmos.bench.faults.stage import LMOS, serving
from lmos.bench.tokens.decoders import SEED, Decoder, prompt_of
from lmos.bench.tokens.pace import REST_S, Pace, Pacemaker, slowed
from lmos.profiles import Lengths, make_profile, time_profile
from lmos_opt.api import pareto_front
from lmos_opt.instance import Instance
from lmos_opt.objectives import get
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.split import Split
from runner.errors import RunnerError
from runner.lab.replaying import link_shape
from runner.places.connect import connect

Tell = Callable[[str], None]
LARGE: dict[str, Any] = {
    "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "n_positions": 1088,
    "bos_token_id": 1, "eos_token_id": None,
}  # fmt: skip
"""The size of GPT-2 small: 124 million parameters, of which embedding and head share 39 million."""
NEAR = 0.1
"""How far a promise may be off: times in the median, memory each."""
RATES, CONTEXTS, CUTS = ("40Mbps", "1Gbps"), (32, 1024), (3, 7, 11)
SHARES, MEMORIES = (1.0, 0.25, 0.5), (0.6, 1.2, 0.7)
"""Of three uneven places: what each has of this machine's time, and its memory as a share of the decoder's."""
_TOKENS, _TEXTS = 24, 3
_BETWEEN = "100Mbps"
_SAMPLE_S = 0.004


@dataclass(frozen=True)
class Promised:
    """One cut over one rate at one context: a time as predicted and as measured (s)."""

    what: str
    context: int
    rate: str
    x1: int
    predicted_s: float
    measured_s: float

    @property
    def error(self) -> float:
        """0.1 is a prediction that is a tenth too high."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True)
class PlaceMemory:
    """One place of one cut at one context: its memory by the model `peak`, and the most that its process took beside a small
    decoder's (B)."""

    place: int
    context: int
    x1: int
    predicted_bytes: int
    measured_bytes: int

    @property
    def error(self) -> float:
        """0.1 is a prediction that is a tenth too high."""
        return self.predicted_bytes / self.measured_bytes - 1


@dataclass(frozen=True)
class Uneven:
    """One way to divide a decoder over uneven places: how many layers each has, `tpot` as predicted and as measured (s)."""

    rule: str
    layers: tuple[int, ...]
    predicted_s: float
    measured_s: float


def timed(one: Decoder, context: int) -> NetworkProfile:
    """The decoder's profile, timed here: a prompt that the tokens which are written take to the context in their middle."""
    made = make_profile(one.builder, SEED, "module", Lengths(context - _TOKENS // 2, context))
    return time_profile(made, 1, rest_s=REST_S)


def promised(one: Decoder, profile: NetworkProfile, folder: Path, tell: Tell = lambda what: None) -> list[Promised]:
    """Every cut over every rate: medians of a few texts behind a first one, which does not count. A prediction is the profile's at
    the pace that the machine has before and after the texts (`lmos.bench.tokens.pace`)."""
    assert profile.tokens is not None
    context, found = profile.tokens.context, list[Promised]()
    timed_at, pacemaker = Pace.of(profile), Pacemaker(profile)
    before = pacemaker.now()
    with serving(folder / "server.log", ["--threads", 1, "--network", one.network]) as (address, _):
        for rate in RATES:
            instance = _over(profile, rate)
            for x1 in CUTS:
                tell(f"{x1} layers at the edge over {rate}, a context of {context}")
                plan = planned(instance, profile, (x1,))
                with connect(plan, address, networks=[one.network], shape=link_shape(rate), threads=1) as split:
                    texts = [split.text(prompt_of(profile.tokens.prompt), _TOKENS) for _ in range(1 + _TEXTS)]
                    assert all(len([*text]) == _TOKENS for text in texts)
                times = [text.times for text in texts[1:]]
                medians = {"ttft": median(one.first_s for one in times), "tpot": median(t for one in times for t in one.further_s)}
                after = pacemaker.now()
                then, before = Pace.between(before, after).on(instance, timed_at), after
                found += [Promised(what, context, rate, x1, predicted(then, planned(then, profile, (x1,)), what), measured_s)
                          for what, measured_s in medians.items()]  # fmt: skip
    return found


def _over(profile: NetworkProfile, rate: str) -> Instance:
    return Instance.from_profile(profile, path=f"local > {rate} > local")


def memories(one: Decoder, small: Decoder, profile: NetworkProfile, folder: Path,
             tell: Tell = lambda what: None) -> list[PlaceMemory]:  # fmt: skip
    """Both places of the middle cut. What the same processes take of a small decoder of the kind is the program's."""
    assert profile.tokens is not None
    context, x1 = profile.tokens.context, CUTS[1]
    tell(f"memory at a context of {context}")
    instance = _over(profile, "1Gbps")
    plan = planned(instance, profile, (x1,))
    split = Split.of(instance, [frozenset(plan.edge_layers)], "peak")
    of_program = _taken(small, small.plan(2), 20, folder)
    taken = _taken(one, plan, profile.tokens.prompt, folder)
    return [PlaceMemory(p, context, x1, split.memory_at(p), most - base)
            for p, most, base in zip((1, 2), taken, of_program, strict=True)]  # fmt: skip


def uneven(one: Decoder, profile: NetworkProfile, folder: Path, tell: Tell = lambda what: None) -> list[Uneven]:
    """Three places, the second and third slowed: the least `tpot` within their memories, and layers in proportion to these, which
    take turns; the mean of all tokens."""
    assert profile.tokens is not None
    instance = three_places(profile)
    front = pareto_front(instance, ["tpot", "ttft"])
    exact = min(front.points, key=lambda point: point.values["tpot"]).places
    counts = {"exact": tuple(map(len, exact)), "memory": in_proportion(instance)}
    assert all(Split.of(instance, [frozenset(instance.names[:n]) for n in accumulate(those[:-1])]).exceeds is None
               for those in counts.values())  # fmt: skip
    plans = {rule: planned(instance, profile, tuple(accumulate(n[:-1]))) for rule, n in counts.items()}
    tokens_s: dict[str, list[float]] = {rule: [] for rule in counts}
    with ExitStack() as stack:
        last, last_pid = stack.enter_context(serving(folder / "third.log", ["--threads", 1, "--network", one.network]))
        onward = ["--threads", 1, "--network", one.network, "--next", last, "--next-shape", _BETWEEN]
        address, pid = stack.enter_context(serving(folder / "second.log", onward))
        for rule in ("exact", "memory", "memory", "exact"):
            tell(f"three uneven places, divided by {rule}")
            with connect(plans[rule], address, networks=[one.network], shape=link_shape(_BETWEEN), threads=1) as split:
                split.generate(prompt_of(profile.tokens.prompt), 4)
                with Slowed(pid, SHARES[1]), Slowed(last_pid, SHARES[2]):
                    text = split.text(prompt_of(profile.tokens.prompt), _TOKENS)
                    assert len([*text]) == _TOKENS
            tokens_s[rule] += text.times.further_s
    return [Uneven(rule, n, predicted(instance, plans[rule], "tpot"), fmean(tokens_s[rule])) for rule, n in counts.items()]


def three_places(profile: NetworkProfile) -> Instance:
    """The instance of a profile that was timed here at places that have SHARES of the time and MEMORIES."""
    longer = [1 / share for share in SHARES]
    here = slowed(Instance.from_profile(profile, path=f"local > {_BETWEEN} > local > {_BETWEEN} > local"), longer, longer)
    whole = sum(layer.held_bytes for layer in here.layers)
    places = [{**place.model_dump(), "memory_limit_bytes": round(share * whole)}
              for place, share in zip(here.places, MEMORIES, strict=True)]  # fmt: skip
    return here.replace(places=places)


def in_proportion(instance: Instance) -> tuple[int, ...]:
    """How many layers places have whose bytes are shared out as their memories are, as nearly as can be."""
    sums = [0, *accumulate(layer.held_bytes for layer in instance.layers)]
    limits = [place.memory_limit_bytes or 0 for place in instance.places]
    ends = [min(range(len(sums)), key=lambda k: abs(sums[k] - sums[-1] * part / sum(limits))) for part in accumulate(limits)]
    return tuple(b - a for a, b in pairwise([0, *ends]))


def planned(instance: Instance, profile: NetworkProfile, cuts: Sequence[int]) -> Plan:
    """The plan with so many layers up to each place but the last."""
    names = instance.names
    first, *later = [names[a:b] for a, b in pairwise([0, *cuts, len(names)])]
    devices = {"devices": tuple("local" for _ in instance.places)} if len(instance.places) > 2 else {}
    setting = Setting.of(instance, edge="local", server="local", rule="cut", memory_model="peak", **devices)
    return make_plan(instance, first, later_layers=later if len(later) > 1 else (), setting=setting, profile=profile)


def predicted(instance: Instance, plan: Plan, what: str) -> float:
    """An objective's value of a plan."""
    upto = [frozenset(instance.names[:n]) for n in accumulate(plan.counts[:-1])]
    value = get(what).value
    assert value is not None
    return value(Split.of(instance, upto))


def _taken(one: Decoder, plan: Plan, prompt: int, folder: Path) -> tuple[int, int]:
    """The most anonymous memory (B) of the edge's and the server's process while the edge writes a text."""
    file = folder / "plan.json"
    plan.save(file)
    ids = ",".join(map(str, prompt_of(prompt)))
    with serving(folder / "memory.log", ["--threads", 1, "--network", one.network]) as (address, pid):
        command = [*LMOS, "generate", str(file), "--server", address, "--network", one.network, "--prompt-ids", ids, "--tokens",
                   str(_TOKENS), "--threads", "1", "--json"]  # fmt: skip
        with ((folder / "edge.log").open("w") as errors,
              subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as edge,
              _most_anonymous(edge.pid) as here, _most_anonymous(pid) as there):  # fmt: skip
            code = edge.wait()
    if code:
        raise RunnerError("the edge", f"ended early: {(folder / 'edge.log').read_text().strip()[-300:]}")
    return here[0], there[0]


@contextmanager
def _most_anonymous(pid: int) -> Iterator[list[int]]:
    """The most anonymous memory (B) of a process inside the block: a list of one number, which grows."""
    found, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(_SAMPLE_S):
            found[0] = max(found[0], _anonymous(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _anonymous(pid: int) -> int:
    """Anonymous resident memory (B) of a process, 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(text.split()[1]) for text in status.splitlines() if text.startswith("RssAnon:")), 0)
