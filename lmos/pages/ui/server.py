"""The page over HTTP, on loopback alone: the standard library's server, three addresses, nothing written anywhere.

Requests that name another host than this machine are refused: a page elsewhere could otherwise point its own name here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lmos.pages.ui.answers import SliderAnswers
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from runner.errors import RunnerError
from runner.wire.connecting import reason_of

HOST = "127.0.0.1"
_PAGE = Path(__file__).parent / "page.html"


class Server(ThreadingHTTPServer):
    """Serves one instance's page; port 0 picks one. RunnerError if the port cannot be had."""

    daemon_threads = True

    def __init__(self, answers: SliderAnswers, port: int = 0) -> None:
        self.answers, self.plotly = answers, _plotly()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise RunnerError(f"{HOST}:{port}", f"cannot listen there: {reason_of(error)} (--port)") from None

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"this page is for this machine alone\n")
        elif asked.path == "/":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", _PAGE.read_bytes())
        elif asked.path == "/plotly.js":
            self._send(HTTPStatus.OK, "text/javascript; charset=utf-8", self.server.plotly)
        elif asked.path == "/about":
            self._json(HTTPStatus.OK, self.server.answers.about())
        elif asked.path == "/front":
            self._front(dict(parse_qsl(asked.query)))
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each move of a slider would bury everything else."""

    def _front(self, asked: dict[str, str]) -> None:
        rule = asked.pop("rule", "knee")
        try:
            sliders = {name: float(text) for name, text in asked.items()}
            self._json(HTTPStatus.OK, self.server.answers.at(sliders, rule))
        except (InputError, ValueError) as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except LmosError as error:
            self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(error)})

    def _json(self, status: HTTPStatus, found: Mapping[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(found, allow_nan=False).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; img-src data: blob: 'self'")
        self.end_headers()
        self.wfile.write(body)


def _plotly() -> bytes:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise MissingExtraError("the page", "ui") from None
    script: str = get_plotlyjs()
    return script.encode()
