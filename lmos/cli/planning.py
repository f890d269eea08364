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
    Back,
    Bandwidth,
    Codec,
    Constrain,
    Constraints,
    Edge,
    Json,
    Link,
    Memory,
    MemoryModel,
    Objectives,
    OwnVariables,
    ProperSplit,
    Rtt,
    Server,
    SolverName,
    Source,
    Threads,
)

if TYPE_CHECKING:
    from lmos.front_request import FrontRequest


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

    command.run(command.Request(
        network=network, output=output, granularity=granularity, input_shape=input_shape, time=time, precision=precision,
        budget=budget, weights=weights, threads=threads, codecs=codecs or [], every=every, plot=plot,
        options=Options(edge=edge, server=server, bandwidth=bandwidth, rtt=rtt, back=back), as_json=as_json,
    ))  # fmt: skip


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

    command.run(command.Request(front=_request(locals()), output=output, plot=plot, select=select, time_limit=time_limit,
                                resume=resume, as_json=as_json))  # fmt: skip


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

    command.run(command.Request(front=_request(locals()), select=select, output=output, plot=plot, between=between,
                                as_json=as_json))  # fmt: skip


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

    command.run(command.Request(front=_request(locals()), select=select, over=over, between=between, output=output, plot=plot,
                                as_json=as_json))  # fmt: skip


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

    command.run(_request(locals()), port)


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

    command.run(_request(locals() | {"objectives": objective}), output, bounds or [])


def _request(given: Mapping[str, Any]) -> FrontRequest:
    """What of a command's arguments, by their names, is asked of a front; the rest is as it is where nobody asks."""
    from lmos.front_request import FrontRequest
    from lmos_opt.sources import Options

    options = Options(**{one.name: given[one.name] for one in fields(Options) if one.name in given})
    asked = {one.name: given[one.name] for one in fields(FrontRequest) if given.get(one.name) is not None}
    several = {name: tuple(given.get(name) or ()) for name in ("variables", "constraints")}
    return FrontRequest(**asked | several | {"options": options})
