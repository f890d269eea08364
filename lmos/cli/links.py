"""The commands for links that vary.

Only signatures stand here; a command's code is imported when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import Authority, Certificate, EdgeShape, Json, PrivateKey, TokenFile, Unprotected


def trace_link(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A server HOST:PORT to measure, a report of lmos run, a trace FILE[@PART] in any format, or fading:SEED and "
            "switching:SEED, which are generated.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the trace: .json, .csv, or .log (as HSDPA logs).")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the trace. [default: by its source]")] = None,
    lasts: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long to record, or how long a generated trace is.")
    ] = "60s",
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="How often to measure while recording.")] = "1s",
    shape: EdgeShape = None,
    hop: Annotated[
        int, typer.Option("--hop", min=1, max=16, metavar="N", help="Hop to record: 1 leads to the server, 2 to its next place.")
    ] = 1,
    ca: Authority = None,
    cert: Certificate = None,
    key: PrivateKey = None,
    token_file: TokenFile = None,
    unprotected: Unprotected = False,
    as_json: Json = False,
) -> None:
    """Write a trace: the rates of a link over time. They are measured now, taken from a run, read from another format, or
    generated."""
    from lmos.commands import trace_link as command
    from runner.wire.access import Credentials

    command.run(command.Request(
        source=source, output=output, name=name, lasts=lasts, every=every, shape=shape, hop=hop, as_json=as_json,
        credentials=Credentials(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected),
    ))  # fmt: skip


def scenarios(
    traces: Annotated[
        list[str],
        typer.Argument(metavar="TRACE[@PART]", help="A trace for each hop. PART is train or test (halves), or 0s..90s."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the scenarios (.json), for --scenarios.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="Number of draws.")] = 100,
    block: Annotated[
        str, typer.Option("--block", metavar="TIME", help="Draw pieces of this length, because neighbouring seconds are alike.")
    ] = "10s",
    step: Annotated[str, typer.Option("--step", metavar="TIME", help="A scenario is the mean rate over this time.")] = "1s",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the draws.")] = 0,
    worst_of: Annotated[
        int,
        typer.Option(
            "--worst-of", min=1, metavar="N", help="Draw N samples and keep the slowest: a short trace may miss slow times."
        ),
    ] = 1,
    as_json: Json = False,
) -> None:
    """Draw scenarios from traces of links. They are for --scenarios and objectives such as latency@p95."""
    from lmos.commands import scenarios as command

    command.run(command.Request(traces=traces, output=output, count=count, block=block, step=step, seed=seed, worst_of=worst_of,
                                as_json=as_json))  # fmt: skip


def promises(
    network: Annotated[str, typer.Option(metavar="NAME", help="A network by torchvision's name.")] = "squeezenet1_1",
    traces: Annotated[
        str,
        typer.Option(
            "--traces", metavar="TRACES", help="Plans are made from the first half of each trace; the second half is replayed."
        ),
    ] = "fading,switching",
    n: Annotated[int, typer.Option("-n", min=2, metavar="N", help="Number of images of each plan on each trace.")] = 300,
    deadline: Annotated[
        str | None, typer.Option(metavar="TIME", help="The deadline. [default: one that tells the plans apart]")
    ] = None,
    confidence: Annotated[str, typer.Option(metavar="PERCENT", help="The confidence.")] = "95%",
    edge: Annotated[
        str, typer.Option("--edge", metavar="TIME", help="Time of the whole network at the edge, which is slowed down to it.")
    ] = "150ms",
    as_json: Json = False,
) -> None:
    """Replay traces with plans that promise a deadline. They take turns with a plan for the mean rate and a run that adapts.

    Exit code 1 if less than 93 % of the images keep the promise, or an image is lost.
    """
    from lmos.commands import bench_promises as command

    command.run(network, traces, n, deadline, confidence, edge, as_json=as_json)
