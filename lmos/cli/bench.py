"""The commands `lmos bench ...`. Only signatures stand here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import Json, SolverName, Threads

bench = typer.Typer(
    help="Measure on this machine.",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)


@bench.callback()
def _bench(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@bench.command("solvers")
def bench_solvers(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write results.csv, summary.csv, times.png, machine.json.")
    ] = None,
    suites: Annotated[str, typer.Option("--suites", metavar="NAMES", help="Which instances.")] = "chains,dags,published",
    only: Annotated[str, typer.Option("--only", metavar="PATTERN", help="Of these, the matching ones, e.g. 'chain44-*'.")] = "*",
    contestants: Annotated[str | None, typer.Option("--contestants", metavar="NAMES", help="[default: all]")] = None,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Rounds on each instance.")] = 5,
    time_limit: Annotated[
        str, typer.Option("--time-limit", metavar="TIME", help="What one contestant may spend on one instance.")
    ] = "120s",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the order and of what is random.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Small instances only.")] = False,
    instances: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Published instances. [default: the bundled ones]")
    ] = None,
    pyaugmecon_python: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A Python that has pyaugmecon. [default: an environment of its own, made once]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time, solves, points and exactness of this engine and of others, in turns, on the same instances."""
    from lmos.commands import bench as command

    command.solvers(command.Request(
        output=output, suites=suites, only=only, contestants=contestants, repeats=repeats, time_limit=time_limit, seed=seed,
        quick=quick, instances=instances, pyaugmecon_python=pyaugmecon_python, as_json=as_json,
    ))  # fmt: skip


@bench.command("sweep")
def bench_sweep(
    fronts: Annotated[int, typer.Option("-n", min=2, metavar="N", help="How many fronts.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes, and Dask workers.")] = 2,
    as_json: Json = False,
) -> None:
    """One sweep in one process, in several by joblib, and on as many Dask workers: times, and whether the tables are equal."""
    from lmos.commands import bench_sweep as command

    command.run(fronts, workers, as_json)


@bench.command("predictions")
def bench_predictions(
    networks: Annotated[
        str, typer.Option(metavar="NAMES", help="torchvision's names, each cut in three places.")
    ] = "alexnet,resnet18,vgg11,mobilenet_v2,squeezenet1_1,googlenet",
    images: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Images a cut.")] = 12,
    bandwidth: Annotated[str, typer.Option(metavar="RATE", help="What the link is held to.")] = "40Mbps",
    as_json: Json = False,
) -> None:
    """How far predicted latencies are from measured ones: networks timed here, cut, and run here in two processes."""
    from lmos.commands import bench_predictions as command

    command.run(networks, images, bandwidth, as_json)


@bench.command("runner")
def bench_runner(
    sizes: Annotated[
        str | None, typer.Option(metavar="SIZES", help="Of the tensor. [default: 4 KiB to 16 MiB, and 12.8 MB]")
    ] = None,
    peers: Annotated[str | None, typer.Option(metavar="NAMES", help="[default: all that are installed]")] = None,
    rounds: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Exchanges of each size by each peer.")] = 40,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the order in which peers take turns.")] = 0,
    as_json: Json = False,
) -> None:
    """An exchange beside a plain socket's, pyzmq's, gRPC's and gloo's. Exit code 1 above 1.5 times the socket's at 12.8 MB."""
    from runner.wire.spinning import spin_briefly

    spin_briefly()  # edge and server share this machine's cores, and no slow link parts them
    from lmos.commands import bench_runner as command

    command.run(sizes, peers, rounds, seed, as_json)


