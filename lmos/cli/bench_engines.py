"""The commands `lmos bench ...` about engines. Only signatures stand here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmos.cli.options import Json, NamesOfNetworks, Precision


def gpu(
    networks: NamesOfNetworks = "squeezenet1_1,mobilenet_v2,resnet50,densenet121,vgg19",
    engine: Annotated[str, typer.Option(metavar="NAME", help="The server's engine.")] = "torch:cuda",
    precision: Precision = "float32",
    also: Annotated[
        str, typer.Option("--also", metavar="NAMES", help="Other precisions for the whole networks, separated by commas.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Run server parts on a GPU, three cuts of each network. Compares outputs with the processor's, times with predictions."""
    from lmos.commands import bench_gpu as command

    command.run(networks, engine, precision, also, as_json)


def parts(
    networks: Annotated[
        str, typer.Option("--networks", metavar="NAMES", help="torchvision's names or onnx:FILE, separated by commas.")
    ] = "alexnet,vgg11,squeezenet1_0,squeezenet1_1,resnet18,resnet34,mobilenet_v2,mobilenet_v3_small,"
    "shufflenet_v2_x1_0,efficientnet_b0",
    cuts: Annotated[int, typer.Option(min=1, metavar="N", help="Number of cuts of each network.")] = 10,
    integers: Annotated[
        bool, typer.Option("--integers", help="Also SqueezeNet in 8-bit integers: compare bytes and classes with float32.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare both parts on onnxruntime with torch. They run on bundled pictures. Exit code 1 if classes differ, or numbers by
    over 1e-4."""
    from lmos.commands import bench_parts as command

    command.run(networks, cuts, integers, as_json)


def edge(
    networks: NamesOfNetworks = "squeezenet1_1,mobilenet_v2",
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Number of runs of each edge.")] = 5,
    python: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The Python that runs the edge without torch. [default: this one]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare an edge without torch with one that has it. Start-up and memory are measured. Exit code 1 above a quarter."""
    from lmos.commands import bench_edge as command

    command.run(networks, repeats, python, as_json)
