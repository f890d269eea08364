"""Energy at the first place (J): P_compute * T_edge + P_transmit * T_tx + P_idle * (T_server + rtt + t_back).

T_tx is here only the time of the bytes. The device waits during the fixed cost of an exchange, the way back, and all further hops
and places.
"""

from __future__ import annotations

from math import fsum
from typing import Any

from lmos_opt.device import NO_POWER, Power
from lmos_opt.errors import InputError
from lmos_opt.formulation import stages
from lmos_opt.instance import Instance
from lmos_opt.listing.splits import Listed, Splits
from lmos_opt.listing.sums import total
from lmos_opt.objectives import Objective
from lmos_opt.split import Split


def _power(instance: Instance) -> Power:
    if instance.power is None:
        raise InputError(instance.name, NO_POWER)
    return instance.power


def _expression(m: Any, instance: Instance) -> Any:
    power = _power(instance)
    waits = sum(stages.place_time(m, instance, p) for p in range(2, len(instance.places) + 1))
    waits += stages.exchange_time(m, instance, 1) + stages.back_time(m, instance, 1)
    waits += sum(stages.hop_time(m, instance, h) for h in range(2, len(instance.places)))
    return (power.compute_w * stages.place_time(m, instance, 1) + power.transmit_w * stages.bytes_time(m, instance, 1)
            + power.idle_w * waits)


def _value(split: Split) -> float:
    power, times = _power(split.instance), split.times
    first, *further = times.hops
    waits = [*times.t_place_s[1:], first.rtt_s, first.t_back_s, *(hop.t_s for hop in further)]
    return fsum([power.compute_w * times.t_edge_s, power.transmit_w * first.t_bytes_s, *(power.idle_w * t for t in waits)])


def _each(splits: Splits) -> Listed:
    power, n = _power(splits.instance), len(splits.instance.places)
    waits = total([*(splits.place_time(p) for p in range(2, n + 1)), splits.exchange_time(1), splits.back_time(1),
                   *(splits.hop_time(h) for h in range(2, n))])  # fmt: skip
    return splits.listed(power.compute_w * splits.place_time(1) + power.transmit_w * splits.bytes_time(1) + power.idle_w * waits)


OBJECTIVE = Objective("energy", "J", "min", _expression, _value, each=_each, grows=True)
expression = OBJECTIVE.expression
