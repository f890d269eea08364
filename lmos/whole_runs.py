"""Runs of plans of which nothing but the whole is of use."""

from __future__ import annotations

from typing import Unpack

from lmos_opt.plan import Plan
from runner.places.edge import run_plan
from runner.places.options import RunKeywords
from runner.watching.report import RunReport


def whole_run(plan: Plan, server: tuple[str, int], **options: Unpack[RunKeywords]) -> RunReport:
    """As `run_plan`, but KeyboardInterrupt goes on: to whom compares whole runs, a half one is of no use. Raises what that does."""
    report = run_plan(plan, server, **options)
    if report.reason == "interrupted":
        raise KeyboardInterrupt
    return report
