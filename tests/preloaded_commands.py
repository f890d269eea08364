"""What `tests.warm.commands` copies: a process that has imported what commands use, beside `tests.preloaded`."""

from __future__ import annotations

import gc

gc.disable()

import highspy  # noqa: E402, F401
import matplotlib.pyplot  # noqa: E402, F401
import pandas  # noqa: E402, F401
import pyomo.environ  # noqa: E402, F401
import scipy.stats  # noqa: E402, F401

import lmos.cli  # noqa: E402, F401
import lmos_opt.api  # noqa: E402, F401
import tests.preloaded  # noqa: E402, F401

gc.freeze()
gc.enable()