@bench.command("calibration")
def bench_calibration(
    networks: Annotated[
        str, typer.Option(metavar="NAMES", help="torchvision's names; each is predicted without itself.")
    ] = "alexnet,vgg16,resnet18,resnet50,squeezenet1_1,googlenet,inception_v3,densenet121,mobilenet_v2,mnasnet1_0,"
        "shufflenet_v2_x1_0,efficientnet_b0",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Keeps what was timed, and goes on from there.")
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """How far networks' times are from those of lines fitted without them: to the other networks, and to micro-benchmarks."""
    from lmos.commands import bench_calibration as command

    command.run(networks, output, threads, as_json)


@bench.command("pipeline")
def bench_pipeline(
    images: Annotated[int, typer.Option("-n", min=5, metavar="N", help="Images a pipelined run.")] = 40,
    only: Annotated[str | None, typer.Option("--only", metavar="STAGES", help="edge, link or server. [default: all]")] = None,
    as_json: Json = False,
) -> None:
    """Pipelined runs with each stage the slowest in turn. Exit code 1 below 0.9 of what the slowest alone allows."""
    from lmos.commands import bench_pipeline as command

    command.run(images, only, as_json)


@bench.command("batching")
def bench_batching(
    edges: Annotated[int, typer.Option(min=2, max=16, metavar="N", help="Edges at once.")] = 4,
    images: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Images of each a round.")] = 25,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="The server's threads.")] = 1,
    as_json: Json = False,
) -> None:
    """A server's throughput with several edges on equal tails, one image after another and in batches."""
    from lmos.commands import bench_batching as command

    command.run(edges, images, threads, as_json)


@bench.command("memory")
def bench_memory(
    networks: Annotated[
        str, typer.Option(metavar="NAMES", help="torchvision's names.")
    ] = "alexnet,vgg16,resnet50,mobilenet_v2,googlenet",
    cuts: Annotated[int, typer.Option(min=1, metavar="N", help="How many places each is cut in.")] = 5,
    as_json: Json = False,
) -> None:
    """The memory model `peak` beside what heads really take. Exit code 1 if a cut is off by over 10 % and over 8 MB."""
    from lmos.commands import bench_memory as command

    command.run(networks, cuts, as_json)


@bench.command("networks")
def bench_networks(
    only: Annotated[str, typer.Option("--only", metavar="PATTERN", help="The matching ones, e.g. 'resnet*'.")] = "*",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the page (.md).")] = None,
    as_json: Json = False,
) -> None:
    """Every classifier of torchvision: its layers, work and parameters, or the reason why it has no profile."""
    from lmos.commands import bench_networks as command

    command.run(only, output, as_json)


@bench.command("exactness")
def bench_exactness(
    kind: Annotated[str, typer.Option(metavar="split|milp", help="Split instances, or Pyomo models as people write.")] = "split",
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many instances, each with two fronts, or models.")] = 2000,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of the first (model of each family); the next has the next.")
    ] = 0,
    only: Annotated[list[int] | None, typer.Option("--only", min=0, metavar="SEED", help="This one only (repeatable).")] = None,
    family: Annotated[
        list[str] | None, typer.Option("--family", metavar="NAME", help="Of models, this family only (repeatable).")
    ] = None,
    shrink: Annotated[int, typer.Option(min=0, metavar="N", help="Print so many failing models, made as small as can be.")] = 10,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")] = 2,
    solver: SolverName = "highs",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write a row a front (.csv).")] = None,
    as_json: Json = False,
) -> None:
    """Fronts of random instances or models beside enumeration: how many are wrong. Exit code 1 if any is."""
    from lmos_opt.errors import InputError

    if kind == "milp":
        from lmos.commands import bench_exactness_milp as command_milp

        asked = command_milp.Asked(n, seed, only or [], family or [], shrink)
        command_milp.run(asked, jobs, solver, output, as_json)
        return
    if kind != "split":
        raise InputError("--kind", f"{kind!r}: expected split or milp")
    from lmos.commands import bench_exactness as command

    command.run(n, seed, only or [], jobs, solver, output)


