"""Scenarios: each scales the hops' bandwidths and the places' times, and has a weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from lmos_opt.errors import InputError, Problem
from lmos_opt.files import Amount, Document, Name, Rate, Record
from lmos_opt.places import Hop
from lmos_opt.units import counted

MOST_SCENARIOS = 10_000


class Scenario(Record):
    """One scenario. `bandwidth` has a factor for each hop (in both directions), `time` a factor for each place, for everything that
    runs there; a missing list means factors of 1. `weight` is its probability relative to the others."""

    weight: Annotated[Rate, Field(gt=0)] = 1.0
    bandwidth: tuple[Rate, ...] = ()
    time: tuple[Amount, ...] = ()

    def bandwidth_of(self, h: int) -> float:
        """Hop h's factor, counted from 1."""
        return self.bandwidth[h - 1] if self.bandwidth else 1.0

    def time_of(self, p: int) -> float:
        """Place p's factor, counted from 1."""
        return self.time[p - 1] if self.time else 1.0


Scenarios = Annotated[tuple[Scenario, ...], Field(max_length=MOST_SCENARIOS)]


class ScenariosFile(Document):
    """A file of scenarios, for an instance that has none of its own.

    If they were measured, `bandwidth_bytes_per_s` has for each hop the rate of a factor of 1, and `rtt_s` the fixed cost of an
    exchange.
    """

    SCHEMA: ClassVar[str] = "lmos.scenarios/1"
    schema_: Literal["lmos.scenarios/1"] = Field("lmos.scenarios/1", alias="schema")
    name: Name | None = None
    bandwidth_bytes_per_s: tuple[Rate, ...] = ()
    rtt_s: tuple[Amount, ...] = ()
    scenarios: Annotated[tuple[Scenario, ...], Field(min_length=1, max_length=MOST_SCENARIOS)]

    def to_dict(self) -> dict[str, Any]:
        """The file's keys; rates and fixed costs only if they were measured."""
        return {key: value for key, value in super().to_dict().items() if value or key not in ("bandwidth_bytes_per_s", "rtt_s")}

    def at(self, hops: Sequence[Hop], source: str) -> tuple[Scenario, ...]:
        """The scenarios for a path of such hops: factors of their bandwidths, which give the same rates. InputError about `source`
        if they have another number of hops."""
        of = self.bandwidth_bytes_per_s
        if not of:
            return self.scenarios
        if len(of) != len(hops):
            raise InputError(source, [Problem("bandwidth_bytes_per_s", f"has {counted(len(of), 'rate')}; expected {len(hops)}, one "
                                                                       "for each hop")])  # fmt: skip
        by = [rate / hop.bandwidth_bytes_per_s for rate, hop in zip(of, hops, strict=True)]
        return tuple(one.model_copy(update={"bandwidth": tuple(one.bandwidth_of(h) * factor for h, factor in enumerate(by, 1))})
                     for one in self.scenarios)


def wrong_scenarios(scenarios: Sequence[Scenario], n_places: int) -> Iterator[Problem]:
    """Everything that does not fit a path with this number of places."""
    for k, one in enumerate(scenarios):
        for key, factors, n, what in (("bandwidth", one.bandwidth, n_places - 1, "hop"), ("time", one.time, n_places, "place")):
            if factors and len(factors) != n:
                yield Problem(f"scenarios[{k}].{key}", f"has {counted(len(factors), 'factor')}; expected {n}, one for each {what}")


def scaled(fields: Mapping[str, Any], hops: Sequence[Hop], scenario: Scenario) -> dict[str, Any]:
    """The fields of an instance in a scenario: `t_s` of its layers, its hops, and the times of codecs."""
    n_places = len(hops) + 1
    layers = [{**layer, "t_s": [t * scenario.time_of(p) for p, t in enumerate(layer["t_s"], 1)]} for layer in fields["layers"]]
    new_hops = []
    for h, hop in enumerate(hops, 1):
        factor, back = scenario.bandwidth_of(h), hop.back_bytes_per_s
        new_hops.append({"bandwidth_bytes_per_s": hop.bandwidth_bytes_per_s * factor, "rtt_s": hop.rtt_s,
                         "back_bytes_per_s": None if back is None else back * factor})  # fmt: skip

    def slower(sent: Mapping[str, Any]) -> dict[str, Any]:
        """What a codec makes of a tensor; its times are the places'."""
        ends = sent.get("at_places") or [{key: sent[key] for key in ("encode_s", "decode_s")}] * n_places
        rest = {key: value for key, value in sent.items() if key not in ("encode_s", "decode_s", "at_places")}
        at_places = [{key: value * scenario.time_of(p) for key, value in end.items()} for p, end in enumerate(ends, 1)]
        return {**rest, "at_places": at_places}

    codecs = {name: [slower(choice) for choice in choices] for name, choices in fields["codecs"].items()}
    found = {**fields, "layers": layers, "hops": new_hops, "scenarios": (), "codecs": codecs}
    if fields["coding"] is not None:
        found["coding"] = {**fields["coding"], "sent": {name: slower(sent) for name, sent in fields["coding"]["sent"].items()}}
    return found
