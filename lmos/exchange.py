"""What one exchange with a server costs beside its bytes on the link: measured between two processes of this machine.

An exchange also takes packing, checksums, the messages' headers, waking the thread that waits, and the way back. The runner needs
this time for every image, so a prediction of a run must count it. It belongs to no layer and hardly depends on the bytes. Exchanges
come between two parts that compute, with the processor's caches full of tensors and weights: between parts that do nothing, they
took 0.8 ms, and 1.3 to 1.5 ms between those of SqueezeNet, MobileNetV2, AlexNet and VGG11.
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

NETWORK = "lmos.exchange:some_work"
_CUT, _SIDE = 3, 128
_SHAPE = Shape(125e6)
"""1 Gbit/s: over slower links an exchange costs about as much, and it matters less there."""
_IMAGES = 15


def some_work() -> nn.Module:
    """A network that computes for some milliseconds on each side, over more bytes than a core's caches hold. What crosses behind
    its first _CUT layers is short (65 kB)."""
    return nn.Sequential(nn.Conv2d(3, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(8),
                         nn.Conv2d(64, 256, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
                         nn.Linear(4096, 2048), nn.ReLU(), nn.Linear(2048, 1000))  # fmt: skip


def exchange_time(threads: int | None = None) -> Median:
    """What an exchange takes (s) beyond bytes over rate and the server's own span. RunnerError if no server starts."""
    plan = _cut_in_the_middle()
    free = plan.crossing[0].bytes / _SHAPE.rate_bytes_per_s
    with TemporaryDirectory() as folder, server_process(Path(folder) / "server.log", [NETWORK]) as address:
        report = whole_run(plan, parse_address(address), n=_IMAGES, shape=_SHAPE, networks=[NETWORK], threads=threads)
    return median_of([max(image.t_tx_s - free, 0.0) for image in report.per_image if image.finished_at == "plan"])


def _cut_in_the_middle() -> Plan:
    module = build_network(NETWORK, "seeded:0", allow_code=True)
    traced = trace_network(module, torch.zeros(1, 3, _SIDE, _SIDE), "module")
    profile = profile_built(NETWORK, "seeded:0", module, traced)
    instance = Instance.from_profile(profile, bandwidth=_SHAPE.rate_bytes_per_s)
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule=f"cut:{_CUT}")
    return make_plan(instance, instance.names[:_CUT], setting=setting, profile=profile)
