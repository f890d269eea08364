"""What a page is about: the file that was named, and as much of its problem as can be found again.

A front and a plan hold results, no layers. The layers come from the source that the user names, or, for a plan of a bundled
network, from its profile. Whatever is found again is held against the file: a page never mixes two problems.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from math import isclose

from lmos_opt.data import bundled_names
from lmos_opt.device import LOCAL
from lmos_opt.errors import InputError, LmosError
from lmos_opt.files import other_schema, read_json
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front, Point
from lmos_opt.graph import layer_of
from lmos_opt.instance import Instance
from lmos_opt.paths import HopOptions, Path
from lmos_opt.plan import Plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules import find_rule
from lmos_opt.sources import Options, instance_of, load_source
from lmos_opt.split import Split
from measurement.codec_choice import named
from runner.watching.report import RunReport

_SAME = 1e-9
"""Relative difference up to which a latency that is computed again is the one in the file."""


@dataclass(frozen=True)
class Subject:
    """What a page is about.

    `missing` says why there is no instance, and how to get one. `note` says in what the front shown may differ from the plan's.
    """

    file: pathlib.Path
    front: Front | None
    plan: Plan | None
    report: RunReport | None
    instance: Instance | None
    memory_model: MemoryModel
    rule: str | None
    missing: str | None = None
    note: str | None = None

    @property
    def chosen(self) -> Point | None:
        """The point of the front that was chosen: the plan's, or what the rule chooses."""
        if self.front is None:
            return None
        if self.plan is not None:
            return _point_of(self.plan, self.front)
        return self.front.select(self.rule) if self.rule is not None else None

    @property
    def split(self) -> Split | None:
        """The split that the page draws; None if none was chosen, or its layers are not known."""
        if self.instance is None:
            return None
        if self.plan is not None:
            return Split.at(self.instance, self.plan.named_places, self.memory_model)
        return None if self.chosen is None else Split.at(self.instance, self.chosen.named_places, self.memory_model,
                                                            self.chosen.codecs)  # fmt: skip


def gather(file: pathlib.Path, source: str | None, options: Options, memory_model: MemoryModel, rule: str | None) -> Subject:
    """The subject of a front's, plan's or report's file.

    `source`, `options` and `memory_model` are those of `lmos front`; a plan knows its own options. Raises InputError for
    another file, or where the source is not the file's.
    """
    data = read_json(file)
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema == Front.SCHEMA:
        front = Front.from_dict(data, str(file))
        return _of_front(file, front, source, options, memory_model, rule)
    if schema == RunReport.SCHEMA:
        report = RunReport.from_dict(data, str(file))
        return _of_plan(file, report.plan, report, source)
    if schema in Plan.SCHEMAS:
        return _of_plan(file, Plan.from_dict(data, str(file)), None, source)
    raise InputError(str(file), [other_schema(data if isinstance(data, dict) else {},
                                              (Front.SCHEMA, *Plan.SCHEMAS, RunReport.SCHEMA))])  # fmt: skip


def _of_front(file: pathlib.Path, front: Front, source: str | None, options: Options, memory_model: MemoryModel,
              rule: str | None) -> Subject:  # fmt: skip
    if source is None:
        return Subject(file, front, None, None, None, memory_model, rule,
                       "a front's file holds no layers; --source names the network or instance that it is of")
    instance = instance_of(load_source(source), options)
    for k, point in enumerate(front.points):
        if point.edge_layers is None:
            raise InputError(str(file), f"points[{k}] is no split; --source is for fronts of splits")
        try:
            split = Split.at(instance, point.named_places, memory_model, point.codecs)
        except InputError as error:
            raise InputError(str(file), f"points[{k}] is no split of --source {source}: {error}") from None
        for name, found in (("latency", split.times.latency_s), ("memory", float(split.memory_bytes))):
            _hold(f"points[{k}].values.{name}", point.values.get(name), found, source)
    return Subject(file, front, None, None, instance, memory_model, rule)


