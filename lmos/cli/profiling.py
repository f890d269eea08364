"""`lmos profile`; its code is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import (
    Authority,
    Back,
    Bandwidth,
    Certificate,
    Context,
    Edge,
    Engine,
    Json,
    LabelsFile,
    NumberOfInputs,
    PlanFile,
    Preprocess,
    PrivateKey,
    Prompt,
    Rtt,
    Server,
    TaskName,
    Threads,
    TokenFile,
    Unprotected,
    WeightsFile,
)
from lmos_opt.errors import InputError

_NEEDS = {
    **dict.fromkeys(("precision", "rest", "engine", "engine_precision"), ("--time",)),
    "budget": ("--time", "--at"),
    **dict.fromkeys(("ca", "cert", "key", "token_file", "unprotected"), ("--at",)),
    **dict.fromkeys(("seed", "confidence", "most"), ("--fidelity",)),
}
"""Parameters of `lmos profile` that mean something only beside one of these options."""


def _check_needs(typed: typer.Context, given: set[str]) -> None:
    """InputError for an option that was typed without the option that it belongs to."""
    for option in typed.command.params:
        needed, source = _NEEDS.get(option.name or ""), typed.get_parameter_source(option.name or "")
        if needed is not None and source is not None and source.name == "COMMANDLINE" and given.isdisjoint(needed):
            raise InputError(" or ".join(needed), f"is missing; {option.opts[-1]} needs it")


def profile(
    typed: typer.Context,
    network: Annotated[
        str, typer.Argument(metavar="NETWORK", help="A torchvision model, timm:NAME, hf:DIRECTORY, onnx:FILE, or code.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the profile (.json).")
    ] = None,
    granularity: Annotated[
        str | None,
        typer.Option(
            metavar="paper|module",
            help="Count layers as the paper does, or one for each module. [default: paper for its five networks, else module]",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="CxHxW|NAME=SHAPE:DTYPE",
            help="The input's shape, or each input by its name: ids=128:int64. [default: as its source says, or 3x224x224]",
        ),
    ] = None,
    prompt: Prompt = None,
    context: Context = None,
    time: Annotated[bool, typer.Option("--time", help="Measure each layer's time and memory on this machine.")] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="HOST:PORT", help="Measure times on the machine where this 'lmos serve' listens, not on this one."
        ),
    ] = None,
    ca: Authority = None,
    cert: Certificate = None,
    key: PrivateKey = None,
    token_file: TokenFile = None,
    unprotected: Unprotected = False,
    precision: Annotated[
        str,
        typer.Option(
            metavar="PERCENT",
            help="With --time: how exact the times should be. Layers run again until the confidence intervals of the medians are "
            "narrower than this, or --budget is over. How numbers are kept is --engine-precision.",
        ),
    ] = "5%",
    budget: Annotated[str, typer.Option(metavar="TIME", help="With --time: stop after this time.")] = "10s",
    rest: Annotated[
        str, typer.Option(metavar="TIME", help="With --time: how long the machine rests before each run, as between two images.")
    ] = "50ms",
    engine: Engine = "torch",
    engine_precision: Annotated[
        str, typer.Option("--engine-precision", metavar="NAME", help="How the engine keeps numbers: float32, float16, ...")
    ] = "float32",
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="WEIGHTS", help="A state dict file, a published entry (IMAGENET1K_V1), or seeded:N."),
    ] = None,
    preprocess: Preprocess = None,
    labels: LabelsFile = None,
    task: TaskName = None,
    threads: Threads = None,
    codecs: Annotated[
        list[str] | None,
        typer.Option("--codec", metavar="NAME", help="Measure this codec on every layer's output (repeatable)."),
    ] = None,
    fidelity: Annotated[
        str | None,
        typer.Option(
            "--fidelity",
            metavar="IMAGES",
            help="Measure what each --codec (default: all) loses of the result, on half of these inputs: a folder, a file of "
            "arrays, or 'bundled'.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="With --fidelity: seed that draws the half for measuring.")] = 0,
    confidence: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="With --fidelity: the search uses the largest loss possible at this confidence. [default: it uses mean losses]",
        ),
    ] = None,
    most: NumberOfInputs = None,
    opaque: Annotated[
        list[str] | None, typer.Option("--opaque", metavar="NAME", help="A part that stays whole, as one layer (repeatable).")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all layers, not only the largest and slowest.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw the latency of every cut, divided into its parts: .png, .svg, .pdf or .html."
        ),
    ] = None,
    edge: Edge = None,
    server: Server = None,
    bandwidth: Bandwidth = None,
    rtt: Rtt = None,
    back: Back = None,
    as_json: Json = False,
) -> None:
    """Describe a network: layers, arcs, work, weights, outputs. With --time, measure each layer's time on this machine."""
    from lmos.commands import profile as command
    from lmos.commands.conventions import Told
    from lmos_opt.sources import Options
    from runner.wire.access import Credentials

    _check_needs(typed, {name for name, value in (("--time", time), ("--at", at), ("--fidelity", fidelity)) if value})
    command.run(command.Request(
        network=network, output=output, granularity=granularity, inputs=inputs or (), time=time, precision=precision,
        at=None if at is None else command.At(
            at, Credentials(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected)),
        budget=budget, rest=rest, engine=engine, engine_precision=engine_precision, weights=weights,
        told=Told(preprocess, labels, task), threads=threads,
        codecs=codecs or [], every=every, opaque=opaque or [], plot=plot, as_json=as_json, prompt=prompt,
        context=context, fidelity=None if fidelity is None else command.Fidelity(fidelity, seed, most, confidence),
        options=Options(edge=edge, server=server, bandwidth=bandwidth, rtt=rtt, back=back),
    ))  # fmt: skip


def fidelity(
    plan: PlanFile,
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGES", help="A folder of pictures (or a folder for each class), a file of arrays, or 'bundled'."),
    ],
    part: Annotated[
        str, typer.Option(
            metavar="held-out|calibration|all",
            help="Inputs to measure on: those held out (no loss was measured on them), those of the calibration, or all.",
        ),
    ] = "held-out",
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Seed that draws the halves. [default: the plan's, or 0]")
    ] = None,
    most: NumberOfInputs = None,
    weights: WeightsFile = None,
    threads: Threads = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write what was measured (.json).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how much of the result a plan's codecs lose. It is measured on this machine, beside the estimate; nothing is sent."""
    from lmos.commands import fidelity as command

    command.run(command.Request(plan=plan, images=images, part=part, seed=seed, most=most, weights=weights, threads=threads,
                                output=output, as_json=as_json))  # fmt: skip
