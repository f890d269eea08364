"""Runs that are compared as a whole: an interruption ends the comparison, not only the run."""

from __future__ import annotations

from typing import Unpack

from lmos_opt.plan import Plan
from runner.places.edge import run_plan
from runner.places.options import RunKeywords
from runner.watching.report import RunReport


def whole_run(plan: Plan, server: tuple[str, int], **options: Unpack[RunKeywords]) -> RunReport:
    """The report of `run_plan`; KeyboardInterrupt if the run was interrupted, because its report is then not of the whole run.

    Raises what `run_plan` raises.
    """
    report = run_plan(plan, server, **options)
    if report.reason == "interrupted":
        raise KeyboardInterrupt
    return report
