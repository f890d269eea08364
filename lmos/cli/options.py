"""Arguments and options that several commands share: each with its help, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A bundled network (vgg19), a profile or an instance file.")]
Edge = Annotated[str | None, typer.Option("--edge", metavar="DEVICE", help="Device, device file or 'local'. [default: rpi4]")]
Server = Annotated[str | None, typer.Option("--server", metavar="DEVICE", help="Likewise. [default: paper-server]")]
Bandwidth = Annotated[str | None, typer.Option(metavar="RATE", help="Edge to server, e.g. 10Mbps. [default: 10Mbps]")]
Rtt = Annotated[str | None, typer.Option(metavar="TIME", help="Fixed cost of an exchange, e.g. 20ms. [default: 0s]")]
Back = Annotated[
    str | None, typer.Option("--back", metavar="RATE", help="Server to edge, on which results come. [default: that is free]")
]
Link = Annotated[
    str | None,
    typer.Option("--link", metavar="LINK", help="A bundled link (lte) or a link file, for what is not given of these two."),
]
Memory = Annotated[str | None, typer.Option(metavar="SIZE", help="What the edge may use, e.g. 512MiB. [default: no limit]")]
MemoryModel = Annotated[str, typer.Option(metavar="sum|peak", help="How edge memory is counted.")]
Objectives = Annotated[str, typer.Option(metavar="NAMES", help="Comma-separated; your own: module:NAME.")]
Constrain = Annotated[str | None, typer.Option(metavar="NAME", help="Algorithm 1's constrained objective.")]
ProperSplit = Annotated[bool, typer.Option("--proper-split", help="Ask for a layer at either side.")]
Constraints = Annotated[
    list[str] | None, typer.Option("--constraint", metavar="MODULE:NAME", help="A constraint of your own (repeatable).")
]
OwnVariables = Annotated[
    list[str] | None,
    typer.Option("--variables", metavar="MODULE:NAME", help="A function that adds variables of your own (repeatable)."),
]
SolverName = Annotated[str, typer.Option("--solver", metavar="NAME", help="Which solver.")]
Codec = Annotated[
    str | None, typer.Option(metavar="NAME", help="How tensors cross: fp16, int8, zstd, jpeg:QUALITY. [default: raw]")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Threads = Annotated[int | None, typer.Option(min=1, metavar="N", help="torch's threads. [default: torch's own]")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Holds the token. [default: the variable LMOS_TOKEN, if set]")
]
Unprotected = Annotated[
    bool, typer.Option("--unprotected", help="Beyond this machine, where they can be read: a token without TLS, metrics.")
]
Authority = Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="Use TLS; the server's authority (PEM).")]
Certificate = Annotated[Path | None, typer.Option("--cert", metavar="FILE", help="This edge's certificate (PEM).")]
PrivateKey = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Its private key.")]
LogFormat = Annotated[
    str | None, typer.Option("--log-format", metavar="text|json", help="Log on standard error as text, or an object a line.")
]
LogLevel = Annotated[str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")]
Metrics = Annotated[
    str | None, typer.Option("--metrics", metavar="HOST:PORT", help="Show metrics there, for Prometheus; port 0 picks one.")
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="MODULE:CALLABLE", help="Code that may be run to build a network (repeatable)."),
]
