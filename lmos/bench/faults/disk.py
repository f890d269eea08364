"""Two faults: the disk of the report is full, and the disk of the server's log is full."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from lmos.bench.faults.scenes import Outcome, Scene, outcome
from lmos.bench.faults.stage import ServerProcess, networks_of
from lmos_opt.errors import LmosError
from lmos_opt.plan import Plan
from runner.watching.report import RunReport

DISK = Scene("disk", "the server's log and the edge's report go to disks that are full")
_BYTES = 4096
_IN_A_TINY_FOLDER = f'mount -t tmpfs -o size={_BYTES} none "$0" && "$@"; code=$?; ls -A "$0" >&2; exit $code'
"""Run a command with a folder that holds one page, and say last what is left in it. The folder is gone with the shell."""


class NotHere(LmosError):
    """This machine does not let anybody try."""


class Unclear(LmosError):
    """The full disk was not told in one line, or left something behind."""


def play_disk(plan: Plan, n: int, expected: list[int | None], folder: Path) -> Outcome:
    """Run the plan; every class must be printed, the failure be one line, and nothing be left of the report.

    NotHere if the system lets nobody mount a folder of their own, Unclear if the run did not end so.
    """
    tiny = folder / "tiny"
    tiny.mkdir()
    report, kept = tiny / "report.json", folder / "plan.json"
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c", _IN_A_TINY_FOLDER, str(tiny)]
    if (tried := subprocess.run([*alone, "true"], capture_output=True, text=True, check=False)).returncode:
        raise NotHere(f"{DISK.name}: cannot be played on this machine: {tried.stderr.strip()}")
    plan.save(kept)
    networks = networks_of(plan)
    with ServerProcess(Path("/dev/full"), networks) as server:
        host, port = server.address
        begin = time.perf_counter()
        done = subprocess.run([*alone, sys.executable, "-m", "lmos", "run", str(kept), "--server", f"{host}:{port}", "-n",
                               str(n), "-o", str(report), "--json", *(f"--network={one}" for one in networks)],
                              capture_output=True, text=True, check=False)  # fmt: skip
        seconds = time.perf_counter() - begin
    said = done.stderr.strip()
    if done.returncode != 1 or said != f"lmos: {report}: cannot be written: no space left on device":
        raise Unclear(f"{DISK.name}: the run ended with exit code {done.returncode} and {said!r}")
    return outcome(DISK, RunReport.model_validate_json(done.stdout), expected, seconds,
                   "the classes were printed, the report was refused in one line")
