"""The commands that try it all out: on this machine, and the paper's experiments.

Only signatures stand here; a command's code is imported when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import (
    Json,
    SolverName,
)


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")] = Path("lmos-demo"),
    bandwidth: Annotated[str, typer.Option(metavar="RATE", help="The emulated link.")] = "20Mbps",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What the edge may use.")] = "20MB",
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many images.")] = 10,
) -> None:
    """All of it on this machine over loopback: profile, front, plan, server, run, report, plot."""
    from lmos.commands import demo as command

    command.run(output, bandwidth, memory, n)


def emulate(
    network: Annotated[str, typer.Argument(metavar="[NETWORK]", help="A torchvision model.")] = "alexnet",
    select: Annotated[str, typer.Option(metavar="RULE", help="As in lmos plan; both sides get work.")] = "min_latency",
    rate: Annotated[str, typer.Option(metavar="RATE", help="The link's.")] = "10Mbps",
    cpus: Annotated[float, typer.Option(metavar="SHARE", help="Of a processor, for the edge.")] = 0.5,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="The edge's, torch included.")] = "1GB",
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many images.")] = 10,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Keep profiles, plan and report.")] = None,
    as_json: Json = False,
) -> None:
    """An edge with little memory and half a processor, a server, a slow link: on this machine, where root is to be had."""
    from lmos.commands import emulate as command

    command.run(command.Request(network=network, select=select, rate=rate, cpus=cpus, memory=memory, n=n, output=output,
                                as_json=as_json))  # fmt: skip


def doctor(as_json: Json = False) -> None:
    """What is installed, which solvers there are, and what this machine can."""
    from lmos.commands import doctor as command

    command.run(as_json)


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="fig1 to fig7, table1 to table4. [default: all]")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")] = Path("lmos-reproduce"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of everything that is random.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes that trace fronts. [default: one for each processor]")
    ] = None,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Trace them on this Dask scheduler's workers.")] = None,
    solver: SolverName = "highs",
    measure: Annotated[
        bool | None,
        typer.Option("--measure/--no-measure", help="Run all that the paper measured, hours; or nothing. [default: a short part]"),
    ] = None,
) -> None:
    """The paper's tables and figures, beside the paper's numbers; goes on where an earlier run into DIR stopped."""
    from lmos.commands import reproduce as command

    command.run(command.Request(names=names or [], output=output, seed=seed, solver=solver, jobs=jobs, dask=dask,
                                measure=measure))  # fmt: skip
