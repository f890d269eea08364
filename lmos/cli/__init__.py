"""The command line `lmos`. Only signatures stand here; a command's code is imported when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.bench import bench
from lmos.cli.command_line import run_command_line
from lmos.cli.options import (
    Authority,
    Back,
    Bandwidth,
    Certificate,
    Codec,
    Constrain,
    Constraints,
    Edge,
    Json,
    Link,
    LogFormat,
    LogLevel,
    Memory,
    MemoryModel,
    Metrics,
    Networks,
    Objectives,
    OwnVariables,
    PrivateKey,
    ProperSplit,
    Rtt,
    Server,
    SolverName,
    Source,
    Threads,
    TokenFile,
    Unprotected,
)

app = typer.Typer(
    name="lmos",
    help="Decide exactly where to cut a neural network between an edge device and a server, and run it cut there.",
    invoke_without_command=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.add_typer(bench, name="bench")


def _version(asked: bool) -> None:
    if asked:
        import lmos_opt

        typer.echo(f"lmos {lmos_opt.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
def profile(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="A torchvision model or package.module:callable.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the profile (.json).")] = None,
    granularity: Annotated[
        str | None, typer.Option(metavar="paper|module", help="[default: paper for the paper's five networks, else module]")
    ] = None,
    input_shape: Annotated[str, typer.Option("--input", metavar="CxHxW", help="The input's shape.")] = "3x224x224",
    time: Annotated[bool, typer.Option("--time", help="Measure each layer's time and memory on this machine.")] = False,
    precision: Annotated[
        str, typer.Option(metavar="PERCENT", help="With --time: repeat until medians are as sure as this ...")
    ] = "5%",
    budget: Annotated[str, typer.Option(metavar="TIME", help="... or this time is spent.")] = "10s",
    weights: Annotated[
        str | None,
        typer.Option(metavar="WEIGHTS", help="A state dict file, a published entry (IMAGENET1K_V1), or seeded:N."),
    ] = None,
    threads: Threads = None,
    codecs: Annotated[
        list[str] | None,
        typer.Option("--codec", metavar="NAME", help="Measure what it makes of every layer's output here (repeatable)."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every layer, not only those that count most.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the parts of every cut's latency: .png, .svg, .pdf or .html."),
    ] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    as_json: Json = False,
) -> None:
    """Layers, arcs, work, weights and outputs of a network; with --time, this machine's time for each layer."""
    from lmos.commands import profile as command
    from lmos_opt.sources import Options

    command.run(network, output, granularity, input_shape, time, weights, threads, precision, budget, codecs or [], every, plot,
                Options(edge, server, bandwidth, rtt, back=back), as_json)


@app.command()
def calibrate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The device file (.json).")],
    budget: Annotated[str, typer.Option(metavar="TIME", help="What timing may take; all else takes some 15 s.")] = "60s",
    threads: Threads = None,
    transmit_power: Annotated[
        float | None, typer.Option(min=0, metavar="WATTS", help="While sending, which no meter tells; where one tells the rest.")
    ] = None,
    scale_to: Annotated[
        str | None, typer.Option("--scale-to", metavar="DEVICE", help="A device with 'rates': this machine's times, stretched.")
    ] = None,
    as_json: Json = False,
) -> None:
    """This machine as a device file: micro-benchmarks, and the lines fitted to them that predict any network's layers."""
    from lmos.commands import calibrate as command

    command.run(output, budget, threads, transmit_power, scale_to, as_json)


@app.command()
def front(
    source: Source,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it: .json, .csv or .parquet.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .svg, .pdf or .html.")] = None,
    select: Annotated[str | None, typer.Option(metavar="RULE", help="Mark the point this rule chooses.")] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    objectives: Objectives = "latency,memory",
    constrain: Constrain = None,
    proper_split: ProperSplit = False,
    variables: OwnVariables = None,
    constraints: Constraints = None,
    solver: SolverName = "highs",
    time_limit: Annotated[str | None, typer.Option(metavar="TIME", help="Stop then, with what was found.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="FILE", help="Go on from an incomplete front.")] = None,
    codec: Codec = None,
    as_json: Json = False,
) -> None:
    """The exact Pareto front of latency against edge memory, or of any objectives."""
    from lmos.commands import front as command
    from lmos.questions import Question
    from lmos_opt.sources import Options

    question = Question(source, Options(edge, server, bandwidth, rtt, memory, link, back), memory_model, objectives, constrain,
                        proper_split, solver, tuple(constraints or ()), codec, tuple(variables or ()))
    command.run(question, output, plot, select, time_limit, resume, as_json)


@app.command()
def plan(
    source: Source,
    select: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="lmos, knee, ideal, min_latency, budget:SECONDS, slack:PERCENT, cut:N, ECO, SCO, RS:SEED, DADS or Neurosurgeon.",
        ),
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the plan (.json).")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the graph and its cut: .png, .svg or .pdf.")
    ] = None,
    between: Annotated[
        str | None,
        typer.Option("--policy", metavar="LOW..HIGH", help="Add what RULE chooses at each bandwidth, for lmos run --adapt."),
    ] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    objectives: Objectives = "latency,memory",
    constrain: Constrain = None,
    proper_split: ProperSplit = False,
    variables: OwnVariables = None,
    constraints: Constraints = None,
    solver: SolverName = "highs",
    codec: Codec = None,
    as_json: Json = False,
) -> None:
    """Choose one split and write what the runner executes."""
    from lmos.commands import plan as command
    from lmos.questions import Question
    from lmos_opt.sources import Options

    question = Question(source, Options(edge, server, bandwidth, rtt, memory, link, back), memory_model, objectives, constrain,
                        proper_split, solver, tuple(constraints or ()), codec, tuple(variables or ()))
    command.run(question, select, output, plot, between, as_json)


