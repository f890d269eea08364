"""The benchmarks of what codecs lose. Only signatures stand here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fidelity(
    networks: Annotated[
        str, typer.Option("--networks", metavar="NAMES", help="digits, squeezenet1_1, or both, separated by a comma.")
    ] = "digits,squeezenet1_1",
    codecs: Annotated[
        str | None, typer.Option("--codecs", metavar="NAMES", help="Codecs, separated by commas. [default: six, int8 and coarser]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of training, crops, and of the two halves.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write one row for each cut (.csv).")
    ] = None,
) -> None:
    """Compare estimated losses with true ones, at every cut. Every codec is tried, and a limit is checked on other inputs."""
    from lmos.commands import bench_fidelity as command

    command.run(networks, codecs, seed, output)
