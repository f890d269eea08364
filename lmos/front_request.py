"""What `front` and `plan` share: what a user asks for, and its front."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, cast, get_args

from lmos.kept_profiles import Asked, as_decoder, is_network, kept_profile
from lmos.lists import names_of
from lmos.output import activity, err, say
from lmos_opt import objectives
from lmos_opt.device import NO_POWER
from lmos_opt.errors import InfeasibleError, InputError, MissingExtraError, likely
from lmos_opt.formulation import Constraint, Variables, describe
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front, Point
from lmos_opt.fronts.limits import amount, limits_of
from lmos_opt.imports import load_object
from lmos_opt.instance import Instance
from lmos_opt.link import load_link
from lmos_opt.objectives import Objective
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.plans.promise import Promise
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules import find_rule
from lmos_opt.rules.baselines import BASELINES, baseline, check_admitted
from lmos_opt.rules.selection import RULES, latency_taken
from lmos_opt.solvers.settings import Option, parsed
from lmos_opt.sources import Options, codecs_to_measure, instance_of, load_source, needs_local_times
from lmos_opt.split import Split
from lmos_opt.units import counted, parse_time
from measurement import codecs
from measurement.codec_choice import Choice, chosen, named


@dataclass(frozen=True)
class FrontRequest:
    """A source and the options of `front` and `plan`, as typed."""

    source: str
    options: Options
    memory_model: str = "sum"
    objectives: str = "latency,memory"
    constrain: str | None = None
    proper_split: bool = False
    solver: str = "highs"
    algorithm: str | None = None
    constraints: tuple[str, ...] = ()
    at_most: tuple[str, ...] = ()
    codec: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    solver_options: tuple[str, ...] = ()
    prompt: int | None = None
    context: int | None = None

    @property
    def network(self) -> Asked:
        """The source as a network by name; one of transformers' as a decoder, where an objective is about tokens."""
        is_about_tokens = any(name in objectives.OF_TOKENS for name in self.names) and self.source.startswith("hf:")
        return Asked(network=as_decoder(self.source) if is_about_tokens else self.source, prompt=self.prompt, context=self.context)

    @property
    def model(self) -> MemoryModel:
        """The memory model, checked."""
        if self.memory_model not in get_args(MemoryModel):
            raise InputError("--memory-model", f"{self.memory_model!r} is not one of {', '.join(get_args(MemoryModel))}")
        return cast(MemoryModel, self.memory_model)

    @property
    def names(self) -> list[str]:
        """The objectives as typed: names, or `module:NAME` of a user's own."""
        return names_of(self.objectives, "--objectives")

    @cached_property
    def chosen(self) -> list[str | Objective]:
        """The objectives: a user's own loaded, others by name."""
        return [own_objective(name) if is_own(name) else name for name in self.names]

    @cached_property
    def asked(self) -> list[Constraint]:
        """The constraints: a user's own functions loaded, blocks by name."""
        return _functions(self.constraints)

    @cached_property
    def limits(self) -> dict[str | Objective, float]:
        """How much of an objective is admitted, in its unit."""
        found = _limits(self.at_most)
        return {own_objective(name) if is_own(name) else name: most for name, most in found.items()}

    @cached_property
    def added(self) -> list[Variables]:
        """The functions of variables, likewise."""
        return _functions(self.variables)

    @property
    def settings_of_solver(self) -> dict[str, Option]:
        """The solver's options, read."""
        return dict(parsed(text, "--solver-option") for text in self.solver_options)

    @property
    def setting(self) -> dict[str, Any]:
        """What a plan's setting says of the front that it was chosen from."""
        return {"objectives": tuple(self.names), "constrain": self.constrain, "proper_split": self.proper_split,
                "variables": self.variables, "constraints": self.constraints, "at_most": _limits(self.at_most),
                "solver": self.solver}


def _functions(names: tuple[str, ...]) -> list[Any]:
    return [_constraint(name) for name in names]


def _constraint(name: str) -> Any:
    """A block's name, or a user's own function, loaded."""
    return _own(name, Callable, "a function (m, instance)") if ":" in name else name


def _limits(texts: Iterable[str]) -> dict[str, float]:
    """The amounts by objectives; InputError if one is limited twice."""
    found: dict[str, float] = {}
    for name, most in map(_limit, texts):
        if name in found:
            raise InputError("--at-most", f"{name} is limited twice; expected each once")
        found[name] = most
    return found


