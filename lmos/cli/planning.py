"""The commands that look at networks and choose splits.

Only signatures stand here; a command's code is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmos.cli.options import (
    AlgorithmName,
    AlongPath,
    AtMost,
    Back,
    Bandwidth,
    Codec,
    Constrain,
    Constraints,
    Context,
    Drawing,
    Edge,
    Json,
    LabelsFile,
    Link,
    Memory,
    MemoryModel,
    Objectives,
    OwnVariables,
    Powers,
    Preprocess,
    Prompt,
    ProperSplit,
    Rtt,
    Scenarios,
    Server,
    SolverName,
    SolverOptions,
    Source,
    TaskName,
    Threads,
)
from lmos_opt import rules

if TYPE_CHECKING:
    from lmos.front_request import FrontRequest

_RULES = f"{', '.join(rules.names())} (as budget:SECONDS, slack:PERCENT)"
"""By the files' names alone: to import them all takes 20 ms, which every command would wait for."""


def calibrate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The device file (.json).")],
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Time for the micro-benchmarks. The rest takes about 15 s more.")
    ] = "60s",
    threads: Threads = None,
    transmit_power: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="WATTS",
            help="Power while the device sends, which no meter measures. Used only if a meter measures the other powers.",
        ),
    ] = None,
    scale_to: Annotated[
        str | None,
        typer.Option(
            "--scale-to",
            metavar="DEVICE",
            help="Write a file for DEVICE instead, whose file has 'rates': its times are this machine's times, scaled.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Describe this machine in a device file. Runs micro-benchmarks, and fits a model that predicts the times of layers."""
    from lmos.commands import calibrate as command

    command.run(output, budget, threads, transmit_power, scale_to, as_json)


def front(
    source: Source,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the front: .json, .csv or .parquet.")
    ] = None,
    plot: Drawing = None,
    select: Annotated[str | None, typer.Option(metavar="RULE", help="Mark the point that this rule chooses.")] = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="Show the choices of the baselines beside the front.")] = False,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    path: AlongPath = None,
    memory: Memory = None,
    power: Powers = None,
    scenarios: Scenarios = None,
    memory_model: MemoryModel = "sum",
    objectives: Objectives = "latency,memory",
    constrain: Constrain = None,
    proper_split: ProperSplit = False,
    variables: OwnVariables = None,
    at_most: AtMost = None,
    constraints: Constraints = None,
    solver: SolverName = "highs",
    solver_options: SolverOptions = None,
    algorithm: AlgorithmName = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop after this time and keep the points found so far.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="FILE", help="Continue an incomplete front.")] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Show the work and time of the search; FILE and --json also have them.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Write each subproblem when it ends, one JSON object on each line.")
    ] = None,
    codec: Codec = None,
    prompt: Prompt = None,
    context: Context = None,
    as_json: Json = False,
) -> None:
    """Find the exact Pareto front of a network's splits. Objectives are latency and edge memory, or others."""
    from lmos.commands import front as command

    command.run(command.Request(front=_request(locals()), output=output, plot=plot, select=select, time_limit=time_limit,
                                resume=resume, baselines=baselines, statistics=statistics, log=log,
                                as_json=as_json))  # fmt: skip


def plan(
    source: Source,
    select: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help=f"{_RULES}, cut:N, ECO, SCO, at:P, RS:SEED, DADS, Neurosurgeon, pair, even:layers or even:time.",
        ),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Instead of a rule: choose the split of least energy (most memory, if powers are not known) that keeps this "
            "time in --confidence of the --scenarios. --objectives NAME optimises another objective.",
        ),
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Share of the scenarios that must keep the --deadline. [default: 95%]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the plan (.json).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the network and its cut: .png, .svg or .pdf.")
    ] = None,
    between: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="LOW..HIGH,...",
            help="Add the rule's choice at every bandwidth of this range, for lmos run --adapt. Along a path: a range for each "
            "hop, or nothing between commas.",
        ),
    ] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    path: AlongPath = None,
    memory: Memory = None,
    power: Powers = None,
    scenarios: Scenarios = None,
    memory_model: MemoryModel = "sum",
    objectives: Objectives = "latency,memory",
    constrain: Constrain = None,
    proper_split: ProperSplit = False,
    variables: OwnVariables = None,
    at_most: AtMost = None,
    constraints: Constraints = None,
    solver: SolverName = "highs",
    codec: Codec = None,
    prompt: Prompt = None,
    context: Context = None,
    preprocess: Preprocess = None,
    labels: LabelsFile = None,
    task: TaskName = None,
    as_json: Json = False,
) -> None:
    """Choose one split by a rule, and write it as a plan."""
    from lmos.commands import plan as command
    from lmos.commands.conventions import Told

    command.run(command.Request(front=_request(locals()), select=select, deadline=deadline, confidence=confidence,
                                output=output, plot=plot, between=between,
                                told=Told(preprocess, labels, task), as_json=as_json))  # fmt: skip


