"""`lmos bench places`; its code is imported when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from lmos.cli.options import ImagesOfARun, Json


def places(
    networks: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Networks whose outputs are compared. [default: ten of torchvision's]")
    ] = None,
    cuts: Annotated[int, typer.Option(min=0, metavar="N", help="Number of random cuts of each network.")] = 5,
    timed: Annotated[str, typer.Option(metavar="NAMES", help="Networks to time and run.")] = "resnet18,mobilenet_v2",
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


def tokens(
    parts: Annotated[
        str, typer.Option(metavar="NAMES", help="Parts to run: texts, kills, abandoned; with a large decoder, promises and uneven.")
    ] = "texts,kills",
    kinds: Annotated[str | None, typer.Option(metavar="NAMES", help="Kinds of decoders. [default: all that are known]")] = None,
    most_places: Annotated[int, typer.Option("--places", min=2, max=8, metavar="N", help="Divide them over 2 to N places.")] = 4,
    prompts: Annotated[str, typer.Option(metavar="N,N,...", help="Lengths of the prompts in tokens.")] = "1,17,300",
    n_tokens: Annotated[int, typer.Option("-n", "--tokens", min=2, metavar="N", help="Write N tokens after each prompt.")] = 200,
    drawn: Annotated[int, typer.Option(min=0, metavar="N", help="Write a text with each of N random configurations.")] = 16,
    kills: Annotated[int, typer.Option(min=0, metavar="N", help="Write N more texts; a server is killed during each.")] = 10,
    abandoned: Annotated[int, typer.Option(min=2, metavar="N", help="Begin N texts and leave them unfinished.")] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all random choices.")] = 0,
    as_json: Json = False,
) -> None:
    """Write texts with decoders over several processes. Compares tokens with the undivided networks', also while servers are
    killed, and times with plans of a decoder with 124 million parameters. Exit code 1 if a token differs, a server's memory
    grows, or a time is 10 % off."""
    from lmos.commands import bench_tokens as command

    command.run(command.Request(parts=parts, kinds=kinds, places=most_places, prompts=prompts, tokens=n_tokens, drawn=drawn,
                                kills=kills, abandoned=abandoned, seed=seed, as_json=as_json))
