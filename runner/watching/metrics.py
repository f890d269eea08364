"""Metrics of a run and of a server, in the text format that Prometheus reads, over HTTP.

docs/reference/events.md lists names, labels and units. Every object here has its own registry, so two of
them in one process do not mix. Needs the extra `metrics`.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

import lmos_opt
from lmos_opt.errors import InputError
from runner.errors import RunnerError
from runner.faults.limits import Limits, Load
from runner.watching.events import (
    AnswerSent,
    BytesMoved,
    CutChanged,
    Event,
    ImageBegan,
    ImageEnded,
    PeerGreeted,
    PeerOpened,
    PeerRefused,
    RunBegan,
    RunEnded,
    ServerLost,
    ServerReady,
)
from runner.watching.report import ImageResult
from runner.wire.connecting import format_address, is_loopback, reason_of
from runner.wire.protocol import ErrorCode

BUCKETS_S = (*(base * 10.0**power for power in range(-4, 2) for base in (1.0, 2.5, 5.0)), 100.0)
"""0.1 ms to 100 s, about 3 a decade: a layer on a server up to an image over a bad link."""
STAGES = {"edge": "t_edge_s", "encode": "t_encode_s", "queue": "t_queue_s", "link": "t_tx_s", "server": "t_server_s",
          "decode": "t_decode_s", "image": "latency_s"}  # fmt: skip
"""The label `stage` and the key of a report's image that it counts."""
OUTCOMES = ("done", "done_locally", "failed")
MOST_SCRAPES = 8
"""At once; more are turned away, so that whoever reaches the port can take a few threads and no more."""
_SCRAPE_S = 2.0


class _Metrics:
    """What both sides count: bytes, and the version that counts them."""

    def __init__(self, side: str) -> None:
        self.registry = CollectorRegistry()
        self._prefix = f"lmos_{side}"
        self._gauge("build_info", "The version.", "version").labels(lmos_opt.__version__).set(1)
        self._sent = self._counter("sent_bytes", "Bytes written to connections, protocol and all, TLS apart.")
        self._received = self._counter("received_bytes", "Bytes read from them.")

    def __call__(self, event: Event) -> None:
        """Count it."""
        if isinstance(event, BytesMoved):
            self._sent.inc(event.sent_bytes)
            self._received.inc(event.received_bytes)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"{self._prefix}_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"{self._prefix}_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(f"{self._prefix}_{name}", what, labels, registry=self.registry, buckets=BUCKETS_S)


class EdgeMetrics(_Metrics):
    """An observer that counts the events of a run, for Prometheus."""

    def __init__(self) -> None:
        super().__init__("edge")
        self._images = self._counter("images", "Images that have an end.", "outcome")
        for outcome in OUTCOMES:
            self._images.labels(outcome)
        self._stages = self._histogram("stage_seconds", "The stages of images with a class, as in the report.", "stage")
        self._retries = self._counter("retries", "Questions that were sent again, of images that have an end.")
        self._lost = self._counter("connections_lost", "Connections given up.")
        self._reconnects = self._counter("reconnects", "Times that the server was ready again.")
        self._refusals = self._counter("refusals", "Times that the server refused, with the reason as code.", "code")
        self._up = self._gauge("connected", "1 while the server takes questions.")
        self._under_way = self._gauge("images_under_way", "Images that have begun and have no end.")
        self._cut = self._gauge("cut_layers", "Layers that run at the edge (x1).")
        self._changes = self._counter("cut_changes", "Changes of the cut.")
        self._gauge("goodput_images_per_second", "Images with a class over the time since the first began.").set_function(
            self._goodput)  # fmt: skip
        self._began_at = self._ended_at = 0.0
        self._classes = 0

    def _goodput(self) -> float:
        elapsed_s = (self._ended_at or time.perf_counter()) - self._began_at
        return self._classes / elapsed_s if self._began_at and elapsed_s > 0 else 0.0

    def __call__(self, event: Event) -> None:
        """Count it."""
        super().__call__(event)
        if isinstance(event, RunBegan):
            self._cut.set(event.cut)
            self._began_at, self._ended_at, self._classes = event.at, 0.0, 0
        elif isinstance(event, ImageBegan):
            self._under_way.inc()
        elif isinstance(event, ImageEnded):
            self._end(event)
        elif isinstance(event, ServerReady):
            self._up.set(1)
            self._reconnects.inc(event.again)
        elif isinstance(event, ServerLost):
            self._up.set(0)
            self._lost.inc()
            if event.code is not None:
                self._refusals.labels(event.code).inc()
        elif isinstance(event, CutChanged):
            self._cut.set(event.after)
            self._changes.inc()
        elif isinstance(event, RunEnded):
            self._under_way.set(0)
            self._up.set(0)
            self._ended_at = self._began_at + event.elapsed_s

    def _end(self, event: ImageEnded) -> None:
        self._under_way.dec()
        self._images.labels(event.outcome).inc()
        self._retries.inc(event.result.retries)
        if isinstance(event.result, ImageResult):
            self._classes += 1
            for stage, key in STAGES.items():
                self._stages.labels(stage).observe(getattr(event.result, key))


