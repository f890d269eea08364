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
    EdgeShape,
    Engine,
    Folder,
    Json,
    LabelsFile,
    LogFormat,
    LogLevel,
    Metrics,
    Networks,
    PlanFile,
    Precision,
    Preprocess,
    PrivateKey,
    ServerAddress,
    TaskName,
    Threads,
    TokenFile,
    Unprotected,
    WeightsFile,
)


def serve(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address to listen at; port 0 picks a free port.")
    ] = "127.0.0.1:7070",
    networks: Networks = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A file of weights (state dict) that plans may name (repeatable)."),
    ] = None,
    plans: Annotated[
        list[Path] | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Serve only the networks of these plans (repeatable). [default: all known networks]",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Use TLS, with this certificate of the server (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The private key of --tls-cert.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Accept only edges whose certificate this authority signed.")
    ] = None,
    token_file: TokenFile = None,
    unprotected: Annotated[
        bool,
        typer.Option(
            "--unprotected",
            help="Listen beyond this machine without token and TLS: anybody can then use the server and read what is sent.",
        ),
    ] = False,
    threads: Threads = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="Compute up to N edges' images together if this is faster; last bits may differ.",
        ),
    ] = 1,
    engine: Engine = "torch",
    precision: Precision = "float32",
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="RATE[,DELAY]|TRACE", help="Limit sending to this rate, or to the rates of a trace, as on a slow link."
        ),
    ] = None,
    onward: Annotated[
        str | None,
        typer.Option("--next", metavar="HOST:PORT", help="Address of the next place, for plans over more than two places."),
    ] = None,
    next_shape: Annotated[
        str | None,
        typer.Option(
            metavar="RATE[,DELAY]|TRACE", help="Limit sending to the next place to this rate, or to the rates of a trace."
        ),
    ] = None,
    next_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Use TLS to the next place, and trust certificates that this authority signed."),
    ] = None,
    next_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="This place's certificate, for the next place.")] = None,
    next_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The private key of --next-cert.")] = None,
    next_token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file that holds the token for the next place. [default: LMOS_NEXT_TOKEN, if set]"),
    ] = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    metrics: Metrics = None,
) -> None:
    """Run the server: it computes the tails of plans for edges. After SIGTERM or Ctrl-C it answers open requests, then ends.

    With --next it is a middle place: it computes its own part, and asks the next place for the rest.
    """
    from runner.wire.spinning import shares_cores, spin_briefly

    if shares_cores(listen):
        spin_briefly()  # before torch is loaded
    from lmos.commands import serve as command
    from lmos.commands.watching import Watch
    from runner.wire.access import Credentials

    command.run(command.Request(
        listen=listen, networks=networks or [], weights=weights or [], plans=plans or [], tls_cert=tls_cert, tls_key=tls_key,
        client_ca=client_ca, token_file=token_file, unprotected=unprotected, threads=threads, batch=batch, engine=engine,
        precision=precision, shape=shape,
        onward=command.Onward.given(onward, next_shape, Credentials(
            ca=next_ca, cert=next_cert, key=next_key, token_file=next_token_file, unprotected=unprotected, begins="--next-")),
        watch=Watch(log_format, log_level, metrics),
    ))  # fmt: skip


def generate(
    plan: PlanFile,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="The prompt, for the tokenizer in the network's folder.")
    ] = None,
    prompt_ids: Annotated[
        str | None, typer.Option("--prompt-ids", metavar="1,2,3|FILE", help="The prompt: token ids, or a file that holds them.")
    ] = None,
    server: ServerAddress = "127.0.0.1:7070",
    tokens: Annotated[int, typer.Option("-n", "--tokens", min=1, metavar="N", help="Write at most N tokens.")] = 64,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, metavar="T", help="Draw each token at this temperature. [default: take the most probable]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="With --temperature: seed of the draws. [default: 0]")
    ] = None,
    stop: Annotated[list[int] | None, typer.Option("--stop", metavar="ID", help="End after this token (repeatable).")] = None,
    networks: Networks = None,
    weights: WeightsFile = None,
    shape: EdgeShape = None,
    threads: Threads = None,
    ca: Authority = None,
    cert: Certificate = None,
    key: PrivateKey = None,
    token_file: TokenFile = None,
    unprotected: Unprotected = False,
    as_json: Json = False,
) -> None:
    """Write text with a decoder, token by token. Its first blocks are computed here, the rest at the server."""
    from lmos.commands import generate as command
    from runner.wire.access import Credentials

    command.run(command.Request(
        plan=plan, server=server, prompt=prompt, prompt_ids=prompt_ids, tokens=tokens, temperature=temperature, seed=seed,
        stop=stop or (), networks=networks or [], weights=weights, shape=shape, threads=threads,
        credentials=Credentials(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected), as_json=as_json,
    ))  # fmt: skip


def certs(
    output: Folder,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host", metavar="NAME", help="Name or address of the server (repeatable). [default: this machine]"
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, metavar="N", help="Days until the certificates expire.")] = 365,
) -> None:
    """Create certificates, keys and a token for both sides. A private certificate authority signs
    the certificates."""
    from lmos.commands import certs as command

    command.run(output, hosts or [], days)