def policy(
    source: Source,
    select: Annotated[
        str, typer.Option(metavar="RULE", help=f"{_RULES}.")
    ],
    over: Annotated[
        str,
        typer.Option(
            metavar="bandwidth|memory[:N]|context",
            help="What to vary: hop N's bandwidth, place N's memory limit, or the length of a decoder's text.",
        ),
    ] = "bandwidth",
    between: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LOW..HIGH",
            help="The range to cover. [default: 1Mbps..200Mbps, or 0 to the most memory that any split uses]",
        ),
    ] = None,
    later: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --over context: the same decoder's profile at the end of the range; SOURCE is its profile at the beginning.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the policy: .json or .csv.")
    ] = None,
    plot: Drawing = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    path: AlongPath = None,
    memory: Memory = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    solver: SolverName = "highs",
    codec: Codec = None,
    prompt: Prompt = None,
    as_json: Json = False,
) -> None:
    """Find what a rule chooses at every bandwidth of a range. The range may be of memory limits or text lengths, too. The result
    is exact, without samples."""
    from lmos.commands import policy as command

    command.run(command.Request(front=_request(locals()), select=select, over=over, between=between, later=later, output=output,
                                plot=plot, as_json=as_json))  # fmt: skip


def ui(
    source: Source,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port of the page; 0 picks a free port.")
    ] = 7080,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    path: AlongPath = None,
    memory: Memory = None,
    power: Powers = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    solver: SolverName = "highs",
) -> None:
    """Open a page with sliders for bandwidth, memory, speeds. The front and the choice follow them."""
    from lmos.commands import ui as command

    command.run(_request(locals()), port)


def report(
    file: Annotated[Path, typer.Argument(metavar="PLAN|REPORT|FRONT", help="A file that lmos wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The page (.html).")],
    source: Annotated[
        str | None, typer.Option("--source", metavar="SOURCE", help="What the file was made from, if not from a bundled network.")
    ] = None,
    select: Annotated[
        str | None, typer.Option(metavar="RULE", help="The rule whose choice to show, if the file is a front.")
    ] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    path: AlongPath = None,
    memory: Memory = None,
    power: Powers = None,
    memory_model: MemoryModel = "sum",
) -> None:
    """Write one page about a plan and its run, to send. It shows the problem, the front, the choice and its reason, the cut,
    predicted and measured times."""
    from lmos.commands import report as command
    from lmos_opt.sources import Options

    command.run(file, output, source, Options(edge, server, bandwidth, rtt, memory, link, back, path, power), memory_model, select)


def regions(
    networks: Annotated[list[str], typer.Argument(metavar="NETWORK", help="Bundled networks or profile files.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The page (.html).")],
    devices: Annotated[
        list[str] | None, typer.Option("--device", metavar="DEVICE", help="The edge (repeatable). [default: rpi4]")
    ] = None,
    server: Annotated[str, typer.Option(metavar="DEVICE", help="The server.")] = "i7-8700",
    floors: Annotated[
        list[str] | None,
        typer.Option("--floor", metavar="PERCENT", help="The largest loss allowed (repeatable). [default: 0%, 1%, 5%]"),
    ] = None,
    codec: Annotated[
        list[str] | None,
        typer.Option(
            "--codec",
            metavar="NAME",
            help="A codec to allow, beside those whose losses a profile has (repeatable). [default: jpeg:75 and int8 if "
            "it has none]",
        ),
    ] = None,
    between: Annotated[str, typer.Option("--range", metavar="LOW..HIGH", help="The bandwidths to cover.")] = "100kbps..1Gbps",
    rtt: Annotated[str, typer.Option(metavar="TIME", help="Fixed cost of an exchange, for example 20ms.")] = "0ms",
) -> None:
    """Write a page that shows where a cut inside the network pays. Elsewhere the device alone or the server alone is fastest;
    all ends are exact."""
    from lmos.commands import regions as command

    command.run(command.Request(networks=networks, devices=devices or ["rpi4"], server=server, limits=floors or ["0%", "1%", "5%"],
                                codecs=codec or [], between=between, rtt=rtt, output=output))  # fmt: skip


def model(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The file to write: .lp or .mps.")],
    objective: Annotated[
        str, typer.Option(metavar="NAME", help="The objective to optimise. One of your own is module:NAME.")
    ] = "latency",
    bounds: Annotated[
        list[str] | None,
        typer.Option(
            "--bound",
            metavar="NAME=NUMBER",
            help="Bound another objective: NAME may be no worse than NUMBER, in its unit (repeatable).",
        ),
    ] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    link: Link = None,
    path: AlongPath = None,
    memory: Memory = None,
    power: Powers = None,
    scenarios: Scenarios = None,
    memory_model: MemoryModel = "sum",
    proper_split: ProperSplit = False,
    variables: OwnVariables = None,
    constraints: Constraints = None,
) -> None:
    """Write the integer program as a file that other solvers read."""
    from lmos.commands import model as command

    command.run(_request(locals() | {"objectives": objective}), output, bounds or [])


def _request(given: Mapping[str, Any]) -> FrontRequest:
    """The request for a front, from those arguments of a command that belong to it; the others have their defaults."""
    from lmos.front_request import FrontRequest
    from lmos_opt.sources import Options

    options = Options(**{one.name: given[one.name] for one in fields(Options) if one.name in given})
    asked = {one.name: given[one.name] for one in fields(FrontRequest) if given.get(one.name) is not None}
    several = {name: tuple(given.get(name) or ()) for name in ("variables", "constraints", "at_most", "solver_options", "codec")}
    return FrontRequest(**asked | several | {"options": options})
