"""The commands `lmos bench ...`. Only signatures stand here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import ImagesOfARun, Json, OnlyNetworks, Page, Threads
from lmos_opt.processes import MOST_THREADS

bench = typer.Typer(
    help="Run benchmarks on this machine.",
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
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write results.csv, summary.csv, times.png, machine.json."),
    ] = None,
    suites: Annotated[
        str, typer.Option("--suites", metavar="NAMES", help="Sets of instances to use.")
    ] = "chains,dags,published",
    only: Annotated[
        str,
        typer.Option(
            "--only", metavar="PATTERN", help="Use only instances whose name matches, for example 'chain44-*'."
        ),
    ] = "*",
    contestants: Annotated[
        str | None, typer.Option("--contestants", metavar="NAMES", help="Contestants to compare. [default: all]")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Number of rounds on each instance.")] = 5,
    time_limit: Annotated[
        str, typer.Option("--time-limit", metavar="TIME", help="Time limit of one contestant for one instance.")
    ] = "120s",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the order and of all random numbers.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Use small instances only.")] = False,
    instances: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of published instances. [default: the bundled ones]")
    ] = None,
    pyaugmecon_python: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="A Python that has pyaugmecon. [default: an environment that this command makes once]"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare this search with others on the same instances. The table has time, solves, points and exactness."""
    from lmos.commands import bench as command

    command.solvers(command.Request(
        output=output, suites=suites, only=only, contestants=contestants, repeats=repeats, time_limit=time_limit, seed=seed,
        quick=quick, instances=instances, pyaugmecon_python=pyaugmecon_python, as_json=as_json,
    ))  # fmt: skip


@bench.command("sweep")
def bench_sweep(
    fronts: Annotated[int, typer.Option("-n", min=2, metavar="N", help="Number of fronts.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Number of processes, and of Dask workers.")] = 2,
    as_json: Json = False,
) -> None:
    """Time one sweep of VGG19 in one process and in several. The several are joblib's, and Dask's. Checks its fronts with all
    cuts."""
    from lmos.commands import bench_sweep as command

    command.run(fronts, workers, as_json)


@bench.command("predictions")
def bench_predictions(
    networks: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Networks by torchvision's names; each is cut in three places. [default: six, or none if --regret has some]",
        ),
    ] = None,
    images: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Number of images for each cut in each round.")] = 12,
    bandwidth: Annotated[
        str, typer.Option("--link", "--bandwidth", metavar="RATE", help="Bandwidth of the emulated link.")
    ] = "40Mbps",
    stages: Annotated[
        bool,
        typer.Option(
            "--stages",
            help="Compare each stage, and say which predictions are off and why. Exit code 1 above 10 % in the median or "
            "30 % at worst.",
        ),
    ] = False,
    regret: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Measure every cut of these networks: the chosen cut's latency divided by the best cut's. "
            "Exit code 1 above 1.05 in the median or 1.15 at worst.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare predicted latencies with measured ones. Networks are timed, cut, and run here in two processes."""
    from runner.wire.spinning import spin_briefly

    spin_briefly()  # edge and server share this machine's cores
    from lmos.commands import bench_predictions as command

    command.run(command.Request(networks=networks, images=images, bandwidth=bandwidth, stages=stages, regret=regret,
                                as_json=as_json))  # fmt: skip


@bench.command("runner")
def bench_runner(
    sizes: Annotated[
        str | None, typer.Option("--sizes", metavar="SIZES", help="Sizes of the tensor. [default: 4 KiB to 16 MiB, and 12.8 MB]")
    ] = None,
    peers: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Libraries to compare with. [default: all that are installed]")
    ] = None,
    rounds: Annotated[
        int, typer.Option("-n", min=1, metavar="N", help="Number of exchanges of each size by each library.")
    ] = 250,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the order in which libraries take turns.")] = 0,
    rest: Annotated[
        str, typer.Option(metavar="TIME", help="Rest before each exchange, so that it finds cold caches. Nothing is promised then.")
    ] = "0s",
    as_json: Json = False,
) -> None:
    """Compare an exchange with plain sockets, pyzmq, gRPC and gloo. Exit code 1 if slower than gRPC, or over 1.5 times a socket's
    time at 12.8 MB.

    Libraries take turns of 50 exchanges in a row. Each side has one half of the processors, as on two machines.
    """
    from runner.wire.spinning import spin_briefly

    spin_briefly()  # edge and server share this machine's cores
    from lmos.commands import bench_runner as command

    command.run(sizes, peers, rounds, seed, rest, as_json)


