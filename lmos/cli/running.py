"""The commands that run what was planned, and what belongs to a connection.

Only signatures stand here; a command's code is imported when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import (
    Authority,
    Certificate,
    Json,
    LogFormat,
    LogLevel,
    Metrics,
    Networks,
    PrivateKey,
    Threads,
    TokenFile,
    Unprotected,
)


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

    command.run(command.Request(
        listen=listen, networks=networks or [], weights=weights or [], plans=plans or [], tls_cert=tls_cert, tls_key=tls_key,
        client_ca=client_ca, token_file=token_file, unprotected=unprotected, threads=threads, batch=batch, shape=shape,
        watch=Watch(log_format, log_level, metrics),
    ))  # fmt: skip


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
    from lmos.commands.credentials import Credentials
    from lmos.commands.watching import Watch

    command.run(command.Request(
        plan=plan, server=server, images=images, skip_bad_images=skip_bad_images, n=n, output=output, shape=shape,
        networks=networks or [], weights=weights, pipelined=pipeline, adapt=adapt, deadline=deadline,
        credentials=Credentials(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected), threads=threads,
        trace=trace, watch=Watch(log_format, log_level, metrics), compared=compared, as_json=as_json,
    ))  # fmt: skip


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
    from lmos.commands.credentials import Credentials

    command.run(command.Request(
        server=server, output=output, name=name, budget=budget, volume=volume, shape=shape, as_json=as_json,
        credentials=Credentials(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected),
    ))  # fmt: skip


def trace(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A file that 'lmos run' wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The trace (.json).")],
) -> None:
    """Where the time of a run went, for Perfetto or chrome://tracing: what 'lmos run --trace' writes, from its report."""
    from lmos.commands import trace as command

    command.run(report, output)


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