@app.command()
def policy(
    source: Source,
    select: Annotated[
        str, typer.Option(metavar="RULE", help="lmos, knee, ideal, min_latency, budget:SECONDS or slack:PERCENT.")
    ],
    over: Annotated[str, typer.Option(metavar="bandwidth|memory", help="What varies.")] = "bandwidth",
    between: Annotated[
        str | None,
        typer.Option("--range", metavar="LOW..HIGH", help="[default: 1Mbps..200Mbps, or 0 to the most that any split uses]"),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it: .json or .csv.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .svg, .pdf or .html.")] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    solver: SolverName = "highs",
    codec: Codec = None,
    as_json: Json = False,
) -> None:
    """What a rule chooses at every bandwidth of a range, or under every memory limit: exact, not sampled."""
    from lmos.commands import policy as command
    from lmos.questions import Question
    from lmos_opt.sources import Options

    question = Question(source, Options(edge, server, bandwidth, rtt, memory, link, back), memory_model, "latency,memory", None,
                        proper_split, solver, codec=codec)
    command.run(question, select, over, between, output, plot, as_json)


@app.command()
def ui(
    source: Source,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Of the page; 0 picks one.")] = 7080,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    solver: SolverName = "highs",
) -> None:
    """A page on this machine where sliders for bandwidth, memory and speeds move the front and the choice."""
    from lmos.commands import ui as command
    from lmos.questions import Question
    from lmos_opt.sources import Options

    question = Question(source, Options(edge, server, bandwidth, rtt, memory, link, back), memory_model, "latency,memory", None,
                        proper_split, solver)
    command.run(question, port)


@app.command()
def serve(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 picks one.")] = "127.0.0.1:7070",
    networks: Networks = None,
    weights: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A state dict that plans may name (repeatable).")
    ] = None,
    plans: Annotated[
        list[Path] | None,
        typer.Option("--plan", metavar="FILE", help="Run the networks of these plans alone (repeatable). [default: any known]"),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="The server's certificate (PEM): encrypts.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Let in edges with a certificate of this authority alone.")
    ] = None,
    token_file: TokenFile = None,
    unprotected: Annotated[
        bool,
        typer.Option("--unprotected", help="Listen beyond this machine without token and TLS: anybody may use and read it."),
    ] = False,
    threads: Threads = None,
    batch: Annotated[
        int,
        typer.Option(min=1, max=64, metavar="N", help="Compute up to N edges' images at once where faster; last bits may differ."),
    ] = 1,
    shape: Annotated[str | None, typer.Option(metavar="RATE[,DELAY]", help="Hold the sending side to a rate and a delay.")] = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    metrics: Metrics = None,
) -> None:
    """The server side: runs the tail of the plans that edges open. On SIGTERM or Ctrl-C it finishes what was asked."""
    from lmos.commands import serve as command
    from lmos.commands.watching import Watch

    command.run(listen, networks or [], weights or [], plans or [], tls_cert, tls_key, client_ca, token_file, unprotected,
                threads, batch, shape, Watch(log_format, log_level, metrics))


@app.command()
def certs(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")],
    hosts: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="NAME", help="A name or address of the server (repeatable). [default: this machine]"),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, metavar="N", help="How long they hold.")] = 365,
) -> None:
    """A private authority for a laboratory: certificates and keys for a server and an edge, and a token."""
    from lmos.commands import certs as command

    command.run(output, hosts or [], days)


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")],
    server: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where 'lmos serve' listens.")] = "127.0.0.1:7070",
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder of pictures. [default: bundled ones]")] = None,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Leave out pictures that cannot be read; the report lists them.")
    ] = False,
    n: Annotated[int | None, typer.Option("-n", min=1, metavar="N", help="How many images. [default: each once]")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report (.json).")] = None,
    shape: Annotated[
        str | None, typer.Option(metavar="RATE[,RATE@TIME]...[,DELAY]", help="Hold the sending side to rates and a delay.")
    ] = None,
    networks: Networks = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The state dict, where the plan's lies elsewhere.")
    ] = None,
    pipeline: Annotated[
        bool, typer.Option("--pipeline", help="Several images under way at once: more of them a second, each slower.")
    ] = False,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Change the cut with the link, as the plan's policy says (lmos plan --policy).")
    ] = False,
    deadline: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Finish an image here after so long. [default: 30s, or 10 times the prediction]"),
    ] = None,
    ca: Authority = None,
    cert: Certificate = None,
    key: PrivateKey = None,
    token_file: TokenFile = None,
    unprotected: Unprotected = False,
    threads: Threads = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write where the time went (.json), for Perfetto or chrome://tracing.")
    ] = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    metrics: Metrics = None,
    compared: Annotated[
        int, typer.Option("--compare", min=0, metavar="N", help="Pictures that show what the plan's codec changes, after the run.")
    ] = 8,
    as_json: Json = False,
) -> None:
    """The edge side: execute a plan and report measured stages beside the predicted ones."""
    from runner.wire.spinning import shares_cores, spin_briefly

    if shares_cores(server, shape is not None, pipeline):
        spin_briefly()  # before torch is loaded
    from lmos.commands import run as command
    from lmos.commands.run import Manner
    from lmos.commands.watching import Watch

    manner = Manner(pipeline, deadline, ca, cert, key, token_file, unprotected, trace, Watch(log_format, log_level, metrics),
                    compared, adapt, skip_bad_images)
    command.run(plan, server, images, n, output, shape, networks or [], weights, threads, as_json, manner)


