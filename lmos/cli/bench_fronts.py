"""The commands `lmos bench ...` that judge fronts. Only signatures stand here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import Json, OnlyNetworks, Page, SolverName


def exactness(
    kind: Annotated[
        str,
        typer.Option(
            metavar="split|milp", help="Test fronts of split instances, or of Pyomo models as users write them."
        ),
    ] = "split",
    n: Annotated[
        int, typer.Option("-n", min=1, metavar="N", help="Number of instances (each with two fronts), or of models.")
    ] = 2000,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Seed of the first case (of each family); the next case has the next number."
        ),
    ] = 0,
    only: Annotated[
        list[int] | None,
        typer.Option("--only", min=0, metavar="SEED", help="Run only the case of this seed (repeatable)."),
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option("--family", metavar="NAME", help="Run only this family of models (repeatable).")
    ] = None,
    shrink: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Make this many failing models as small as possible, and print them."),
    ] = 10,
    places: Annotated[
        int | None,
        typer.Option(
            min=2, max=4, metavar="N", help="Number of places of all split instances. [default: 2, 3 and 4 mixed]"
        ),
    ] = None,
    scenarios: Annotated[
        bool, typer.Option("--scenarios", help="All split instances have 4 to 40 scenarios, and a measure over them as objective.")
    ] = False,
    codecs: Annotated[
        bool, typer.Option("--codecs", help="All split instances have codecs to choose among for each tensor that crosses.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Number of processes.")] = 2,
    solver: SolverName = "highs",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write one row for each front (.csv).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare fronts of random problems with enumeration. Problems are instances or models. Exit code 1 if a front is wrong."""
    from lmos_opt.errors import InputError

    if kind == "milp":
        from lmos.commands import bench_exactness_milp as command_milp

        asked = command_milp.Asked(n, seed, only or [], family or [], shrink)
        command_milp.run(asked, jobs, solver, output, as_json)
        return
    if kind != "split":
        raise InputError("--kind", f"{kind!r}: expected split or milp")
    from lmos.bench.exactness import Kind
    from lmos.commands import bench_exactness as command

    command.run(command.Seeds(n, seed, only or [], Kind(places, scenarios, codecs)), jobs, solver, output)


def placement(
    workloads: Annotated[
        list[str] | None,
        typer.Option(
            "--workload", metavar="NAME|FILE", help="Use only this workload (repeatable). [default: all that are bundled]"
        ),
    ] = None,
    places: Annotated[str, typer.Option(metavar="NUMBERS", help="Numbers of equal places.")] = "2,3,4,6",
    time_limit: Annotated[
        str, typer.Option("--time-limit", metavar="TIME", help="Time limit of this engine for one answer.")
    ] = "20min",
    raw_limit: Annotated[
        str,
        typer.Option(
            "--raw-limit", metavar="TIME", help="Time limit of the literature's program in HiGHS; 0s leaves it out."
        ),
    ] = "60s",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write one row for each answer (.csv).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Share published workloads out over equal places. Exit code 1 if a load is not within 1 % of the published one."""
    from lmos.commands import bench_placement as command

    command.run(command.Request(
        workloads=workloads or [], places=places, time_limit=time_limit, raw_limit=raw_limit, output=output, as_json=as_json,
    ))  # fmt: skip


def engines(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Bundled networks, profile or instance files, or package.module:callable, a function that gives a Pyomo model and "
            "a list of its objectives. [default: alexnet vgg19 mobilenet_v2]",
        ),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            "--engine",
            metavar="SOLVER[,OPTION=VALUE...]",
            help="A solver of integer programs, with options of its own if need be (repeatable). [default: each that is installed]",
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Number of rounds on each problem.")] = 5,
    time_limit: Annotated[
        str, typer.Option("--time-limit", metavar="TIME", help="Time limit of one front.")
    ] = "60s",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the order in which engines take their turns.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write results.csv, profiles.csv, profiles.png, machine.json."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time this search with one solver or another. Draws their performance profiles."""
    from lmos.commands import bench_engines as command

    command.run(command.Request(
        sources=sources or ["alexnet", "vgg19", "mobilenet_v2"], engines=engine or [], repeats=repeats, time_limit=time_limit,
        seed=seed, output=output, as_json=as_json,
    ))  # fmt: skip


def scale(
    only: OnlyNetworks = "*",
    output: Page = None,
    kept: Annotated[
        Path | None, typer.Option("--kept", metavar="DIR", help="Read profiles from this folder, and keep new ones there.")
    ] = None,
    time_limit: Annotated[str, typer.Option(metavar="TIME", help="End a front after this time.")] = "60s",
    as_json: Json = False,
) -> None:
    """Find fronts of torchvision's classifiers. They are found layer by layer, under both memory models."""
    from lmos.commands import bench_scale as command

    command.run(only, output, kept, time_limit, as_json)
