"""The command line `lmos`. Only signatures stand here; a command's code is imported when it is called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lmos_opt.errors import LmosError, MissingExtraError
from runner.errors import one_line

app = typer.Typer(
    name="lmos",
    help="Decide exactly where to cut a neural network between an edge device and a server, and run it cut there.",
    invoke_without_command=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
bench = typer.Typer(
    help="Measure on this machine.",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)
app.add_typer(bench, name="bench")
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""The common base of the command line's own complaints."""
_INTERRUPTED = 130
"""What some versions of typer make of a KeyboardInterrupt."""

_TORCH = frozenset({"PIL", "safetensors", "torch", "torchvision"})
"""What the extra `torch` installs."""

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A bundled network (vgg19), a profile or an instance file.")]
Edge = Annotated[str | None, typer.Option("--edge", metavar="DEVICE", help="Device, device file or 'local'. [default: rpi4]")]
Server = Annotated[str | None, typer.Option("--server", metavar="DEVICE", help="Likewise. [default: paper-server]")]
Bandwidth = Annotated[str | None, typer.Option(metavar="RATE", help="Edge to server, e.g. 10Mbps. [default: 10Mbps]")]
Rtt = Annotated[str | None, typer.Option(metavar="TIME", help="Fixed cost of an exchange, e.g. 20ms. [default: 0s]")]
Memory = Annotated[str | None, typer.Option(metavar="SIZE", help="What the edge may use, e.g. 512MiB. [default: no limit]")]
MemoryModel = Annotated[str, typer.Option(metavar="sum|peak", help="How edge memory is counted.")]
Objectives = Annotated[str, typer.Option(metavar="NAMES", help="Comma-separated; your own: module:NAME.")]
Constrain = Annotated[str | None, typer.Option(metavar="NAME", help="Algorithm 1's constrained objective.")]
ProperSplit = Annotated[bool, typer.Option("--proper-split", help="Ask for a layer at either side.")]
Constraints = Annotated[
    list[str] | None, typer.Option("--constraint", metavar="MODULE:NAME", help="A constraint of your own (repeatable).")
]
SolverName = Annotated[str, typer.Option("--solver", metavar="NAME", help="Which solver.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Threads = Annotated[int | None, typer.Option(min=1, metavar="N", help="torch's threads. [default: torch's own]")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Holds the token. [default: the variable LMOS_TOKEN, if set]")
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="MODULE:CALLABLE", help="Code that may be run to build a network (repeatable)."),
]


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
    time: Annotated[bool, typer.Option("--time", help="Measure each layer's time on this machine.")] = False,
    weights: Annotated[
        str | None,
        typer.Option(metavar="WEIGHTS", help="A state dict file, a published entry (IMAGENET1K_V1), or seeded:N."),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Layers, arcs, work, weights and outputs of a network; with --time, this machine's time for each layer."""
    from runner.commands import profile as command

    command.run(network, output, granularity, input_shape, time, weights, threads, as_json)


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
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    objectives: Objectives = "latency,memory",
    constrain: Constrain = None,
    proper_split: ProperSplit = False,
    constraints: Constraints = None,
    solver: SolverName = "highs",
    time_limit: Annotated[str | None, typer.Option(metavar="TIME", help="Stop then, with what was found.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="FILE", help="Go on from an incomplete front.")] = None,
    as_json: Json = False,
) -> None:
    """The exact Pareto front of latency against edge memory, or of any objectives."""
    from lmos_opt.sources import Options
    from runner.commands import front as command
    from runner.commands.tracing import Question

    question = Question(source, Options(edge, server, bandwidth, rtt, memory), memory_model, objectives, constrain,
                        proper_split, solver, tuple(constraints or ()))
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
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    objectives: Objectives = "latency,memory",
    constrain: Constrain = None,
    proper_split: ProperSplit = False,
    constraints: Constraints = None,
    solver: SolverName = "highs",
    as_json: Json = False,
) -> None:
    """Choose one split and write what the runner executes."""
    from lmos_opt.sources import Options
    from runner.commands import plan as command
    from runner.commands.tracing import Question

    question = Question(source, Options(edge, server, bandwidth, rtt, memory), memory_model, objectives, constrain,
                        proper_split, solver, tuple(constraints or ()))
    command.run(question, select, output, plot, as_json)


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
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    solver: SolverName = "highs",
    as_json: Json = False,
) -> None:
    """What a rule chooses at every bandwidth of a range, or under every memory limit: exact, not sampled."""
    from lmos_opt.sources import Options
    from runner.commands import policy as command
    from runner.commands.tracing import Question

    question = Question(source, Options(edge, server, bandwidth, rtt, memory), memory_model, "latency,memory", None,
                        proper_split, solver)
    command.run(question, select, over, between, output, plot, as_json)


