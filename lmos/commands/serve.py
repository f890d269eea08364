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
from runner.lab.replaying import link_shape
from runner.places.onward import Next
from runner.places.server import serve
from runner.wire.access import Credentials, read_token
from runner.wire.connecting import parse_address
from runner.wire.shaping import Shape
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
    engine: str
    precision: str
    shape: str | None
    onward: Onward | None
    watch: Watch


@dataclass(frozen=True, kw_only=True)
class Onward:
    """The place after this one, as typed: the options `--next` and those that begin so."""

    address: str
    credentials: Credentials
    shape: str | None

    @classmethod
    def given(cls, address: str | None, shape: str | None, credentials: Credentials) -> Onward | None:
        """None if there is no next place; InputError where options for it stand without it."""
        asked = {"--next-shape": shape, "--next-ca": credentials.ca, "--next-cert": credentials.cert,
                 "--next-key": credentials.key, "--next-token-file": credentials.token_file}  # fmt: skip
        if address is not None:
            return cls(address=address, credentials=credentials, shape=shape)
        for option, value in asked.items():
            if value is not None:
                raise InputError("--next", f"is missing; {option} needs it")
        return None

    @property
    def next(self) -> Next:
        """The next place; InputError for what cannot be read, or a token nobody protects."""
        address = parse_address(self.address, what="--next")
        return Next(address=address, access=self.credentials.at(address), shape=held_to(self.shape))


def run(request: Request) -> None:
    """Serve until SIGTERM or Ctrl-C; logs go to standard error."""
    watch = request.watch
    with logged(watch), ExitStack() as stack:
        host, port = parse_address(request.listen, what="--listen")
        for file in request.weights:
            if not file.is_file():
                raise InputError(str(file), "is a folder; expected a file of weights" if file.is_dir() else "no such file")
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
            engine=request.engine,
            precision=request.precision,
            digests=digests or None,
            token=read_token(request.token_file, option="--token-file"),
            tls=_tls(request.tls_cert, request.tls_key, request.client_ca),
            unprotected=request.unprotected,
            limits=ORDINARY,
            shape=held_to(request.shape),
            next=None if request.onward is None else request.onward.next,
            observers=[] if metrics is None else [metrics],
            watch=None if metrics is None else metrics.watch,
            graphs=KeptGraphs.here(),
        )


def held_to(shape: str | None) -> Shape | None:
    """The shape of a link, if one was typed."""
    return None if shape is None else link_shape(shape)


def _tls(certificate: Path | None, key: Path | None, client_authority: Path | None) -> Tls | None:
    if certificate is None and (key is not None or client_authority is not None):
        raise InputError("--tls-cert", "is missing; --tls-key and --client-ca need it")
    if certificate is None:
        return None
    if key is None:
        raise InputError("--tls-key", "is missing; --tls-cert needs it")
    return server_tls(certificate, key, client_authority, names=("--tls-cert", "--tls-key", "--client-ca"))
