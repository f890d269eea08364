"""The times of a network's layers on a server's machine, as that machine measures them."""

from __future__ import annotations

from lmos_opt.plan import PlannedNetwork
from lmos_opt.profile import NetworkProfile
from runner.client.probe_client import ProbeClient
from runner.errors import RunnerError
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.protocol.messages import LONGEST_MEASURING_S
from runner.wire.timeouts import PATIENT, Timeouts


def timed_at(profile: NetworkProfile, network: PlannedNetwork, server: tuple[str, int], access: Access = OPEN_DOOR,
             budget_s: float = 10.0, timeouts: Timeouts = PATIENT) -> NetworkProfile:  # fmt: skip
    """The profile, with each layer's time (s) and memory (B) as measured on the server's machine.

    The server builds `network`, of which `profile` is the profile, and measures it for at most `budget_s`. Raises RunnerError if
    the server cannot be reached, refuses, or answers for other layers.
    """
    with ProbeClient(server, None, timeouts, access) as remote:
        found = remote.measured(network, min(budget_s, LONGEST_MEASURING_S))
    times = {layer.name: layer for layer in found.layers}
    if set(times) != {layer.name for layer in profile.layers}:
        raise RunnerError(remote.name, f"the server timed {len(times)} layers, which are not the {len(profile.layers)} of "
                                       f"{profile.name}")  # fmt: skip
    layers = [layer.model_copy(update={"t_local_s": one.t_s, "t_local_low_s": one.low_s, "t_local_high_s": one.high_s,
                                       "peak_local_bytes": one.peak_bytes})
              for layer in profile.layers for one in [times[layer.name]]]  # fmt: skip
    return profile.model_copy(update={"layers": tuple(layers), "timing": found.timing})