@bench.command("calibration")
def bench_calibration(
    networks: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="Networks by torchvision's names; the model for each is fitted to the others."
        ),
    ] = "alexnet,vgg16,resnet18,resnet50,squeezenet1_1,googlenet,inception_v3,densenet121,mobilenet_v2,mnasnet1_0,"
    "shufflenet_v2_x1_0,efficientnet_b0",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Folder that keeps what was timed; a later run continues from it."
        ),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Compare networks' times with predictions by fitted models. They are fitted to other networks, and to micro-benchmarks."""
    from lmos.commands import bench_calibration as command

    command.run(networks, output, threads, as_json)


@bench.command("pipeline")
def bench_pipeline(
    images: ImagesOfARun = 40,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="STAGES", help="Stages to make slow: edge, link or server. [default: all]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure pipelined runs, each stage the slowest in turn. Exit code 1 below 0.9 of the slowest's rate."""
    from lmos.commands import bench_pipeline as command

    command.run(images, only, as_json)


@bench.command("connect")
def bench_connect(
    arrays: Annotated[int, typer.Option("-n", min=10, metavar="N", help="Number of arrays in each round.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Number of rounds.")] = 5,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the arrays and of the order.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare rates of arrays: connect and lmos run --pipeline. Exit code 1 below 0.95 of the second rate."""
    from lmos.commands import bench_connect as command

    command.run(arrays, rounds, seed, as_json)


@bench.command("batching")
def bench_batching(
    edges: Annotated[int, typer.Option(min=2, max=16, metavar="N", help="Number of edges at once.")] = 4,
    images: Annotated[
        int, typer.Option("-n", min=1, metavar="N", help="Number of images of each edge in a round.")
    ] = 25,
    threads: Annotated[int, typer.Option(min=1, max=MOST_THREADS, metavar="N", help="Number of the server's threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure a server's throughput for several edges. Their tails are equal, and run one image after another and in batches."""
    from lmos.commands import bench_batching as command

    command.run(edges, images, threads, as_json)


@bench.command("memory")
def bench_memory(
    networks: Annotated[
        str, typer.Option(metavar="NAMES", help="Networks by torchvision's names.")
    ] = "alexnet,vgg16,resnet50,mobilenet_v2,googlenet",
    cuts: Annotated[int, typer.Option(min=1, metavar="N", help="Number of cuts of each network.")] = 5,
    as_json: Json = False,
) -> None:
    """Compare the memory model `peak` with measured memory. Exit code 1 if a cut is off by over 10 % and over 8 MB."""
    from lmos.commands import bench_memory as command

    command.run(networks, cuts, as_json)


@bench.command("networks")
def bench_networks(
    only: OnlyNetworks = "*",
    output: Page = None,
    as_json: Json = False,
) -> None:
    """List torchvision's classifiers: layers, work, parameters. Says why one has no profile."""
    from lmos.commands import bench_networks as command

    command.run(only, output, as_json)


@bench.command("codecs")
def bench_codecs(
    network: Annotated[
        str, typer.Option("--network", metavar="NETWORK", help="A torchvision model, or code of your own.")
    ] = "squeezenet1_1",
    codecs: Annotated[
        str, typer.Option("--codecs", metavar="NAMES", help="Codecs to compare.")
    ] = "raw,fp16,int8,zstd,jpeg:75",
    cuts: Annotated[
        str,
        typer.Option(
            metavar="all|N,N", help="Use all splits, or only the splits with these numbers of layers at the edge."
        ),
    ] = "all",
    pictures: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="Number of pictures. [default: all bundled ones]")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write one row for each codec and split (.csv)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare codecs at every split: bytes, times, classes. Exit code 1 if int8 changes a class or takes over 0.27 of the bytes."""
    from lmos.commands import bench_codecs as command

    command.run(network, codecs, cuts, pictures, output, as_json)


@bench.command("fuzz")
def bench_fuzz(
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Number of inputs.")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed; the same seed makes the same inputs.")] = 0,
    only: Annotated[
        list[int] | None, typer.Option("--only", min=0, metavar="NUMBER", help="Run only this input (repeatable).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give damaged conversations to both sides, in memory. Exit code 1 if one is neither refused nor understood."""
    from lmos.commands import bench_fuzz as command

    command.run(n, seed, only or [], as_json)


@bench.command("faults")
def bench_faults(
    n: Annotated[int, typer.Option("-n", min=3, metavar="N", help="Number of images in each scene.")] = 40,
    only: Annotated[str | None, typer.Option("--only", metavar="NAMES", help="Run only these scenes.")] = None,
    pipeline: Annotated[bool, typer.Option("--pipeline", help="Run several images at once.")] = False,
    as_json: Json = False,
) -> None:
    """Kill and freeze servers, break links, fill a disk. Bad edges come, too. Exit code 1 if an image is lost or its class
    differs."""
    from lmos.commands import bench_faults as command

    command.run(n, only, pipeline, as_json)


@bench.command("soak")
def bench_soak(
    n: Annotated[int, typer.Option("-n", min=100, metavar="N", help="Number of exchanges.")] = 200_000,
    session: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of exchanges before the edge connects again.")
    ] = 1000,
    as_json: Json = False,
) -> None:
    """Run many small exchanges. Exit code 1 if memory grows by 5 % on a side, or a descriptor stays open."""
    from lmos.commands import bench_soak as command

    command.run(n, session, as_json)


@bench.command("hostile")
def bench_hostile(
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Number of hostile connections.")] = 10_000,
    rounds: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Number of rounds; before each, the honest edge makes 100 exchanges alone."
        ),
    ] = 10,
    concurrent: Annotated[int, typer.Option(min=1, metavar="N", help="Number of connections at once.")] = 32,
    rate: Annotated[float, typer.Option(min=0.1, metavar="N", help="Most new connections per second.")] = 1e6,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the connections' attacks.")] = 0,
    middle: Annotated[bool, typer.Option("--middle", help="Attack the second of three places, which asks the third.")] = False,
    as_json: Json = False,
) -> None:
    """Attack a server while an honest edge uses it. Exit code 1 if this harms the server or the edge."""
    from lmos.commands import bench_hostile as command

    command.run(n, rounds, concurrent, rate, seed, middle, as_json)


