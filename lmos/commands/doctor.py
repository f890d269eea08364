"""`lmos doctor`: what is installed, and what this machine can."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from lmos.doctor import findings
from lmos.output import activity, out, print_json, table


def run(as_json: bool) -> None:
    """Exits with 1 where a required package is missing; that an extra is not there is no fault."""
    with activity("looking around"):
        found = list(findings())
    if as_json:
        print_json(json.dumps([asdict(finding) for finding in found], indent=1) + "\n")
    else:
        rows = [[finding.part, finding.name, "yes" if finding.is_there else "no", finding.detail, finding.use] for finding in found]
        out().print(table("what is here", ["", "", "", "", "for"], rows, left=[0, 1, 2, 3, 4]))
    if not all(finding.is_there for finding in found if finding.part == "package"):
        raise typer.Exit(1)
