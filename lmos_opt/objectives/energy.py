"""Energy at the edge device (J): P_compute * T_edge + P_transmit * T_tx + P_idle * (T_server + rtt + t_back).

T_tx is here the time of the bytes alone: during the fixed cost of an exchange and the way back the device waits.
"""

from __future__ import annotations

from math import fsum
from typing import Any

from lmos_opt.device import Power
from lmos_opt.errors import InputError
from lmos_opt.formulation import stages
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.split import Split


def _power(instance: Instance) -> Power:
    if instance.power is None:
        raise InputError(instance.name, "the objective energy needs the edge device's powers (compute_w, transmit_w, "
                                        "idle_w), and there is no power data for this device")
    return instance.power


def _expression(m: Any, instance: Instance) -> Any:
    power = _power(instance)
    return (power.compute_w * stages.t_edge(m, instance) + power.transmit_w * stages.t_bytes(m, instance)
            + power.idle_w * (stages.t_server(m, instance) + instance.rtt_s * m.offload + stages.t_back(m, instance)))


def _value(split: Split) -> float:
    power, times = _power(split.instance), split.times
    return fsum([power.compute_w * times.t_edge_s, power.transmit_w * times.t_bytes_s, power.idle_w * times.t_server_s,
                 power.idle_w * times.rtt_s, power.idle_w * times.t_back_s])


OBJECTIVE = Objective("energy", "J", "min", _expression, _value)