@app.command()
def probe(
    server: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where 'lmos serve' listens.")] = "127.0.0.1:7070",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the link (.json).")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The link's name. [default: the server's address]")] = None,
    budget: Annotated[str, typer.Option(metavar="TIME", help="What measuring may take.")] = "5s",
    volume: Annotated[str, typer.Option(metavar="SIZE", help="What may be sent for it.")] = "32MB",
    shape: Annotated[
        str | None, typer.Option(metavar="RATE[,RATE@TIME]...[,DELAY]", help="Hold the sending side to rates and a delay.")
    ] = None,
    ca: Authority = None,
    cert: Certificate = None,
    key: PrivateKey = None,
    token_file: TokenFile = None,
    unprotected: Unprotected = False,
    as_json: Json = False,
) -> None:
    """Measure the link to a server: its rate from here to there, and what an exchange costs, each with its interval."""
    from lmos.commands import probe as command
    from lmos.commands.run import Manner

    manner = Manner(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected)
    command.run(server, output, name, budget, volume, shape, as_json, manner)


@app.command()
def trace(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A file that 'lmos run' wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The trace (.json).")],
) -> None:
    """Where the time of a run went, for Perfetto or chrome://tracing: what 'lmos run --trace' writes, from its report."""
    from lmos.commands import trace as command

    command.run(report, output)


@app.command()
def report(
    file: Annotated[Path, typer.Argument(metavar="PLAN|REPORT|FRONT", help="A file that lmos wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The page (.html).")],
    source: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="What it was made from, where that is no bundled network.")
    ] = None,
    select: Annotated[str | None, typer.Option(metavar="RULE", help="Of a front: the choice to show.")] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
) -> None:
    """One page to send to somebody: what was asked, the front, the choice and why, the cut, predicted beside measured."""
    from lmos.commands import report as command
    from lmos_opt.sources import Options

    command.run(file, output, source, Options(edge, server, bandwidth, rtt, memory, link, back), memory_model, select)


@app.command()
def export(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")],
    to: Annotated[str, typer.Option("--to", metavar="onnx|torch", help="ONNX, or programs of torch.export.")] = "onnx",
    networks: Networks = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The state dict, where the plan's lies elsewhere.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The two halves of a plan as programs for other runtimes, compared with torch."""
    from lmos.commands import export as command

    command.run(plan, output, to, networks or [], weights, as_json)


@app.command()
def model(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where it goes: .lp or .mps.")],
    objective: Annotated[str, typer.Option(metavar="NAME", help="What is optimised; your own: module:NAME.")] = "latency",
    bounds: Annotated[
        list[str] | None,
        typer.Option("--bound", metavar="NAME=NUMBER", help="An objective that may be no worse, in its unit (repeatable)."),
    ] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    variables: OwnVariables = None,
    constraints: Constraints = None,
) -> None:
    """The integer program as a file that any solver reads."""
    from lmos.commands import model as command
    from lmos.questions import Question
    from lmos_opt.sources import Options

    question = Question(source, Options(edge, server, bandwidth, rtt, memory, link, back), memory_model, objective, None,
                        proper_split, "highs", tuple(constraints or ()), variables=tuple(variables or ()))
    command.run(question, output, bounds or [])


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")] = Path("lmos-demo"),
    bandwidth: Annotated[str, typer.Option(metavar="RATE", help="The emulated link.")] = "20Mbps",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What the edge may use.")] = "20MB",
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many images.")] = 10,
) -> None:
    """All of it on this machine over loopback: profile, front, plan, server, run, report, plot."""
    from lmos.commands import demo as command

    command.run(output, bandwidth, memory, n)


@app.command()
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

    command.run(network, select, rate, cpus, memory, n, output, as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, which solvers there are, and what this machine can."""
    from lmos.commands import doctor as command

    command.run(as_json)


@app.command()
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

    command.run(names or [], output, seed, solver, jobs, dask, measure)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; every failure is one line on standard error and an exit code (2, 3 or 1)."""
    return run_command_line(app, arguments)


if __name__ == "__main__":
    sys.exit(main())
