"""`lmos trace`: a run's report as a trace."""

from __future__ import annotations

from pathlib import Path

from lmos.output import err
from lmos_opt.processes.writing import check_output
from runner.watching.report import RunReport
from runner.watching.timeline import save_timeline


def run(report: Path, output: Path) -> None:
    """Raises InputError for a file that is no report, or another suffix than .json."""
    check_output(output, (".json",), report=report)
    save_timeline(RunReport.load(report), output)
    err().print(f"lmos: wrote {output}; open it at https://ui.perfetto.dev or chrome://tracing", soft_wrap=True)