class ServerMetrics(_Metrics):
    """An observer that counts the events of a server, for Prometheus; pass its `watch` to `serve`."""

    def __init__(self, limits: Limits) -> None:
        super().__init__("server")
        self._requests = self._counter("requests", "Questions answered: computed, or from memory.", "source")
        self._computed, self._repeated = self._requests.labels("computed"), self._requests.labels("memory")
        self._stages = self._histogram("stage_seconds", "Of answered questions: the wait here, the tail's computing, and the "
                                       "codec's part in it.", "stage")  # fmt: skip
        self._queue, self._server, self._decode = map(self._stages.labels, ("queue", "server", "decode"))
        self._open_s = self._histogram("open_seconds", "Building, checking and warming a peer's tail.")
        self._greeted = self._counter("peers", "Peers that were let in.")
        self._refusals = self._counter("refusals", "Times that the server refused, with the reason as code.", "code")
        for code in get_args(ErrorCode):
            self._refusals.labels(code)
        self._connections = self._gauge("connections", "Connections: of peers that were let in, of strangers.", "kind")
        self._waiting = self._gauge("requests_waiting", "Questions that have come and are not begun.")
        self._memory = self._gauge("memory_bytes", "Received tensors in memory.")
        self._gauge("memory_limit_bytes", "The most of it.").set(limits.memory_bytes)

    def watch(self, load: Callable[[], Load]) -> None:
        """Call `load` whenever the metrics are read."""
        self._connections.labels("peer").set_function(lambda: load().peers)
        self._connections.labels("stranger").set_function(lambda: load().strangers)
        self._waiting.set_function(lambda: load().waiting)
        self._memory.set_function(lambda: load().memory_bytes)

    def __call__(self, event: Event) -> None:
        """Count it."""
        super().__call__(event)
        if isinstance(event, AnswerSent):
            (self._repeated if event.again else self._computed).inc()
            self._queue.observe(event.t_queue_s)
            if not event.again:
                self._server.observe(event.t_server_s)
                self._decode.observe(event.t_decode_s)
        elif isinstance(event, PeerOpened):
            self._open_s.observe(event.t_open_s)
        elif isinstance(event, PeerGreeted):
            self._greeted.inc()
        elif isinstance(event, PeerRefused):
            self._refusals.labels(event.code).inc()


# over HTTP -----------------------------------------------------------------------------------------------------------


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(MOST_SCRAPES)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: a reader may disconnect at any time."""


class _Handler(WSGIRequestHandler):
    timeout = _SCRAPE_S

    def setup(self) -> None:
        self._end = threading.Timer(_SCRAPE_S, self._hang_up)  # also of those that send a byte now and then
        self._end.daemon = True
        self._end.start()
        super().setup()

    def finish(self) -> None:
        self._end.cancel()
        super().finish()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: somebody reads every few seconds."""


def check_metrics_address(address: tuple[str, int], unprotected: bool) -> None:
    """InputError if other machines could read: nothing asks them for a token."""
    if not (unprotected or is_loopback(address[0])):
        raise InputError("--metrics", f"{address[0]} can be reached from other machines, and metrics ask for no token: "
                                      "listen on loopback, or say --unprotected, which lets anybody there read them")


@contextmanager
def serve_metrics(metrics: _Metrics, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Serve the metrics over HTTP while the block lasts. The value is the address; port 0 takes a free port. RunnerError if it
    cannot listen there."""
    try:
        server = make_server(*address, make_wsgi_app(metrics.registry), _Server, _Handler)
    except OSError as error:
        raise RunnerError(format_address(address), f"cannot listen there: {reason_of(error)} (--metrics)") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True)
    with server:
        thread.start()
        try:
            yield address[0], server.server_port
        finally:
            server.shutdown()
            thread.join()