def _limit(text: str) -> tuple[str, float]:
    """The objective of `NAME=AMOUNT`, as typed, and the amount in its unit."""
    name, _, most = (part.strip() for part in text.partition("="))
    if not name or not most:
        raise InputError("--at-most", f"{text!r:.80} is no limit; expected NAME=AMOUNT such as fidelity_loss=1% or latency=200ms")
    try:
        objective = own_objective(name) if is_own(name) else objectives.get(name)
    except InputError as error:
        raise (InputError("--at-most", error.reason) if error.source == "objectives" else error) from None
    return name, amount(most, objective, f"--at-most, {name}")


def _own(text: str, kind: Any, expected: str) -> Any:
    """What a user's `module:name` names, if it is of that kind."""
    found = load_object(text)
    if not isinstance(found, kind):
        raise InputError(text, f"is a value of type {type(found).__name__}, expected {expected}")
    return found


def is_own(name: str) -> bool:
    """Whether an objective's name is a user's own, `module:NAME`."""
    return ":" in name and name.partition(":")[0] not in objectives.NUMBERED


def own_objective(text: str) -> Objective:
    """A user's own objective by its name `module:NAME`."""
    found: Objective = _own(text, Objective, "an Objective")
    return found


@dataclass(frozen=True)
class ReadSource:
    """A request's profile (None for an instance file) and instance."""

    profile: NetworkProfile | None
    instance: Instance


def read(request: FrontRequest) -> ReadSource:
    """Load the source. Numbers that the options need and the source lacks are measured on this machine first."""
    request.model  # noqa: B018  a wrong word is a wrong word before anything is read
    codec, is_open = _codec(request)
    source = _source(request)
    _say_what_is_unknown(request.options)
    if isinstance(source, NetworkProfile):
        if needs_local_times(source, request.options):
            source = _timed(source)
        if codec is not None and (unknown := codecs_to_measure(source, codec, request.options)):
            source = with_codecs(source, unknown)
        among = [codecs.get(name) for name in ({} if source.fidelity is None else source.fidelity.losses)] if is_open else None
        instance = instance_of(source, request.options, codec, among)
        return ReadSource(source, _powered(request, instance, request.options.devices[0]))
    instance = instance_of(source, request.options, codec)
    return ReadSource(None, _powered(request, instance, request.options.edge or request.source))


def _source(request: FrontRequest) -> Instance | NetworkProfile:
    if is_network(request.source):
        return kept_profile(request.network)
    if request.network.has_lengths:
        raise InputError("--context" if request.prompt is None else "--prompt",
                         f"is for a decoder by name (hf:DIRECTORY); {request.source} has its own texts, or none")
    return load_source(request.source)


ANY = "any"
"""In the place of a codec's name: for each tensor that crosses one of those whose losses the profile has."""
_LOSS = "fidelity_loss"


def _codec(request: FrontRequest) -> tuple[Choice | None, bool]:
    """The codec that is asked for, and whether the search is to choose one for each tensor instead: where that is said, or where
    losses are an objective or limited and no codec is named."""
    if ANY in request.codec:
        if len(request.codec) > 1:
            other = next((one for one in request.codec if one != ANY), ANY)
            raise InputError("--codec", f"{ANY} stands beside {other}; expected one of the two")
        return None, True
    return chosen(request.codec), not request.codec and _LOSS in (*request.names, *request.limits)


def _powered(request: FrontRequest, instance: Instance, edge: str) -> Instance:
    """The instance; InputError names the device at the edge where energy is asked for and the device has no powers."""
    if any(name.partition("@")[0] == "energy" for name in request.names) and instance.power is None:
        raise InputError(edge, NO_POWER)
    return instance


def _say_what_is_unknown(options: Options) -> None:
    if options.link is None or options.rtt is not None:
        return
    link = load_link(options.link)
    if link.rtt_s is None:
        err().print(f"link {link.name}: its round trip is not known and counts as 0; --rtt gives one", soft_wrap=True)


@contextmanager
def _about(resume: Path | None) -> Iterator[None]:
    """Name the file in a message about the front to resume."""
    try:
        yield
    except InputError as error:
        raise (InputError(str(resume), error.reason) if error.source == "resume" else error) from None


