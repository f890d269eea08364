"""`Plan`: one chosen split, and everything that the runner needs to execute it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from lmos_opt import objectives
from lmos_opt.codec_sizes import RAW, Calibration, CodecName
from lmos_opt.device import LOCAL
from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.files import Amount, Count, Document, Name, Record, Text, Value, input_errors
from lmos_opt.graph import tensor_names
from lmos_opt.instance import Instance
from lmos_opt.places import from_counts, with_counts
from lmos_opt.plans.keys import PLACES, TWO, from_places, in_places, to_places
from lmos_opt.plans.mistakes import repeated_names
from lmos_opt.plans.predicted import predicted_of, stage_times_of, stages
from lmos_opt.plans.promise import Promise
from lmos_opt.plans.setting import Setting as Setting  # noqa: PLC0414 - public here
from lmos_opt.policies.policy import Policy, wrong_policies
from lmos_opt.preprocessing import PixelType, takes_pictures, usual_preprocessing
from lmos_opt.profile import Granularity, NetworkProfile, NetworkSource
from lmos_opt.split import Split
from lmos_opt.stages import stage_intervals, where_measured
from lmos_opt.tensors import Argument, InputSpec, TakesInputs, brief_inputs, inputs_of, settle_inputs
from lmos_opt.units import codec_words

STAGES = stages()
"""The keys that every `predicted` and `measured` of two places has."""


LARGEST_CROSSING_BYTES = 2**30
"""The most bytes that the runner sends in one exchange: of one tensor, and of all crossing tensors together, before a codec."""
MOST_CROSSING_TENSORS = 4096
"""The most tensors that the runner sends in one exchange."""


class CrossingTensor(Record):
    """One tensor that crosses a hop; under a codec, `wire_bytes` are its predicted bytes on the link."""

    name: Name
    shape: tuple[Count, ...]
    dtype: Name
    bytes: Count
    wire_bytes: Count | None = None

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        if self.wire_bytes is None:
            found.pop("wire_bytes", None)
        return found


class PlannedNetwork(NetworkSource):
    """The network to build, the granularity of the plan's layers, the inputs that it takes (as in a profile), and how pictures
    become an input.

    `preprocessing` is None if the network takes no pictures, and in older plans: the program that runs the plan then takes the
    preprocessing that `measurement.networks.preprocessing` gives for the network.
    """

    name: Name
    granularity: Granularity
    input: InputSpec | None = None
    input_tensors: dict[Name, InputSpec] = Field(default_factory=dict)
    arguments: dict[Name, Argument] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        settle_inputs(self)
        if self.preprocessing is not None:
            self.preprocessing.check_fits_one(self.input_tensors.values(), "preprocessing")
        return self

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the network's inputs by name."""
        return {name: spec.shape for name, spec in self.input_tensors.items()}

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        return brief_inputs(self, NetworkSource._briefly(self, serialise))


def picture_input(tensors: Mapping[str, InputSpec]) -> tuple[str, InputSpec] | None:
    """The one input that may be a picture, by its name; None if none may, or several."""
    found = [(name, spec) for name, spec in tensors.items() if takes_pictures(spec.shape, spec.dtype)]
    return found[0] if len(found) == 1 else None


def picture_or_first(record: TakesInputs) -> InputSpec:
    """The input that may be a picture; the first one where none may, or several."""
    found = picture_input(record.input_tensors)
    return next(iter(record.input_tensors.values())) if found is None else found[1]


