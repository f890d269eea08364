"""A plan made for emulated places from times measured there, run between namespaces: predicted beside measured."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path

from lmos.front_request import FrontRequest, ReadSource, choose
from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.paths import HopOptions
from lmos_opt.paths import Path as Along
from lmos_opt.plan import Plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import Options
from lmos_opt.units import parse_delay, parse_rate, parse_size
from runner.errors import RunnerError
from runner.lab.emulation.cgroups import Group, Limits, group
from runner.lab.emulation.command import CannotEmulate, find
from runner.lab.emulation.link import Chain, Wire, chain, goodput_bytes_per_s
from runner.lab.emulation.signals import Signals
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
    """What to emulate: a network, a selection rule, the places' limits and the hops between them, how many images."""

    network: str
    rule: str
    places: tuple[Limits, ...]
    wires: tuple[Wire, ...]
    images: int

    @property
    def names(self) -> tuple[str, ...]:
        """What the places are called: two are edge and server."""
        n = len(self.places)
        return ("edge", "server") if n == 2 else tuple(f"place{p}" for p in range(1, n + 1))

    @property
    def files(self) -> tuple[str, ...]:
        """What is worth keeping of a trial's folder."""
        return (*(f"{name}.json" for name in self.names), "instance.json", "plan.json", "report.json")


def parse_trial_path(text: str) -> tuple[tuple[Limits, ...], tuple[Wire, ...]]:
    """Places and hops of `CPUS[,MEMORY] > RATE[,RTT] > CPUS[,MEMORY] ...`; `all` processors are no limit.

    InputError says which part is wrong.
    """
    parts = [[one.strip() for one in part.split(",")] for part in text.split(">")]
    if len(parts) < 3 or len(parts) % 2 == 0 or not all(1 <= len(part) <= 2 and all(part) for part in parts):
        raise InputError("--path", f"{text!r:.80} is not CPUS[,MEMORY] > RATE[,RTT] > CPUS[,MEMORY] ..., as in "
                                   "'0.25,1GB > 10Mbps > 0.5 > 100Mbps > all'")  # fmt: skip
    places = tuple(Limits(parse_size(part[1], "--path") if len(part) > 1 else None, _cpus(part[0])) for part in parts[::2])
    wires = tuple(Wire(parse_rate(part[0], "--path"), parse_delay(part[1], "--path") if len(part) > 1 else 0.0)
                  for part in parts[1::2])  # fmt: skip
    return places, wires


def _cpus(text: str) -> float | None:
    if text == "all":
        return None
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < inf:
        raise InputError("--path", f"{text!r:.40} is no share of processors; expected more than 0, or all")
    return found


@dataclass(frozen=True)
class Outcome:
    """The first place's report, and the most memory that its group held (B, the interpreter and pages of files included)."""

    report: RunReport
    edge_group_bytes: int | None


def emulate(trial: Trial, folder: Path, signals: Signals, tell: Tell = lambda what: None) -> Outcome:
    """Measure, plan and run. All files are in `folder`. `signals` that are held take effect only during long steps.

    Namespaces and groups are removed afterwards, also after an error or KeyboardInterrupt. Raises CannotEmulate if this machine or
    this user cannot emulate, RunnerError if a process fails, InputError for an unknown network or rule.
    """
    if os.geteuid() != 0:
        raise CannotEmulate("cannot emulate here: root is needed, for namespaces and control groups")
    for program in ("ip", "tc"):
        find(program)
    with ExitStack() as stack:
        groups = [stack.enter_context(group(f"lmos-{name}-{os.getpid()}", limits))
                  for name, limits in zip(trial.names, trial.places, strict=True)]  # fmt: skip
        joined = stack.enter_context(chain(trial.wires))
        for name, limits in zip(trial.names, trial.places, strict=True):
            tell(f"timing {trial.network} at the {name}")
            with group(f"lmos-{name}-timing-{os.getpid()}", Limits(None, limits.cpus)) as slow:  # the whole may be too large for it
                _run([*slow.entering(), *_LMOS, *_profiling(trial, folder / f"{name}.json"), *_one_thread(limits)],
                     f"timing at the {name}", signals)  # fmt: skip
        with signals.heeded():
            instance_of(trial, folder).save(folder / "instance.json")
            _plan(trial, folder).save(folder / "plan.json")
        certificates = folder / "certs"
        make_certificates(certificates, [joined.address(p) for p in range(2, len(trial.places) + 1)])
        for p in range(len(trial.places), 1, -1):
            stack.enter_context(_serving(trial, joined, groups[p - 1], p, folder, signals))
        tell("running")
        _run([*groups[0].entering(), *joined.inside(1), *_LMOS, *_running(trial, joined, folder)], "the edge", signals)
        return Outcome(RunReport.load(folder / "report.json"), groups[0].peak_bytes())