def trace(request: FrontRequest, instance: Instance, time_limit: str | None = None, resume: Path | None = None,
          log: Path | None = None) -> Front:  # fmt: skip
    """The request's front, gone on from that of a file if there is one; progress on standard error, each subproblem in the log."""
    from lmos_opt import Front, pareto_front

    begun = None if resume is None else Front.load(resume)
    seconds = None if time_limit is None else parse_time(time_limit, "--time-limit")
    counter = count(1)
    with _about(resume), activity("finding the front") as tell:
        return pareto_front(instance, request.chosen, memory_model=request.model, constrain=request.constrain,
                            proper_split=request.proper_split, variables=request.added, constraints=request.asked,
                            limits=request.limits, solver=request.solver, solver_options=request.settings_of_solver,
                            algorithm=request.algorithm, log=log, time_limit_s=seconds, resume=begun,
                            on_point=lambda _: tell(f"finding the front: {counted(next(counter), 'point')}"))


def chosen_of(front: Front, rule: str) -> Point:
    """The front's point that a rule chooses; where the rule took its latency from another objective, that is said."""
    point = front.select(rule)
    if (name := latency_taken(front, rule)) is not None:
        say(f"{rule}: the latency is the objective {name}")
    return point


def baseline_point(request: FrontRequest, instance: Instance, rule: str) -> Point | None:
    """A baseline's split under the request's constraints, with its objectives; None if the rule is not a baseline's.

    Of several points with variables of the user's, it is the one that is best in the first objective.
    """
    split = baseline(instance, rule, request.model)
    if split is None:
        if find_rule(rule) is None:
            known = (*RULES, *BASELINES)
            raise InputError("--select", f"{rule!r} is not a rule; there are {', '.join(known)}{likely(rule, known)}")
        return None
    check_admitted(split, rule, request.proper_split)
    if not (request.asked or request.limits or request.added or any(isinstance(o, Objective) for o in request.chosen)):
        chosen = [objectives.get(o) for o in request.chosen]
        values = {o.name: o.value(split) for o in chosen if o.value is not None}
        return Point.at(values, split.places, codecs=split.codecs if instance.codecs else None)
    return _held(request, split, rule)


def _held(request: FrontRequest, split: Split, rule: str) -> Point:
    """The request's point with this edge set. InfeasibleError if its constraints do not admit it."""
    from lmos_opt import pareto_front

    def as_it_is(m: Any, instance: Instance) -> list[Any]:
        return [m.upto[h, v] == int(v in before) for h, before in enumerate(split.upto, 1) for v in instance.names]

    try:
        front = pareto_front(split.instance, request.chosen, memory_model=request.model, variables=request.added,
                             constraints=[*request.asked, as_it_is], limits=request.limits,
                             solver=request.solver)
    except InfeasibleError:
        kept = [*request.asked, *limits_of(request.limits, ())]
        raise InfeasibleError(f"{split.instance.name}, {rule}", map(describe, kept)) from None
    return front.points[0]


def with_codecs(profile: NetworkProfile, names: list[str]) -> NetworkProfile:
    """The profile with sizes and times of codecs, measured on this machine. MissingExtraError without torch."""
    if profile.network is None:
        return profile  # making the instance raises the error
    try:
        from lmos.profiles import measure_codecs
    except ImportError:
        raise MissingExtraError(f"measuring the codec {names[0]} on this machine", "torch") from None
    return measure_codecs(profile, names, None)


def _timed(profile: NetworkProfile) -> NetworkProfile:
    if profile.network is None:
        return profile  # the device `local` raises the error
    try:
        from lmos.profiles import time_profile
    except ImportError:
        raise MissingExtraError("timing a network on this machine", "torch") from None
    return time_profile(profile)


def choose(request: FrontRequest, asked: ReadSource, select: str, promise: Promise | None = None) -> Plan:
    """The plan of the split that the rule chooses, or that keeps a promise, with the request's objectives predicted."""
    instance = asked.instance
    found = None if promise is None else promise.chosen(trace(request, instance))
    point = found or baseline_point(request, instance, select) or chosen_of(trace(request, instance), select)
    edge, *between, server = request.options.devices
    if asked.profile is None:
        edge, server = request.options.edge or "instance file", request.options.server or "instance file"
    along = {"devices": (edge, *between, server)} if between else {}
    timed_with = () if asked.profile is None else request.options.along.timed_with(asked.profile)
    setting = Setting.of(instance, edge=edge, server=server, rule=select, memory_model=request.model, timed_with=timed_with,
                         **request.setting, **along)
    plan = make_plan(instance, point.edge_layers or (), setting=setting, later_layers=point.later_layers or (),
                     profile=asked.profile, values=dict(point.values), solution=point.solution, codecs=point.codecs)
    named(plan.codec, plan.codecs).check_crossing(tensor.name for hop in plan.hops for tensor in hop)
    return plan if promise is None else plan.model_copy(update={"promise": promise})
