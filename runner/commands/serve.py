"""`lmos serve`: the server side of the runner."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from measurement.networks import parse_builder
from runner.server import serve
from runner.transport import parse_address


def run(listen: str, networks: Sequence[str], weights: Sequence[Path], threads: int | None) -> None:
    """Serve until SIGTERM or Ctrl-C; logs go to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, port = parse_address(listen)
    serve(host, port, networks=[parse_builder(name) for name in networks], weights_files=list(weights), threads=threads)
