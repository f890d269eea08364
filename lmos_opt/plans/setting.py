"""`Setting`: the assumptions under which a plan's split was chosen."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lmos_opt.files import Amount, Count, Flag, Rate, Record, Text
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.objectives import NUMBERED
from lmos_opt.places import Hop, Place
from lmos_opt.plans.keys import setting_from_places, setting_to_places


class Setting(Record):
    """The assumptions under which the split was chosen; `back_bytes_per_s` None: results come back in no time.

    Over more than two places it has `places` and `hops` as the instance does, and the `devices` that were asked for; `edge` and
    `server` are then the first and the last place, and the link's keys are the first hop's. A file has each of them once.

    The keys from `objectives` on say which front the split was chosen from, as the user asked for it: names, or `module:NAME` of
    the user's own; `at_most` has amounts by objectives, in their units. `objectives` is None in plans that do not hold this.
    `timed_with` says with which engine the times of each place were measured. `doubts` has a sentence for each reason why this
    machine's times may be wrong.
    """

    edge: Text
    server: Text
    bandwidth_bytes_per_s: Rate
    rtt_s: Amount
    back_bytes_per_s: Rate | None = None
    memory_limit_bytes: Count | None
    memory_model: MemoryModel
    rule: Text
    objectives: tuple[Text, ...] | None = None
    constrain: Text | None = None
    proper_split: Flag = False
    variables: tuple[Text, ...] = ()
    constraints: tuple[Text, ...] = ()
    at_most: dict[Text, float] = Field(default_factory=dict)
    solver: Text | None = None
    places: tuple[Place, ...] = ()
    hops: tuple[Hop, ...] = ()
    devices: tuple[Text, ...] = ()
    timed_with: tuple[Text, ...] = ()
    doubts: tuple[Text, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_places(cls, data: Any) -> Any:
        return setting_from_places(data)

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = setting_to_places(serialise(self))
        for key in ("objectives", "constrain", "proper_split", "variables", "constraints", "at_most", "solver", "devices",
                    "timed_with", "doubts"):  # fmt: skip
            if not found.get(key):
                found.pop(key, None)
        return found

    @property
    def every_hop(self) -> tuple[Hop, ...]:
        """The hops; with two places the only one."""
        only = Hop(bandwidth_bytes_per_s=self.bandwidth_bytes_per_s, back_bytes_per_s=self.back_bytes_per_s, rtt_s=self.rtt_s)
        return self.hops or (only,)

    @property
    def place_names(self) -> tuple[str, ...]:
        """The names of the places; with two places the devices."""
        return tuple(place.name for place in self.places) or (self.edge, self.server)

    @property
    def limits(self) -> tuple[int | None, ...]:
        """The memory limit (B) of each place; with two places only the first one's."""
        return tuple(place.memory_limit_bytes for place in self.places) or (self.memory_limit_bytes,)

    @property
    def own(self) -> tuple[str, ...]:
        """The names `module:NAME` of the user's own code among the objectives, variables and constraints."""
        objectives = [name for name in (*(self.objectives or ()), *self.at_most) if name.partition(":")[0] not in NUMBERED]
        return tuple(name for name in (*objectives, *self.variables, *self.constraints) if ":" in name)

    @classmethod
    def of(cls, instance: Instance, *, edge: str, server: str, rule: str, memory_model: MemoryModel = "sum",
           **asked: Any) -> Self:  # fmt: skip
        """The setting of a split of this instance, with the devices' names. `asked` are the keys from `objectives` on, and over
        more than two places all `devices`."""
        if len(instance.places) > 2:
            path = {"places": [place.model_dump(exclude={"power"}) for place in instance.places],
                    "hops": [hop.model_dump() for hop in instance.hops]}  # fmt: skip
            return cls.model_validate({**path, "memory_model": memory_model, "rule": rule, **asked})
        return cls(edge=edge, server=server, bandwidth_bytes_per_s=instance.bandwidth_bytes_per_s, rtt_s=instance.rtt_s,
                   back_bytes_per_s=instance.back_bytes_per_s, memory_limit_bytes=instance.memory_limit_bytes,
                   memory_model=memory_model, rule=rule, **asked)  # fmt: skip
