"""Arguments and options that several commands share: each with its help, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import measurement
from lmos_opt import algorithms
from lmos_opt.imports import modules_of
from lmos_opt.processes import MOST_THREADS

_CODECS = ", ".join(modules_of(*(f"{folder}/codecs" for folder in measurement.__path__)))

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A bundled network (vgg19), a profile or instance file, or timm:NAME and the like."),
]
Edge = Annotated[
    str | None,
    typer.Option(
        "--edge", metavar="DEVICE", help="The edge device: a bundled name, a device file, or 'local'. [default: rpi4]"
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="DEVICE", help="The server device, named in the same way. [default: paper-server]"
    ),
]
Bandwidth = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="Bandwidth from edge to server, for example 50Mbps. [default: 10Mbps]"),
]
Rtt = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Fixed cost of an exchange, for example 20ms. [default: 0s, or if both devices are local the measured one]",
    ),
]
Back = Annotated[
    str | None,
    typer.Option(
        "--back", metavar="RATE", help="Bandwidth from server to edge, for the results. [default: results take no time]"
    ),
]
AlongPath = Annotated[
    str | None,
    typer.Option("--path", metavar="PATH", help="Two devices or more, and the hops between them: 'rpi4 > 20Mbps,5ms > i7-8700'."),
]
Link = Annotated[
    str | None,
    typer.Option(
        "--link",
        metavar="LINK",
        help="A bundled link (for example lte) or a link file. It gives --bandwidth and --rtt where these are not given.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE[,SIZE]...", help="Memory that the edge may use, for example 512MiB; further sizes are for later "
                 "places. [default: no limit]"),
]
Powers = Annotated[
    str | None,
    typer.Option(
        "--power",
        metavar="COMPUTE,TRANSMIT,IDLE",
        help="Watts that the edge draws while it computes, sends and waits, for example 6.4,5.1,2.7. [default: the device's]",
    ),
]
Scenarios = Annotated[
    str | None,
    typer.Option(
        "--scenarios", metavar="FILE", help="A file of scenarios (lmos scenarios), for objectives such as latency@p95."
    ),
]
MemoryModel = Annotated[str, typer.Option(metavar="sum|peak", help="How to count edge memory.")]
Objectives = Annotated[
    str, typer.Option(metavar="NAMES", help="The objectives, separated by commas. One of your own is module:NAME.")
]
Constrain = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The objective that Algorithm 1 of the paper constrains; it optimises the other."
    ),
]
ProperSplit = Annotated[
    bool, typer.Option("--proper-split", help="Require at least one layer at the edge and one at the server.")
]
Constraints = Annotated[
    list[str] | None, typer.Option("--constraint", metavar="MODULE:NAME", help="A constraint of your own (repeatable).")
]
AtMost = Annotated[
    list[str] | None,
    typer.Option(
        "--at-most", metavar="NAME=AMOUNT", help="Limit an objective, for example latency=200ms or fidelity_loss=1% (repeatable)."
    ),
]
OwnVariables = Annotated[
    list[str] | None,
    typer.Option("--variables", metavar="MODULE:NAME", help="A function that adds variables of your own (repeatable)."),
]
SolverName = Annotated[
    str,
    typer.Option("--solver", metavar="NAME", help="The solver of integer programs. If there are few splits, none is needed."),
]
SolverOptions = Annotated[
    list[str] | None,
    typer.Option("--solver-option", metavar="NAME=VALUE", help="An option of the solver, for example threads=2 (repeatable)."),
]
AlgorithmName = Annotated[
    str | None,
    typer.Option(
        "--algorithm",
        metavar="NAME",
        help=f"How to find the front: {', '.join(algorithms.names())}. [default: by the objectives]",
    ),
]
Codec = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        metavar="[LAYER=]NAME",
        help=f"How to encode the tensors that cross, or one layer's (repeatable): {_CODECS} (jpeg as jpeg:QUALITY); "
        "or any: the search chooses among codecs whose losses the profile has. [default: raw]",
    ),
]
Prompt = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="For a decoder (hf:DIRECTORY): number of tokens of a prompt. [default: 128]"),
]
Context = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="M", help="For a decoder: number of tokens before the next one; their state needs memory. [default: 1024]"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_THREADS, metavar="N", help="Number of threads that torch uses. [default: torch's own choice]"),
]
Engine = Annotated[
    str,
    typer.Option(metavar="NAME", help="What computes: torch or onnxruntime (the processor), torch:cuda or torch:mps (a GPU)."),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How numbers are kept: float32; with a GPU also tf32, float16 or bfloat16, which round; or NAME+channels_last.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="The file that holds the token. [default: the environment variable LMOS_TOKEN, if set]",
    ),
]
Unprotected = Annotated[
    bool, typer.Option("--unprotected", help="Allow what others can read: a token without TLS, and metrics beyond this machine.")
]
Authority = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", help="Use TLS; this is the certificate of the authority that signed the server's (PEM)."
    ),
]
Certificate = Annotated[Path | None, typer.Option("--cert", metavar="FILE", help="This edge's certificate (PEM).")]
PrivateKey = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The private key of --cert.")]
LogFormat = Annotated[
    str | None,
    typer.Option(
        "--log-format",
        metavar="text|json",
        help="Write the log to standard error as text, or as one JSON object per line.",
    ),
]
LogLevel = Annotated[
    str | None, typer.Option("--log-level", metavar="LEVEL", help="Least level to log: debug, info, warning or error.")
]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics", metavar="HOST:PORT", help="Serve metrics for Prometheus at this address; port 0 picks a free port."
    ),
]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network", metavar="NETWORK", help="Allow this network besides torchvision's; its code may run here (repeatable)."
    ),
]
Preprocess = Annotated[
    str | None,
    typer.Option("--preprocess", metavar="imagenet|none|FILE", help="How pictures become inputs. [default: what the network says]"),
]
LabelsFile = Annotated[
    str | None,
    typer.Option(
        "--labels", metavar="FILE", help="The names of the classes: a file with a name on each line, a JSON file, or imagenet."
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="NAME", help="What the outputs are: classes, boxes, masks, embedding or tensors. [default: by their form]"
    ),
]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")]
Folder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files.")]
Drawing = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .svg, .pdf or .html.")]
WeightsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The file of weights (state dict), if it is not where the plan says."),
]
ServerAddress = Annotated[str, typer.Option(metavar="HOST:PORT", help="Address where 'lmos serve' listens.")]
EdgeShape = Annotated[
    str | None,
    typer.Option(
        metavar="RATE[,RATE@TIME]...[,DELAY]|TRACE[@PART][,DELAY]",
        help="Limit sending to these rates (each from its TIME on), or to the rates of a trace, and delay it, as on a slow link.",
    ),
]
EmulatedRate = Annotated[str, typer.Option(metavar="RATE", help="Bandwidth of the emulated link.")]
NumberOfImages = Annotated[int, typer.Option("-n", min=1, metavar="N", help="Number of images.")]
ImagesOfARun = Annotated[int, typer.Option("-n", min=5, metavar="N", help="Number of images in each run.")]
NumberOfInputs = Annotated[
    int | None, typer.Option("-n", min=1, metavar="N", help="Measure losses on at most N inputs.")
]
Dask = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Find fronts on the workers of this Dask scheduler.")
]
Page = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the page (.md).")]
OnlyNetworks = Annotated[
    str, typer.Option("--only", metavar="PATTERN", help="Only networks whose name matches, for example 'resnet*'.")
]
NamesOfNetworks = Annotated[
    str, typer.Option("--networks", metavar="NAMES", help="torchvision's names, separated by commas.")
]