class Plan(Document):
    """A chosen split: `edge_layers` out of `n_layers` run at the edge, `crossing` is sent, the rest runs at the server.

    Over more than two places, `edge_layers`, `crossing` and `policy` are those of the first place and hop, `later_layers`,
    `later_crossing` and `later_policies` those of each further one. Files have `places`, `crossing` and `policies` for all of them.

    `network` is None for a plan made from numbers alone (an instance file): such a plan cannot be run. `predicted` holds the STAGES
    and any further objective of the front that the split was chosen from. `predicted_interval` has the interval of each stage that
    was predicted from measured times with intervals. A `policy` over a hop's bandwidth has the splits that an adapting run may
    change to, while the other hops are as in the setting. `codec` encodes every crossing tensor, except those in `codecs`, which
    have their own. `solution` holds the chosen point's values of variables that the user added. `unpredicted` has a reason for each
    stage that is not in `predicted`: the edge set alone does not decide it. `promise` is the deadline that the split was chosen to
    keep, and its confidence. If the search chose the codecs, `predicted` has the estimated `fidelity_loss`, and `calibration` says
    on which inputs it was measured.
    """

    SCHEMA: ClassVar[str] = TWO
    SCHEMAS: ClassVar[tuple[str, ...]] = (TWO, PLACES)
    schema_: Literal["lmos.plan/1", "lmos.plan/2"] = Field("lmos.plan/1", alias="schema")
    network: PlannedNetwork | None
    edge_layers: tuple[Name, ...]
    n_layers: Count
    crossing: tuple[CrossingTensor, ...]
    codec: CodecName = RAW
    codecs: dict[Name, CodecName] = Field(default_factory=dict)
    predicted: dict[Name, Value]
    setting: Setting
    policy: Policy | None = None
    predicted_interval: dict[Name, tuple[Amount, Amount]] = Field(default_factory=dict)
    solution: dict[Text, Value] | None = None
    unpredicted: dict[Name, Text] = Field(default_factory=dict)
    later_layers: tuple[tuple[Name, ...], ...] = ()
    later_crossing: tuple[tuple[CrossingTensor, ...], ...] = ()
    later_policies: tuple[Policy | None, ...] = ()
    promise: Promise | None = None
    calibration: Calibration | None = None

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> Self:
        """The plan of parsed JSON, over two places (`lmos.plan/1`) or more (`lmos.plan/2`).

        InputError, with `source` and the paths of wrong keys, if the JSON is not valid.
        """
        source = source or cls.__name__
        if not isinstance(data, dict) or data.get("schema") != PLACES:
            return super().from_dict(data, source)
        try:
            fields = from_places(data)
        except InvalidError as error:
            raise InputError(source, error.problems) from None
        try:
            with input_errors(source):
                return cls.model_validate(fields)
        except InputError as error:
            raise InputError(source, [Problem(in_places(p.path), p.message) for p in error.problems]) from None

    @property
    def n_places(self) -> int:
        """The number of places that the layers are divided among."""
        return 1 + (len(self.later_layers) or 1)

    @property
    def hops(self) -> tuple[tuple[CrossingTensor, ...], ...]:
        """For each hop the tensors that cross it."""
        return (self.crossing, *self.later_crossing)

    @property
    def policies(self) -> tuple[Policy | None, ...]:
        """For each hop the policy over its bandwidth; None if the plan has none."""
        return (self.policy, *(self.later_policies or [None] * len(self.later_crossing)))

    @property
    def stages(self) -> tuple[str, ...]:
        """The keys that `predicted` has, and `measured` of a report."""
        return stages(self.n_places)

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of layers at each place."""
        n_edge = len(self.edge_layers)
        return (n_edge, *map(len, self.later_layers)) if self.later_layers else (n_edge, self.n_layers - n_edge)

    @property
    def named_places(self) -> tuple[tuple[str, ...], ...]:
        """The layers of each place that the plan names (with two places only the first one's): the argument of `Split.at`."""
        return (self.edge_layers, *self.later_layers)

    @property
    def encodes(self) -> bool:
        """Whether a codec may encode a crossing tensor."""
        return self.codec != RAW or any(codec != RAW for codec in self.codecs.values())

    @property
    def codec_words(self) -> str:
        """Which codec encodes which tensors, for people."""
        return codec_words(self.codec, self.codecs)

    @property
    def offloads(self) -> bool:
        """Whether a layer runs beyond the first place."""
        return self.n_layers > len(self.edge_layers)

    def check_two(self, source: str, what: str) -> None:
        """InputError if there are more than two places, which `what` does not support."""
        if self.n_places > 2:
            raise InputError(source, f"has {self.n_places} places; {what} for two places only")

    @property
    def x1(self) -> int:
        """The number of layers at the edge."""
        return len(self.edge_layers)

    @property
    def x2(self) -> int:
        """The number of layers at the second place."""
        return self.counts[1]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [Problem(f"predicted.{stage}", "is missing") for stage in self.stages
                    if stage not in self.predicted and stage not in self.unpredicted]
        problems += self._wrong_places()
        problems += repeated_names([[tensor.name for tensor in hop] for hop in self.hops])
        problems += wrong_policies(self.policies, self.n_places)
        if problems:
            raise InvalidError(problems)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(data, dict) or data.get("schema") != PLACES:
            return from_counts(data, handler, info.context)
        has_fields = "later_layers" in data and "places" not in data
        return handler(data if has_fields else from_places(data))

    def _wrong_places(self) -> Iterator[Problem]:
        if len(self.later_crossing) != max(len(self.later_layers) - 1, 0) or len(self.later_layers) == 1:
            yield Problem("later_crossing", f"has {len(self.later_crossing)} hops, later_layers {len(self.later_layers)} places")
        if bool(self.later_layers) != (self.schema_ == PLACES):
            yield Problem("schema", f"got {self.schema_!r}, which is not that of a plan of {self.n_places} places")
        if self.later_policies and len(self.later_policies) != len(self.later_crossing):
            yield Problem("later_policies", f"are {len(self.later_policies)}, later_crossing has {len(self.later_crossing)} hops")

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = to_places(with_counts(serialise(self)))
        for key in ("codecs", "policy", "policies", "solution", "unpredicted", "promise", "calibration"):
            if not getattr(self, key) or (key == "policies" and not any(self.policies)):
                found.pop(key, None)
        return found


def make_plan(
    instance: Instance,
    edge_layers: Sequence[str],
    *,
    setting: Setting,
    later_layers: Sequence[Sequence[str]] = (),
    profile: NetworkProfile | None = None,
    values: dict[str, float] | None = None,
    solution: dict[str, float] | None = None,
    codecs: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of a split: crossing tensors and predicted stages, recomputed only from where layers run.

    `edge_layers` are those of the first place; over more than two places, `later_layers` are those of each further one. `values`
    are the objectives of the chosen point, `solution` its values of variables that the user added, `codecs` its codecs. If the
    user's variables change the point's values, these values are the prediction, and stages that they do not give are not predicted.
    Raises InputError if a layer would read from a later place.
    """
    n_places = len(instance.places)
    split = Split.at(instance, [edge_layers, *(later_layers if n_places > 2 else ())], setting.memory_model, codecs)
    instance, times = split.instance, split.times
    hops = tuple(tuple(t for name in instance.crossing(before) for t in _tensors(instance, name, profile)) for before in split.upto)
    from_set = {**dict(zip(stage_times_of(n_places), times.in_order_s, strict=True)), "latency_s": times.latency_s,
                "edge_memory_bytes": split.memory_bytes}  # fmt: skip
    if instance.codecs and (loss := objectives.get("fidelity_loss").value) is not None:
        values = {"fidelity_loss": loss(split), **(values or {})}
    predicted, unpredicted = predicted_of(from_set, values or {}, has_decisions=bool(solution))
    intervals = {}
    if profile is not None and n_places == 2:
        devices = setting.edge, setting.server
        shown = where_measured(times, profile, devices, instance.rtt_s)
        for stage, was_s, is_s in zip(stage_times_of(2), times.in_order_s, shown.in_order_s, strict=True):
            if predicted.get(stage) == was_s:
                predicted[stage] = from_set[stage] = is_s
        intervals = stage_intervals(shown, profile, split.edge, devices, instance.rtt_s)
        if LOCAL in devices and profile.timing is not None and (doubts := profile.timing.doubts):
            setting = setting.model_copy(update={"doubts": doubts})
    network = None if profile is None or profile.network is None else _planned(profile, profile.network)
    return Plan(
        schema=TWO if n_places == 2 else PLACES,
        network=network,
        edge_layers=split.edge_layers,
        n_layers=len(instance.layers),
        crossing=hops[0],
        codec=RAW if instance.coding is None else instance.coding.codec,
        codecs=_own_codecs(split, profile),
        predicted=predicted,
        setting=setting,
        predicted_interval={stage: ends for stage, ends in intervals.items() if predicted.get(stage) == from_set.get(stage)},
        solution=solution or None,
        unpredicted=unpredicted,
        later_layers=() if n_places == 2 else split.places[1:],
        later_crossing=hops[1:],
        calibration=profile.fidelity.calibration if instance.codecs and profile is not None and profile.fidelity else None,
    )


def _planned(profile: NetworkProfile, source: NetworkSource) -> PlannedNetwork:
    """The network for a plan.

    If nothing says how pictures become the input, the usual preprocessing is added as an assumption; but not for published weights,
    which have their own.
    """
    picture, published = picture_input(profile.input_tensors), source.weights.startswith("torchvision:")
    found = source.model_dump()
    if source.preprocessing is None and picture is not None and not published:
        _, channels, height, width = picture[1].shape
        how = usual_preprocessing(source.weights, channels, height, width, cast(PixelType, picture[1].dtype))
        found["preprocessing"] = how
    return PlannedNetwork(**found, name=profile.name, granularity=profile.granularity, **inputs_of(profile))


def _tensors(instance: Instance, name: str, profile: NetworkProfile | None) -> list[CrossingTensor]:
    if profile is None:  # numbers alone: one vector of bytes
        n_bytes = instance.tensor_bytes(name)
        ((tensor,), (wire,)) = tensor_names(name, 1), _wire_bytes(instance, name)
        return [CrossingTensor(name=tensor, shape=(n_bytes,), dtype="uint8", bytes=n_bytes, wire_bytes=wire)]
    specs = (profile.input_tensors[name],) if name in instance.inputs else profile.layer(name).outputs
    names = tensor_names(name, len(specs))
    return [CrossingTensor(name=n, shape=s.shape, dtype=s.dtype, bytes=s.bytes, wire_bytes=wire)
            for n, s, wire in zip(names, specs, _wire_bytes(instance, name, len(names)), strict=True)]


def _own_codecs(split: Split, profile: NetworkProfile | None) -> dict[str, str]:
    """The codecs of tensors that have another than the rest: those of the layers that the instance names, and those chosen."""
    instance = split.instance
    own, usual = ({}, RAW) if instance.coding is None else (instance.coding.codecs, instance.coding.codec)
    own = {**own, **{name: codec for name, codec in split.codecs.items() if codec != usual}}
    return {tensor.name: codec for name, codec in own.items() for tensor in _tensors(instance, name, profile)}


def _wire_bytes(instance: Instance, name: str, n: int = 1) -> tuple[int | None, ...]:
    """Of each of a layer's n tensors; None if there is no codec, or it is not known how it treats one by one."""
    if not instance.takes_coding:
        return (None,) * n
    if n == 1:
        return (instance.sent_bytes(name),)
    sent = next(iter(instance.ways(name)), None)
    return sent.parts if sent is not None and len(sent.parts) == n else (None,) * n


def check_runnable(plan: Plan, source: str) -> PlannedNetwork:
    """The plan's network; InputError if the plan was made from numbers alone."""
    if plan.network is None:
        raise InputError(source, "network: is null: this plan was made from an instance file, and numbers alone cannot "
                                 "be run; make it from a network or a profile")
    return plan.network


def not_sendable(plan: Plan) -> str | None:
    """The crossing tensors of this plan that are more than the runner can send, in one clause; None if all can be sent."""
    if (most := max(map(len, plan.hops))) > MOST_CROSSING_TENSORS:
        return f"{most} tensors cross; the runner carries at most {MOST_CROSSING_TENSORS} an image"
    crossing = max(plan.hops, key=lambda hop: sum(tensor.bytes for tensor in hop))
    total = sum(tensor.bytes for tensor in crossing)
    if total <= LARGEST_CROSSING_BYTES:
        return None
    largest = max(crossing, key=lambda tensor: tensor.bytes)
    if largest.bytes > LARGEST_CROSSING_BYTES:
        what = f"tensor {largest.name!r} of {largest.bytes} bytes crosses"
    else:
        what = f"{len(crossing)} tensors of {total} bytes cross, the largest {largest.name!r} of {largest.bytes}"
    return f"{what}; the runner carries at most {LARGEST_CROSSING_BYTES} bytes an image"


def check_sendable(plan: Plan, source: str) -> None:
    """InputError if more crosses than the runner can send."""
    if (why := not_sendable(plan)) is not None:
        raise InputError(source, f"crossing: {why}; choose another split")