def instance_of(trial: Trial, folder: Path) -> Instance:
    """The instance: each place's measured times, TCP's share of each link's rate, and the cost of an exchange on this machine."""
    files = [folder / f"{name}.json" for name in trial.names]
    first = NetworkProfile.load(files[0])
    hops = tuple(HopOptions(goodput_bytes_per_s(wire.rate_bytes_per_s), first.exchange_s + wire.rtt_s) for wire in trial.wires)
    return Instance.from_profile(first, path=Along(tuple(map(str, files)), hops))


def _plan(trial: Trial, folder: Path) -> Plan:
    """The plan that the rule chooses among proper splits."""
    asked = ReadSource(NetworkProfile.load(folder / f"{trial.names[0]}.json"), Instance.load(folder / "instance.json"))
    request = FrontRequest(trial.network, Options(edge="local", server="local"), "peak", proper_split=True)
    return choose(request, asked, trial.rule)


def _profiling(trial: Trial, file: Path) -> list[str]:
    return ["profile", trial.network, "--granularity", "module", "--time", "-o", str(file), "--json"]


def _running(trial: Trial, joined: Chain, folder: Path) -> list[str]:
    return ["run", str(folder / "plan.json"), "--server", f"{joined.address(2)}:{_PORT}", "-n", str(trial.images),
            *_asking(folder / "certs", "--"), "-o", str(folder / "report.json"), "--json",
            *_one_thread(trial.places[0])]  # fmt: skip


def _asking(certificates: Path, begins: str) -> list[str]:
    """The options that let a place connect to the next one: certificates and token."""
    return [f"{begins}ca", str(certificates / "ca.pem"), f"{begins}cert", str(certificates / "edge.pem"),
            f"{begins}key", str(certificates / "edge.key"), f"{begins}token-file", str(certificates / "token")]  # fmt: skip


def _one_thread(limits: Limits) -> list[str]:
    """One thread for a place with at most one processor, because several would only wait for each other."""
    return ["--threads", "1"] if limits.cpus is not None and limits.cpus <= 1 else []


def _run(command: Sequence[str], what: str, signals: Signals) -> None:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            with signals.heeded():
                _, said = process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        killed = " (it was killed: most likely --memory is too little for it)" if process.returncode in {-9, 137} else ""
        raise RunnerError(what, f"ended with exit code {process.returncode}{killed}: {said.strip()[-_SAID:]}")


@contextmanager
def _serving(trial: Trial, joined: Chain, place: Group, p: int, folder: Path, signals: Signals) -> Iterator[None]:
    """`lmos serve` at place p, encrypted and for the place before it alone."""
    certificates, log = folder / "certs", folder / f"{trial.names[p - 1]}.log"
    onward = ["--next", f"{joined.address(p + 1)}:{_PORT}", *_asking(certificates, "--next-")] if p < len(trial.places) else []
    command = [*place.entering(), *joined.inside(p), *_LMOS, "serve", "--listen", f"{joined.address(p)}:{_PORT}",
               "--tls-cert", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key"),
               "--client-ca", str(certificates / "ca.pem"), "--token-file", str(certificates / "token"),
               *_one_thread(trial.places[p - 1]), *onward]  # fmt: skip
    with log.open("w") as said, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said) as process:
        try:
            end = time.monotonic() + _START_S
            with signals.heeded():
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
