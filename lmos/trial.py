"""A plan made for an emulated edge from times measured there, run between two namespaces: predicted beside measured."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lmos.front_request import FrontRequest, ReadSource, choose
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import Options
from runner.errors import RunnerError
from runner.lab.emulation.cgroups import Limits, group
from runner.lab.emulation.command import CannotEmulate, find
from runner.lab.emulation.link import SERVER_ADDRESS, Link, goodput_bytes_per_s, link
from runner.watching.report import RunReport
from runner.wire.certs import make_certificates

Tell = Callable[[str], None]
_LMOS = (sys.executable, "-m", "lmos")
_PORT = 7070
_START_S, _STOP_S = 60.0, 10.0
_SAID = 300
"""How much of what a failed process said is told, in characters."""


@dataclass(frozen=True)
class Trial:
    """What to emulate: a network, a selection rule, the link's rate, the edge's limits, how many images."""

    network: str
    rule: str
    rate_bytes_per_s: float
    limits: Limits
    images: int


@dataclass(frozen=True)
class Outcome:
    """The edge's report, and the most memory that its group held (B, the interpreter and pages of files included)."""

    report: RunReport
    edge_group_bytes: int | None


def emulate(trial: Trial, folder: Path, tell: Tell = lambda what: None) -> Outcome:
    """Measure, plan and run, all files in `folder`.

    Whatever was made for it is gone afterwards, also after a failure or KeyboardInterrupt. Raises CannotEmulate where this
    machine or this user cannot, RunnerError where a process fails, InputError for a network or rule that is none.
    """
    if os.geteuid() != 0:
        raise CannotEmulate("cannot emulate here: root is needed, for namespaces and control groups")
    for program in ("ip", "tc"):
        find(program)
    name = f"lmos-edge-{os.getpid()}"
    with group(name, trial.limits) as edge, link(trial.rate_bytes_per_s) as joined:
        tell(f"timing {trial.network} at the edge")
        with group(f"{name}-timing", Limits(None, trial.limits.cpus)) as slow:  # the whole network is timed, which may be too large
            _run([*slow.entering(), *_LMOS, *_profiling(trial, folder / "edge.json"), *_one_thread(trial)], "timing at the edge")
        tell(f"timing {trial.network} at the server")
        _run([*_LMOS, *_profiling(trial, folder / "server.json")], "timing at the server")
        instance_of(trial, folder).save(folder / "instance.json")
        _plan(trial, folder).save(folder / "plan.json")
        certificates = folder / "certs"
        make_certificates(certificates, [SERVER_ADDRESS])
        with _serving(joined, certificates, folder / "server.log"):
            tell("running")
            _run([*edge.entering(), *joined.inside(joined.edge), *_LMOS, *_running(trial, folder, certificates)], "the edge")
        return Outcome(RunReport.load(folder / "report.json"), edge.peak_bytes())


def instance_of(trial: Trial, folder: Path) -> Instance:
    """Each side's own times, and what TCP gets of the link's rate."""
    edge, server = (Instance.from_profile(NetworkProfile.load(folder / f"{side}.json"), edge="local", server="local")
                    for side in ("edge", "server"))  # fmt: skip
    fields = edge.to_dict()
    for layer, other in zip(fields["layers"], server.to_dict()["layers"], strict=True):
        layer["t_server_s"] = other["t_server_s"]
    return Instance.from_dict({**fields, "bandwidth_bytes_per_s": goodput_bytes_per_s(trial.rate_bytes_per_s)}, "emulation")


def _plan(trial: Trial, folder: Path) -> Plan:
    """What the rule chooses where both sides have something to do."""
    asked = ReadSource(NetworkProfile.load(folder / "edge.json"), Instance.load(folder / "instance.json"))
    request = FrontRequest(trial.network, Options(edge="local", server="local"), "peak", proper_split=True)
    return choose(request, asked, trial.rule)


def _profiling(trial: Trial, file: Path) -> list[str]:
    return ["profile", trial.network, "--granularity", "module", "--time", "-o", str(file), "--json"]


def _running(trial: Trial, folder: Path, certificates: Path) -> list[str]:
    return ["run", str(folder / "plan.json"), "--server", f"{SERVER_ADDRESS}:{_PORT}", "-n", str(trial.images),
            "--ca", str(certificates / "ca.pem"), "--cert", str(certificates / "edge.pem"),
            "--key", str(certificates / "edge.key"), "--token-file", str(certificates / "token"),
            "-o", str(folder / "report.json"), "--json", *_one_thread(trial)]  # fmt: skip


def _one_thread(trial: Trial) -> list[str]:
    """On less than a processor more threads would only wait for each other."""
    return ["--threads", "1"] if trial.limits.cpus is not None and trial.limits.cpus <= 1 else []


def _run(command: Sequence[str], what: str) -> None:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        killed = " (it was killed: most likely --memory is too little for it)" if process.returncode in {-9, 137} else ""
        raise RunnerError(what, f"ended with exit code {process.returncode}{killed}: {said.strip()[-_SAID:]}")


@contextmanager
def _serving(joined: Link, certificates: Path, log: Path) -> Iterator[None]:
    """`lmos serve` in its namespace, encrypted and for this edge alone."""
    command = [*joined.inside(joined.server), *_LMOS, "serve", "--listen", f"{SERVER_ADDRESS}:{_PORT}",
               "--tls-cert", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key"),
               "--client-ca", str(certificates / "ca.pem"), "--token-file", str(certificates / "token")]  # fmt: skip
    with log.open("w") as said, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said) as process:
        try:
            end = time.monotonic() + _START_S
            while "listening on" not in log.read_text():
                if process.poll() is not None or time.monotonic() > end:
                    raise RunnerError("the server", f"did not start: {log.read_text().strip()[-_SAID:]}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            process.kill()