@bench.command("codecs")
def bench_codecs(
    network: Annotated[str, typer.Option(metavar="NETWORK", help="A torchvision model, or code of your own.")] = "squeezenet1_1",
    codecs: Annotated[str, typer.Option("--codecs", metavar="NAMES", help="Which.")] = "raw,fp16,int8,zstd,jpeg:75",
    cuts: Annotated[str, typer.Option(metavar="all|N,N", help="All splits, or those after so many layers.")] = "all",
    pictures: Annotated[int | None, typer.Option("-n", min=1, metavar="N", help="How many. [default: all bundled ones]")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="A row a codec and split (.csv).")] = None,
    as_json: Json = False,
) -> None:
    """Codecs at every split: bytes, times, classes. Exit code 1 if int8 changes a class or takes over 0.27 of the bytes."""
    from lmos.commands import bench_codecs as command

    command.run(network, codecs, cuts, pictures, output, as_json)


@bench.command("fuzz")
def bench_fuzz(
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many inputs.")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same one makes the same inputs.")] = 0,
    only: Annotated[list[int] | None, typer.Option("--only", min=0, metavar="NUMBER", help="This input only (repeatable).")] = None,
    as_json: Json = False,
) -> None:
    """Conversations that were tampered with, in memory, to either side. Exit code 1 if one is not refused or understood."""
    from lmos.commands import bench_fuzz as command

    command.run(n, seed, only or [], as_json)


@bench.command("faults")
def bench_faults(
    n: Annotated[int, typer.Option("-n", min=3, metavar="N", help="Images a scene.")] = 40,
    only: Annotated[str | None, typer.Option("--only", metavar="NAMES", help="These scenes only.")] = None,
    pipeline: Annotated[bool, typer.Option("--pipeline", help="Several images under way at once.")] = False,
    as_json: Json = False,
) -> None:
    """Killed and frozen servers, bad links, a full disk, edges to refuse. Exit code 1 if an image is lost or its class differs."""
    from lmos.commands import bench_faults as command

    command.run(n, only, pipeline, as_json)


@bench.command("soak")
def bench_soak(
    n: Annotated[int, typer.Option("-n", min=100, metavar="N", help="How many exchanges.")] = 200_000,
    session: Annotated[int, typer.Option(min=1, metavar="N", help="Exchanges before the edge connects anew.")] = 1000,
    as_json: Json = False,
) -> None:
    """A long run of small exchanges. Exit code 1 if memory grows by 5 %, or a descriptor is left open, on either side."""
    from lmos.commands import bench_soak as command

    command.run(n, session, as_json)


@bench.command("hostile")
def bench_hostile(
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many connections.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Before each, the honest edge is alone for 100 exchanges.")] = 10,
    concurrent: Annotated[int, typer.Option(min=1, metavar="N", help="Connections at once.")] = 32,
    rate: Annotated[float, typer.Option(min=0.1, metavar="N", help="New ones a second, at most.")] = 1e6,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of what they do.")] = 0,
    as_json: Json = False,
) -> None:
    """Hostile connections to a server while an honest edge uses it. Exit code 1 if that hurts either of them."""
    from lmos.commands import bench_hostile as command

    command.run(n, rounds, concurrent, rate, seed, as_json)


@bench.command("adapt")
def bench_adapt(
    network: Annotated[str, typer.Option(metavar="NAME", help="torchvision's name.")] = "alexnet",
    steps: Annotated[str, typer.Option(metavar="RATES", help="What the link is held to, in turn.")] = "2Mbps,50Mbps,5Mbps",
    n: Annotated[int, typer.Option("-n", min=8, metavar="N", help="Images a step, a multiple of 8.")] = 96,
    share: Annotated[float, typer.Option(min=0.01, max=1.0, metavar="X", help="Of the time, that the edge may run.")] = 0.08,
    as_json: Json = False,
) -> None:
    """A link in steps: a run that adapts beside each fixed cut. Exit code 1 above 1.15 of the best one, or if images are lost."""
    from lmos.commands import bench_adapt as command

    command.run(network, steps, n, share, as_json)
