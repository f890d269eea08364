"""`python -m lmos_opt` is `lmos`, where the console script is not on the PATH."""

from __future__ import annotations

import runpy

runpy.run_module("lmos", run_name="__main__", alter_sys=True)