@app.command()
def ui(
    source: Source,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Of the page; 0 picks one.")] = 7080,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    solver: SolverName = "highs",
) -> None:
    """A page on this machine where sliders for bandwidth, memory and speeds move the front and the choice."""
    from lmos_opt.sources import Options
    from runner.commands import ui as command
    from runner.commands.tracing import Question

    question = Question(source, Options(edge, server, bandwidth, rtt, memory), memory_model, "latency,memory", None,
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
) -> None:
    """The server side: runs the tail of the plans that edges open. On SIGTERM or Ctrl-C it finishes what was asked."""
    from runner.commands import serve as command

    command.run(listen, networks or [], weights or [], plans or [], tls_cert, tls_key, client_ca, token_file, unprotected,
                threads)


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
    from runner.commands import certs as command

    command.run(output, hosts or [], days)


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")],
    server: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where 'lmos serve' listens.")] = "127.0.0.1:7070",
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder of pictures. [default: bundled ones]")] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, metavar="N", help="How many images. [default: each once]")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report (.json).")] = None,
    shape: Annotated[
        str | None, typer.Option(metavar="RATE[,DELAY]", help="Hold the sending side to a rate and a delay.")
    ] = None,
    networks: Networks = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The state dict, where the plan's lies elsewhere.")
    ] = None,
    pipeline: Annotated[
        bool, typer.Option("--pipeline", help="Several images under way at once: more of them a second, each slower.")
    ] = False,
    deadline: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Finish an image here after so long. [default: 30s, or 10 times the prediction]"),
    ] = None,
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="Use TLS; the server's authority (PEM).")] = None,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="This edge's certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    token_file: TokenFile = None,
    unprotected: Annotated[
        bool, typer.Option("--unprotected", help="Send the token without TLS beyond this machine, where it can be read.")
    ] = False,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """The edge side: execute a plan and report measured stages beside the predicted ones."""
    from runner.commands import run as command
    from runner.commands.run import Manner

    manner = Manner(pipeline, deadline, ca, cert, key, token_file, unprotected)
    command.run(plan, server, images, n, output, shape, networks or [], weights, threads, as_json, manner)


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
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
) -> None:
    """One page to send to somebody: what was asked, the front, the choice and why, the cut, predicted beside measured."""
    from lmos_opt.sources import Options
    from runner.commands import report as command

    command.run(file, output, source, Options(edge, server, bandwidth, rtt, memory), memory_model, select)


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
    from runner.commands import export as command

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
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    constraints: Constraints = None,
) -> None:
    """The integer program as a file that any solver reads."""
    from lmos_opt.sources import Options
    from runner.commands import model as command
    from runner.commands.tracing import Question

    question = Question(source, Options(edge, server, bandwidth, rtt, memory), memory_model, objective, None, proper_split,
                        "highs", tuple(constraints or ()))
    command.run(question, output, bounds or [])


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")] = Path("lmos-demo"),
    bandwidth: Annotated[str, typer.Option(metavar="RATE", help="The emulated link.")] = "20Mbps",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What the edge may use.")] = "20MB",
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many images.")] = 10,
) -> None:
    """All of it on this machine over loopback: profile, front, plan, server, run, report, plot."""
    from runner.commands import demo as command

    command.run(output, bandwidth, memory, n)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, which solvers there are, and what this machine can."""
    from runner.commands import doctor as command

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
) -> None:
    """The paper's tables and figures, beside the paper's numbers; goes on where an earlier run into DIR stopped."""
    from runner.commands import reproduce as command

    command.run(names or [], output, seed, solver, jobs, dask)


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
    from runner.commands import bench as command

    command.solvers(output, suites, only, contestants, repeats, time_limit, seed, quick, instances, pyaugmecon_python, as_json)


@bench.command("sweep")
def bench_sweep(
    fronts: Annotated[int, typer.Option("-n", min=2, metavar="N", help="How many fronts.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes, and Dask workers.")] = 2,
    as_json: Json = False,
) -> None:
    """One sweep in one process, in several by joblib, and on as many Dask workers: times, and whether the tables are equal."""
    from runner.commands import bench_sweep as command

    command.run(fronts, workers, as_json)


@bench.command("exactness")
def bench_exactness(
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many instances; each has two fronts.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the first instance; the next has the next.")] = 0,
    only: Annotated[list[int] | None, typer.Option("--only", min=0, metavar="SEED", help="This one only (repeatable).")] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")] = 2,
    solver: SolverName = "highs",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write a row a front (.csv).")] = None,
) -> None:
    """Fronts of random instances beside enumeration: how many are wrong. Exit code 1 if any is."""
    from runner.commands import bench_exactness as command

    command.run(n, seed, only or [], jobs, solver, output)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; every failure is one line on standard error and an exit code (2, 3 or 1)."""
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer has nowhere to go
        return code or _failed(error)
    return code


def _run(arguments: list[str] | None) -> int:
    try:
        code: Any = typer.main.get_command(app).main(arguments, prog_name="lmos", standalone_mode=False)
    except LmosError as error:
        return _complain(str(error), error.exit_code)
    except _CLICK_ERROR as error:
        return _complain(error.format_message() if hasattr(error, "format_message") else str(error), 2)
    except (typer.Abort, KeyboardInterrupt):
        return _complain("interrupted", 1)
    except OSError as error:
        return _failed(error)
    except ModuleNotFoundError as error:
        if error.name not in _TORCH:
            raise
        return _complain(str(MissingExtraError("this command", "torch")), MissingExtraError.exit_code)
    if code == _INTERRUPTED:
        return _complain("interrupted", 1)
    return code if isinstance(code, int) else 0


def _failed(error: OSError) -> int:
    """Exit code 1; a reader of standard output that has gone (`lmos ... | head`) is nothing to complain of."""
    if isinstance(error, BrokenPipeError):
        return 1
    return _complain(f"{error.filename or 'standard output'}: {(error.strerror or str(error)).lower()}", 1)


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"lmos: {one_line(message)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
