"""`lmos serve`: the server side of the runner."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lmos.commands.watching import Watch, logged, server_metrics, shown_at, tell_url
from lmos.kept_graphs import KeptGraphs
from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, check_runnable
from measurement.networks import parse_builder
from runner.faults.limits import ORDINARY
from runner.places.server import serve
from runner.wire.access import read_token
from runner.wire.connecting import parse_address
from runner.wire.shaping import parse_shape
from runner.wire.tls import Tls, server_tls


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos serve` is asked for, as typed."""

    listen: str
    networks: Sequence[str]
    weights: Sequence[Path]
    plans: Sequence[Path]
    tls_cert: Path | None
    tls_key: Path | None
    client_ca: Path | None
    token_file: Path | None
    unprotected: bool
    threads: int | None
    batch: int
    shape: str | None
    watch: Watch


def run(request: Request) -> None:
    """Serve until SIGTERM or Ctrl-C; logs go to standard error."""
    watch = request.watch
    with logged(watch), ExitStack() as stack:
        host, port = parse_address(request.listen)
        digests = {check_runnable(Plan.load(plan), str(plan)).digest for plan in request.plans}
        metrics = None if watch.metrics is None else server_metrics(ORDINARY)
        if metrics is not None and watch.metrics is not None:
            tell_url(stack.enter_context(shown_at(metrics, watch.metrics, request.unprotected)), watch, always_logged=True)
        serve(
            host,
            port,
            networks=[parse_builder(name) for name in request.networks],
            weights_files=list(request.weights),
            threads=request.threads,
            batch=request.batch,
            digests=digests or None,
            token=read_token(request.token_file),
            tls=_tls(request.tls_cert, request.tls_key, request.client_ca),
            unprotected=request.unprotected,
            limits=ORDINARY,
            shape=None if request.shape is None else parse_shape(request.shape),
            observers=[] if metrics is None else [metrics],
            watch=None if metrics is None else metrics.watch,
            graphs=KeptGraphs.here(),
        )


def _tls(certificate: Path | None, key: Path | None, client_authority: Path | None) -> Tls | None:
    if certificate is None and (key is not None or client_authority is not None):
        raise InputError("--tls-cert", "is missing; --tls-key and --client-ca need it")
    if certificate is None:
        return None
    if key is None:
        raise InputError("--tls-key", "is missing; --tls-cert needs it")
    return server_tls(certificate, key, client_authority)
