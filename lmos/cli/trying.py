"""The commands that try it all out: on this machine, and the paper's experiments.

Only signatures stand here; a command's code is imported when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import Dask, EmulatedRate, Folder, Json, NumberOfImages, SolverName


def demo(
    output: Folder = Path("lmos-demo"),
    bandwidth: EmulatedRate = "20Mbps",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Memory that the edge may use.")] = "20MB",
    n: NumberOfImages = 10,
) -> None:
    """Show every step on this machine. The steps are profile, front, plan, server, run, report and plot."""
    from lmos.commands import demo as command

    command.run(output, bandwidth, memory, n)


def emulate(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="A torchvision model.")] = "alexnet",
    select: Annotated[
        str, typer.Option(metavar="RULE", help="A rule, as for lmos plan. Edge and server each get at least one layer.")
    ] = "min_latency",
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="RATE", help="Bandwidth of the link. [default: 10Mbps]")
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Processors for the edge: 0.5 is half of one. [default: 0.5]")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of the edge, with torch in it. [default: 1GB]")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="PATH", help="Places and hops instead: '0.25,1GB > 10Mbps > 0.5 > 100Mbps > all'."),
    ] = None,
    n: NumberOfImages = 10,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder in which to keep profiles, plan and report."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Emulate a small device, a server and a slow link. All run on this machine. Needs root."""
    from lmos.commands import emulate as command

    command.run(command.Request(network=network, select=select, path=path, rate=rate, cpus=cpus, memory=memory, n=n, output=output,
                                as_json=as_json))  # fmt: skip


def doctor(as_json: Json = False) -> None:
    """Say what is installed, and what this machine can do. Each solver is tried."""
    from lmos.commands import doctor as command

    command.run(as_json)


def cache(
    what: Annotated[str | None, typer.Argument(metavar="clear", help="Remove all of them.")] = None,
    as_json: Json = False,
) -> None:
    """List the profiles that are kept, or clear them. They are kept so that no network is traced twice."""
    from lmos.commands import cache as command

    command.run(what, as_json)


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The ranges to vary and the values to find (.toml).")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The table (.parquet). [default: FILE.parquet]")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of processes. [default: one for each processor]")
    ] = None,
    dask: Dask = None,
) -> None:
    """Find thousands of fronts, or rules' choices, into one table. A sweep that was ended continues where it was."""
    from lmos.commands import sweep as command

    command.run(file, output, jobs, dask)


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="fig1 to fig7, table1 to table4. [default: all]")
    ] = None,
    output: Folder = Path("lmos-reproduce"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of all random numbers.")] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Number of processes that find fronts. [default: one for each processor]"
        ),
    ] = None,
    dask: Dask = None,
    solver: SolverName = "highs",
    measure: Annotated[
        bool | None,
        typer.Option(
            "--measure/--no-measure",
            help="Repeat all of the paper's measurements (takes hours), or none. [default: a short part of them]",
        ),
    ] = None,
) -> None:
    """Compute the paper's tables and figures beside its numbers. Continues an earlier run into DIR."""
    from lmos.commands import reproduce as command

    command.run(command.Request(names=names or [], output=output, seed=seed, solver=solver, jobs=jobs, dask=dask,
                                measure=measure))  # fmt: skip