def _of_plan(file: pathlib.Path, plan: Plan, report: RunReport | None, source: str | None) -> Subject:
    setting, model = plan.setting, plan.setting.memory_model
    found = source if source is not None else _bundled(plan)
    if found is None:
        why = "its network is not bundled" if plan.network else "it was made from an instance file"
        return Subject(file, None, plan, report, None, model, setting.rule,
                       f"the plan holds no layers and {why}; --source names the profile or instance that it was made from")
    try:
        instance = _instance(plan, load_source(found))
        split = Split.at(instance, plan.named_places, model)
        if not setting.own:  # a latency of the user's may be another
            _hold("predicted.latency_s", plan.predicted.get("latency_s"), split.times.latency_s, found)
            _hold("predicted.edge_memory_bytes", plan.predicted.get("edge_memory_bytes"), float(split.memory_bytes), found)
    except LmosError as error:
        if source is not None:
            raise
        return Subject(file, None, plan, report, None, model, setting.rule, f"{error}; --source names what the plan was made from")
    front, note = _front_of(plan, instance)
    return Subject(file, front, plan, report, instance, model, setting.rule, note=note)


def _front_of(plan: Plan, instance: Instance) -> tuple[Front | None, str | None]:
    """The front from which a plan was chosen, found again, and a note about it; None if it cannot be found again."""
    from lmos_opt import pareto_front

    setting = plan.setting
    if setting.own or plan.solution:
        own = ", ".join(setting.own) or "variables of its user's"
        return None, f"The plan's front rests on code of its user's ({own}), which this page does not run: the front is not drawn."
    try:
        front = pareto_front(instance, setting.objectives or ("latency", "memory"), memory_model=setting.memory_model,
                             constrain=setting.constrain, proper_split=setting.proper_split, constraints=setting.constraints,
                             limits=setting.at_most)
    except LmosError as error:
        return None, f"The plan's front cannot be drawn again: {error}."
    if find_rule(setting.rule) is None:
        return front, None
    try:
        same = _point_of(plan, front) is front.select(setting.rule)
    except LmosError:
        same = False
    if same:
        return front, None
    if setting.objectives is None:
        return front, ("The plan does not say which objectives it was chosen by. The front is that of latency and memory, where "
                       "its rule chooses another point.")
    return front, "The rule chooses another point of the front that is drawn: the plan was changed, or made by another version."


def _point_of(plan: Plan, front: Front) -> Point | None:
    """The plan's point of a front: the one with its places, or with all its values, which several splits may have."""
    stages = {"latency": "latency_s", "memory": "edge_memory_bytes"}
    for point in front.points:
        if point.named_places == plan.named_places:
            return point
    for point in front.points:
        said = {name: plan.predicted.get(stages.get(name, name)) for name in point.values}
        if all(value is not None and isclose(value, point.values[name], rel_tol=_SAME) for name, value in said.items()):
            return point
    return None


def _instance(plan: Plan, source: Instance | NetworkProfile) -> Instance:
    """The instance of a plan's setting."""
    setting = plan.setting
    devices = setting.devices or setting.place_names
    if isinstance(source, Instance):
        if len(source.places) != plan.n_places:
            raise InputError(source.name, f"has {len(source.places)} places; the plan has {plan.n_places}")
        instance = source.replace(hops=[hop.model_dump() for hop in setting.every_hop])
    else:
        if LOCAL in devices and not source.is_timed:
            raise InputError(source.name, "holds no measured times, and the plan was made from some")
        hops = (HopOptions(hop.bandwidth_bytes_per_s, hop.rtt_s, hop.back_bytes_per_s) for hop in setting.every_hop)
        own = {layer_of(name): codec for name, codec in plan.codecs.items()}
        codec = named(plan.codec, own) if plan.encodes else None
        instance = Instance.from_profile(source, path=Path(devices, tuple(hops)), codec=codec)
    for p, limit in enumerate(setting.limits, 1):
        instance = instance.with_place(p, memory_limit_bytes=limit)
    return instance


def _bundled(plan: Plan) -> str | None:
    """The bundled profile of a plan's network, seen in the same view."""
    network = plan.network
    if network is None:
        return None
    for name in (network.name, f"{network.name}.{network.granularity}"):
        if name in bundled_names("profiles"):
            profile = load_source(name)
            if not isinstance(profile, NetworkProfile) or profile.network is None:
                continue
            view = (network.builder, network.granularity, network.input_tensors)
            if (profile.network.builder, profile.granularity, profile.input_tensors) == view:
                return name
    return None


def _hold(path: str, said: float | None, found: float, source: str) -> None:
    if said is not None and not isclose(said, found, rel_tol=_SAME, abs_tol=1e-15):
        raise InputError(source, f"is not what the file was made from under these options: {path} is {said!r}, and {found!r} here")
