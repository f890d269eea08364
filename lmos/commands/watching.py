"""What `run` and `serve` have in common for those who watch: logs on standard error, metrics over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import typer

from lmos.output import err
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from runner.watching.events import CommandFailed, MetricsShown
from runner.watching.logs import FORMATS, LEVELS, LogFormat, log_event, log_to_standard_error
from runner.wire.connecting import format_address, parse_address

if TYPE_CHECKING:
    from runner.faults.limits import Limits
    from runner.watching.metrics import EdgeMetrics, ServerMetrics


@dataclass(frozen=True)
class Watch:
    """How somebody wants to watch, as typed: None if nothing was said."""

    log_format: str | None = None
    log_level: str | None = None
    metrics: str | None = None

    @property
    def is_logged(self) -> bool:
        """Whether logs were asked for."""
        return self.log_format is not None or self.log_level is not None


@contextmanager
def logged(watch: Watch) -> Iterator[None]:
    """Logs go to standard error as asked; as JSON, so does what ends the block, and nothing else. InputError for words that are
    not known."""
    for option, said, known in (("--log-format", watch.log_format, FORMATS), ("--log-level", watch.log_level, LEVELS)):
        if said is not None and said not in known:
            raise InputError(option, f"{said!r} is not one of {', '.join(known)}")
    with log_to_standard_error(cast(LogFormat, watch.log_format or "text"), watch.log_level or "info"):
        try:
            yield
        except (LmosError, KeyboardInterrupt) as error:
            if watch.log_format != "json":
                raise
            code = error.exit_code if isinstance(error, LmosError) else 1
            log_event(CommandFailed(reason=str(error) or "interrupted", exit_code=code))
            raise typer.Exit(code) from None


def edge_metrics() -> EdgeMetrics:
    """Counters of runs; MissingExtraError if the client library is not there."""
    with _extra():
        from runner.watching.metrics import EdgeMetrics
    return EdgeMetrics()


def server_metrics(limits: Limits) -> ServerMetrics:
    """Counters of a server; MissingExtraError likewise."""
    with _extra():
        from runner.watching.metrics import ServerMetrics
    return ServerMetrics(limits)


@contextmanager
def shown_at(metrics: EdgeMetrics | ServerMetrics, address: str, unprotected: bool) -> Iterator[str]:
    """Answer over HTTP while the block lasts; the value is the URL. InputError for an address that is refused or taken."""
    from runner.watching.metrics import check_metrics_address, serve_metrics

    parsed = parse_address(address, default_port=9090, what="--metrics")
    check_metrics_address(parsed, unprotected)
    with serve_metrics(metrics, parsed) as found:
        yield f"http://{format_address(found)}/metrics"


def tell_url(url: str, watch: Watch, always_logged: bool = False) -> None:
    """Say where metrics are: port 0 leaves that to the system."""
    if always_logged or watch.is_logged:
        log_event(MetricsShown(url=url))
    else:
        err().print(f"lmos: metrics at {url}", soft_wrap=True)


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise MissingExtraError("--metrics", "metrics") from None