@bench.command("adapt")
def bench_adapt(
    network: Annotated[str, typer.Option(metavar="NAME", help="A network by torchvision's name.")] = "alexnet",
    steps: Annotated[
        str, typer.Option(metavar="RATES", help="Bandwidths of the emulated link, one after another.")
    ] = "2Mbps,50Mbps,5Mbps",
    n: Annotated[
        int, typer.Option("-n", min=8, metavar="N", help="Number of images in each step, a multiple of 8.")
    ] = 96,
    share: Annotated[
        float, typer.Option(min=0.01, max=1.0, metavar="X", help="Share of a processor that the edge gets.")
    ] = 0.08,
    as_json: Json = False,
) -> None:
    """Compare an adapting run with fixed cuts on a changing link. Exit code 1 above 1.15 of the best, or if images are lost."""
    from lmos.commands import bench_adapt as command

    command.run(network, steps, n, share, as_json)


@bench.command("zoo")
def bench_zoo(
    names: Annotated[
        str | None, typer.Option("--names", metavar="NAMES", help="These networks only, with * for any text: 'hf:*,resnet50'.")
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="Time limit of one network.")] = "10min",
    output: Page = None,
    kept: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of results, one network on each line; networks in it are not visited again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Split more than a hundred architectures at random cuts. Exit code 1 if halves give other bits than the whole network."""
    from lmos.commands import bench_zoo as command

    command.run(names, timeout, output, kept, as_json)
