"""The commands `lmos bench ...` about engines. Only signatures stand here."""

from __future__ import annotations

from typing import Annotated

import typer

from lmos.cli.options import Json, Precision


def gpu(
    networks: Annotated[
        str, typer.Option("--networks", metavar="NAMES", help="torchvision's names, separated by commas.")
    ] = "squeezenet1_1,mobilenet_v2,resnet50,densenet121,vgg19",
    engine: Annotated[str, typer.Option(metavar="NAME", help="The server's engine.")] = "torch:cuda",
    precision: Precision = "float32",
    as_json: Json = False,
) -> None:
    """Server parts on a GPU: outputs beside the processor's, times beside the predictions, three cuts a network."""
    from lmos.commands import bench_gpu as command

    command.run([name for name in networks.split(",") if name], engine, precision, as_json)
