"""What one exchange with a server costs beside its bytes on the link: measured between two processes of this machine.

Packing, checksums, the messages' headers, waking whoever waits, and the way back: the runner pays them for every image, so
a prediction that is to be held against the runner has to count them. They are no layer's and hardly depend on the bytes.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from lmos.loopback import server_process
from lmos.whole_runs import whole_run
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from measurement.medians import Median, median_of
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import trace_network
from runner.wire.connecting import parse_address
from runner.wire.shaping import Shape

NETWORK = "lmos.exchange:almost_nothing"
_SIDE = 128
_SHAPE = Shape(5e6)
"""40 Mbit/s: each side then waits for 40 ms, long enough to fall asleep, as with most cuts."""
_IMAGES = 15


def almost_nothing() -> nn.Module:
    """A network whose whole work is done in no time."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def exchange_time(threads: int | None = None) -> Median:
    """What an exchange takes (s) beyond bytes over rate and the server's own span. RunnerError if no server starts."""
    plan = _everything_at_the_server()
    free = plan.crossing[0].bytes / _SHAPE.rate_bytes_per_s
    with TemporaryDirectory() as folder, server_process(Path(folder) / "server.log", [NETWORK]) as address:
        report = whole_run(plan, parse_address(address), n=_IMAGES, shape=_SHAPE, networks=[NETWORK], threads=threads)
    return median_of([max(image.t_tx_s - free, 0.0) for image in report.per_image if image.finished_at == "plan"])


def _everything_at_the_server() -> Plan:
    module = build_network(NETWORK, "seeded:0", allow_code=True)
    traced = trace_network(module, torch.zeros(1, 3, _SIDE, _SIDE), "module")
    profile = profile_built(NETWORK, "seeded:0", module, traced)
    instance = Instance.from_profile(profile, bandwidth=_SHAPE.rate_bytes_per_s)
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule="SCO")
    return make_plan(instance, (), setting=setting, profile=profile)
