"""The commands of `lmos`, in the order of its help."""

from __future__ import annotations

from typing import Annotated

import typer

from lmos.cli import (
    bench_engines,
    bench_fronts,
    bench_losses,
    bench_places,
    links,
    planning,
    profiling,
    running,
    trying,
)
from lmos.cli.bench import bench

app = typer.Typer(
    name="lmos",
    help="Decide exactly where to cut a neural network between an edge device and a server, and run both parts.",
    epilog="Exit codes: 0 done; 1 failed, interrupted or incomplete; 2 wrong input; 3 no split is feasible.",
    invoke_without_command=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
bench.command("exactness")(bench_fronts.exactness)
bench.command("placement")(bench_fronts.placement)
bench.command("engines")(bench_fronts.engines)
bench.command("scale")(bench_fronts.scale)
bench.command("gpu")(bench_engines.gpu)
bench.command("edge")(bench_engines.edge)
bench.command("parts")(bench_engines.parts)
bench.command("places")(bench_places.places)
bench.command("tokens")(bench_places.tokens)
bench.command("promises")(links.promises)
bench.command("fidelity")(bench_losses.fidelity)
app.add_typer(bench, name="bench")


def _version(asked: bool) -> None:
    if asked:
        import lmos_opt

        typer.echo(f"lmos {lmos_opt.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


for _command in (
    profiling.profile,
    planning.calibrate,
    planning.front,
    planning.plan,
    planning.policy,
    profiling.fidelity,
    planning.ui,
    running.serve,
    running.certs,
    running.run,
    running.generate,
    running.probe,
    links.trace_link,
    links.scenarios,
    running.trace,
    planning.report,
    planning.regions,
    running.export,
    planning.model,
    trying.demo,
    trying.emulate,
    trying.doctor,
    trying.cache,
    trying.reproduce,
    trying.sweep,
):
    app.command()(_command)
