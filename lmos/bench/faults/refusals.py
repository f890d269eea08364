"""Edges that must not be let in: each is refused in one clear line on both sides, and nothing is built or run for it.

Both sides are what users start: `lmos serve` and `lmos run`, in processes of their own, over loopback.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos.bench.faults.stage import LMOS, planned, serving
from runner.wire.certs import make_certificates

_NEXT_VERSION = (
    sys.executable, "-c",
    "import sys; from runner.wire.protocol import frames; frames.VERSION += 1; from lmos.cli import main; sys.exit(main())",
)  # fmt: skip
"""An edge of the next version: it is this one but for the number."""
_OPENED = " layers at the edge"


@dataclass(frozen=True)
class Refused:
    """What both sides said: the edge on standard error, the server in its log (without dates and what it says to anybody)."""

    case: str
    exit_code: int
    edge: list[str]
    server: list[str]
    was_opened: bool

    @property
    def is_clear(self) -> bool:
        """Whether the edge ended with one line, the server said why, in the same words each time, and opened nothing."""
        return self.exit_code == 1 and len(self.edge) == 1 and len(set(self.server)) == 1 and not self.was_opened


@dataclass(frozen=True)
class _Case:
    name: str
    serve: Callable[[Path], Sequence[object]]
    run: Callable[[Path], Sequence[object]]
    program: Sequence[str] = LMOS


def _token(folder: Path) -> list[object]:
    return ["--token-file", folder / "ours" / "token"]


def _tls(folder: Path) -> list[object]:
    return ["--tls-cert", folder / "ours" / "server.pem", "--tls-key", folder / "ours" / "server.key"]


def _nothing(folder: Path) -> list[object]:
    return []


CASES = (
    _Case("no token", _token, _nothing),
    _Case("wrong token", _token, lambda folder: ["--token-file", folder / "theirs" / "token"]),
    _Case("no TLS", _tls, _nothing),
    _Case("TLS where there is none", _nothing, lambda folder: ["--ca", folder / "ours" / "ca.pem"]),
    _Case("a server of another authority", _tls, lambda folder: ["--ca", folder / "theirs" / "ca.pem"]),
    _Case("no certificate", lambda folder: [*_tls(folder), "--client-ca", folder / "ours" / "ca.pem"],
          lambda folder: ["--ca", folder / "ours" / "ca.pem"]),
    _Case("a certificate of another authority", lambda folder: [*_tls(folder), "--client-ca", folder / "ours" / "ca.pem"],
          lambda folder: ["--ca", folder / "ours" / "ca.pem", "--cert", folder / "theirs" / "edge.pem",
                          "--key", folder / "theirs" / "edge.key"]),
    _Case("the next version", _nothing, _nothing, _NEXT_VERSION),
    _Case("an unknown digest", lambda folder: ["--plan", folder / "other.json"], _nothing),
)  # fmt: skip


def refusals(folder: Path, cases: Sequence[_Case] = CASES, tell: Callable[[str], None] = lambda what: None) -> Iterator[Refused]:
    """Try each; needs the extra `tls`. RunnerError if the server does not start or does not end."""
    for name in ("ours", "theirs"):
        make_certificates(folder / name)
    planned("squeezenet1_1", 35)[0].save(folder / "plan.json")
    planned("mobilenet_v3_small", 1)[0].save(folder / "other.json")
    for k, case in enumerate(cases):
        tell(case.name)
        log = folder / f"refusal{k}.log"
        with serving(log, case.serve(folder)) as (address, _):
            command = [*case.program, "run", str(folder / "plan.json"), "--server", address, "-n", "1",
                       *map(str, case.run(folder))]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = log.read_text().splitlines()
        said = [_without_address(line) for line in lines if " WARNING " in line or " ERROR " in line or "Traceback" in line]
        yield Refused(case.name, done.returncode, done.stderr.splitlines(), said, any(_OPENED in line for line in lines))


def _without_address(line: str) -> str:
    """A log's line from its level on, without the port that is another one each time: `WARNING 127.0.0.1: token: ...`."""
    return re.sub(r"(127\.0\.0\.1):\d+", r"\1", line.split(" ", 2)[2])
