"""`lmos serve`: the server side of the runner."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, check_runnable
from measurement.networks import parse_builder
from runner.access import read_token
from runner.connecting import parse_address
from runner.server import serve
from runner.tls import Tls, server_tls


def run(
    listen: str,
    networks: Sequence[str],
    weights: Sequence[Path],
    plans: Sequence[Path],
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    token_file: Path | None,
    unprotected: bool,
    threads: int | None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; logs go to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, port = parse_address(listen)
    digests = {check_runnable(Plan.load(plan), str(plan)).digest for plan in plans}
    serve(host, port, networks=[parse_builder(name) for name in networks], weights_files=list(weights), threads=threads,
          digests=digests or None, token=read_token(token_file), tls=_tls(tls_cert, tls_key, client_ca),
          unprotected=unprotected)  # fmt: skip


def _tls(certificate: Path | None, key: Path | None, client_authority: Path | None) -> Tls | None:
    if certificate is None and (key is not None or client_authority is not None):
        raise InputError("--tls-cert", "is missing; --tls-key and --client-ca need it")
    if certificate is None:
        return None
    if key is None:
        raise InputError("--tls-key", "is missing; --tls-cert needs it")
    return server_tls(certificate, key, client_authority)