def run(
    plan: PlanFile,
    server: ServerAddress = "127.0.0.1:7070",
    head: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Run this head.onnx (or the one in this folder) without torch; 'lmos export' writes it."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            "--inputs",
            metavar="PATH",
            help="Folder of pictures, .npy, .npz or .safetensors file, video, or camera:N. [default: the bundled pictures]",
        ),
    ] = None,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Leave out pictures that cannot be read; the report lists them.")
    ] = False,
    preprocess: Preprocess = None,
    labels: LabelsFile = None,
    task: TaskName = None,
    n: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="Number of images. [default: each picture once]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report (.json).")
    ] = None,
    shape: EdgeShape = None,
    networks: Networks = None,
    weights: WeightsFile = None,
    pipeline: Annotated[
        bool,
        typer.Option(
            "--pipeline", help="Run several images at once: more images per second, each with a longer latency."
        ),
    ] = False,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt", help="Change the cut when the link changes, as the plan's policy says (lmos plan --policy)."
        ),
    ] = False,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Finish an image at the edge if the server takes longer. [default: 30s, or 10 times the prediction]",
        ),
    ] = None,
    ca: Authority = None,
    cert: Certificate = None,
    key: PrivateKey = None,
    token_file: TokenFile = None,
    unprotected: Unprotected = False,
    threads: Threads = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the run's timeline (.json), for Perfetto or chrome://tracing."),
    ] = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    metrics: Metrics = None,
    compared: Annotated[
        int,
        typer.Option(
            "--compare", min=0, metavar="N", help="After the run, compare N pictures with and without the plan's codec."
        ),
    ] = 8,
    shown: Annotated[
        int,
        typer.Option(
            "--show", min=0, max=48, metavar="N", help="Number of pictures to keep in the report, made smaller, for its page."
        ),
    ] = 12,
    save_outputs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write every output tensor there: a .safetensors file for each image.")
    ] = None,
    engine: Engine = "torch",
    precision: Precision = "float32",
    as_json: Json = False,
) -> None:
    """Run the edge: execute a plan with a server. Reports measured times beside predicted ones."""
    from runner.wire.access import Credentials

    credentials = Credentials(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected)
    if head is not None:
        from lmos.commands import run_head

        run_head.run(
            run_head.Request(plan=plan, head=head, server=server, credentials=credentials, images=images, n=n, output=output,
                             skip_bad_images=skip_bad_images, shape=shape, threads=threads, deadline=deadline, as_json=as_json),
            {"--preprocess": preprocess, "--labels": labels, "--task": task, "--network": networks, "--weights": weights,
             "--pipeline": pipeline, "--adapt": adapt, "--trace": trace, "--log-format": log_format, "--log-level": log_level,
             "--metrics": metrics, "--save-outputs": save_outputs, "--engine": engine not in {"torch", "onnxruntime"},
             "--precision": precision != "float32"},
        )  # fmt: skip
        return
    from runner.wire.spinning import shares_cores, spin_briefly

    if shares_cores(server):
        spin_briefly()  # before torch is loaded
    from lmos.commands import run as command
    from lmos.commands.conventions import Told
    from lmos.commands.watching import Watch

    command.run(command.Request(
        plan=plan, server=server, images=images, skip_bad_images=skip_bad_images, told=Told(preprocess, labels, task), n=n,
        output=output, shape=shape, networks=networks or [], weights=weights, pipelined=pipeline, adapt=adapt, deadline=deadline,
        credentials=credentials, threads=threads,
        trace=trace, watch=Watch(log_format, log_level, metrics), compared=compared, shown=shown,
        save_outputs=save_outputs, engine=engine, precision=precision, as_json=as_json,
    ))  # fmt: skip


def probe(
    server: ServerAddress = "127.0.0.1:7070",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the link (.json).")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the link. [default: the server's address]")
    ] = None,
    budget: Annotated[str, typer.Option(metavar="TIME", help="Time for measuring.")] = "5s",
    volume: Annotated[str, typer.Option(metavar="SIZE", help="Most bytes to send for measuring.")] = "32MB",
    shape: EdgeShape = None,
    hop: Annotated[
        int, typer.Option("--hop", min=1, max=16, metavar="N", help="Hop to measure: 1 leads to the server, 2 to its next place.")
    ] = 1,
    ca: Authority = None,
    cert: Certificate = None,
    key: PrivateKey = None,
    token_file: TokenFile = None,
    unprotected: Unprotected = False,
    as_json: Json = False,
) -> None:
    """Measure the link to a server. Gives its bandwidth and the fixed cost of an exchange, each with a confidence interval."""
    from lmos.commands import probe as command
    from runner.wire.access import Credentials

    command.run(command.Request(
        server=server, output=output, name=name, budget=budget, volume=volume, shape=shape, hop=hop, as_json=as_json,
        credentials=Credentials(ca=ca, cert=cert, key=key, token_file=token_file, unprotected=unprotected),
    ))  # fmt: skip


def trace(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A file that 'lmos run' wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The timeline (.json).")],
) -> None:
    """Write a run's timeline for Perfetto or chrome://tracing. It comes from the run's report; 'lmos run --trace' writes the
    same."""
    from lmos.commands import trace as command

    command.run(report, output)


def export(
    plan: PlanFile,
    output: Folder,
    to: Annotated[
        str, typer.Option("--to", metavar="onnx|torch", help="Write ONNX, or programs of torch.export.")
    ] = "onnx",
    networks: Networks = None,
    weights: WeightsFile = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Write the whole network too: 'lmos run --head' uses it if the server is away.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a plan's parts as programs for other runtimes. Each place has one; their outputs are compared with torch's."""
    from lmos.commands import export as command

    command.run(plan, output, to, networks or [], weights, whole=whole, as_json=as_json)
