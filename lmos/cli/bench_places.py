"""`lmos bench places`; its code is imported when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from lmos.cli.options import ImagesOfARun, Json


def places(
    networks: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Networks whose outputs are compared. [default: ten of torchvision's]")
    ] = None,
    cuts: Annotated[int, typer.Option(min=0, metavar="N", help="Number of random cuts of each.")] = 5,
    timed: Annotated[str, typer.Option(metavar="NAMES", help="Networks that are timed and run.")] = "resnet18,mobilenet_v2",
    rates: Annotated[
        str, typer.Option("--rates", metavar="RATES", help="Rates of the hops between places; they take turns.")
    ] = "20Mbps,10Mbps",
    images: ImagesOfARun = 12,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the cuts.")] = 0,
    as_json: Json = False,
) -> None:
    """Run plans over several processes. Exit code 1 if an output differs from the network's, predicted latencies are over 10 % off
    in the median, or a pipeline is below 0.9 of what its slowest stage allows."""
    from lmos.commands import bench_places as command

    command.run(networks, cuts, timed, rates, images, seed, as_json)
