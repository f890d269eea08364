"""Networks to profiles: layers with their graph, work, sizes and measured times.

- `profile_network(module, example)` gives a profile. `trace(module, example)` traces a network once, for `network.profile()` and
  any number of `runner.split`. A network that cannot be traced raises `UntraceableError`.
- `timed_profile(profile, module, example)` adds the times of this machine, `time_profile` does so for a network that the profile
  names, `measure_codecs` measures codecs.

docs/reference/python.md lists all public names. They are imported when they are first used: `import measurement` alone does not
load torch.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lmos_opt.moved import Moved, when_used

if TYPE_CHECKING:
    from measurement.errors import UntraceableError
    from measurement.here import measure_codecs, time_profile
    from measurement.profiling import profile_network
    from measurement.timing import time_layers, timed_profile
    from measurement.tracing import TracedLayer, TracedNetwork, trace, trace_network

_HOME = {
    "TracedLayer": "tracing",
    "TracedNetwork": "tracing",
    "UntraceableError": "errors",
    "measure_codecs": "here",
    "profile_network": "profiling",
    "time_layers": "timing",
    "time_profile": "here",
    "timed_profile": "timing",
    "trace": "tracing",
    "trace_network": "tracing",
}

_MOVED = {
    "measurement": "coding=codec_effects networks.pictures=pictures",
    "measurement.calibration": "microbenchmarks power this_machine",
    "measurement.networks": "convert_squeezenet hollow labels mapped preprocessing seeding weights",
    "measurement.pictures": "libtiff networks.libtiff=libtiff",
    "measurement.timing": "held stepping",
    "measurement.tracing": "aliasing capture costs=layer_work grouping stored undisturbed work",
}
"""Old and new names of modules that have moved. The old names work until the next minor version."""

__all__ = [
    "TracedLayer",
    "TracedNetwork",
    "UntraceableError",
    "measure_codecs",
    "profile_network",
    "time_layers",
    "time_profile",
    "timed_profile",
    "trace",
    "trace_network",
]

sys.meta_path.insert(0, Moved(__name__, _MOVED))
__getattr__ = when_used(__name__, _HOME)
